"""The double of vLLM starts, answers, refuses and ends as the real one does."""

from __future__ import annotations

import asyncio
import gc
import json
import struct
import time
from functools import partial

import pytest

from sandbox import model
from sandbox.fake_vllm import knobs
from sandbox.fake_vllm.http import serve_connection
from sandbox.fake_vllm.routes import Routes
from sandbox.fake_vllm.weights import load
from sandbox.hosts.host import NamespaceHost
from tests.doubles.emulated import Login
from tests.doubles.until import until

SERVER = "/opt/vllm/bin/python -m vllm.entrypoints.openai.api_server"
WEIGHTS = "/workspace/models/tiny"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    model.write(folder / "tiny")
    return folder / "tiny"


class HostLogin(Login):
    """A login that knows its host, which has faults."""

    def __init__(self, host: NamespaceHost) -> None:
        super().__init__(host)
        self.host = host


@pytest.fixture
def login(make, tiny):
    """A login to a host that has the double and the tiny model."""
    host = make(image="vllm/vllm-openai:latest", name="C.7")
    login = HostLogin(host)
    login.run(f"mkdir -p {WEIGHTS}")
    with login.client.open_sftp() as files:
        for file in tiny.iterdir():
            files.put(str(file), f"{WEIGHTS}/{file.name}")
    return login


def start(login, extra="", environment=""):
    login.run(
        f"env {environment} setsid {SERVER} --host 127.0.0.1 --port 8000 --served-model-name tiny --max-model-len 512 "
        f"--enforce-eager --dtype float16 --model {WEIGHTS} {extra} >/var/log/vllm 2>&1 </dev/null & "
    )
    until(lambda: login.run("curl -sf http://127.0.0.1:8000/health")[0] == 0)


def ask(login, path, body=None, options=""):
    data = f"-d '{json.dumps(body)}'" if body is not None else ""
    return login.run(f"curl -s -w '\\n%{{http_code}}' {options} {data} http://127.0.0.1:8000{path}")[1].rsplit("\n", 1)


@pytest.mark.host
def test_it_answers_and_says_that_it_is_the_double(login):
    start(login)
    text, status = ask(login, "/v1/completions", {"model": "tiny", "prompt": "hello you", "max_tokens": 3})
    answer = json.loads(text)
    assert status == "200"
    assert answer["system_fingerprint"] == "gpu-fleet-double"
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert len(answer["choices"][0]["text"].split()) == 3
    question = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
    chat = json.loads(ask(login, "/v1/chat/completions", question)[0])
    assert chat["choices"][0]["message"]["role"] == "assistant"
    streamed, _ = ask(login, "/v1/chat/completions", {**question, "stream": True, "max_tokens": 4})
    events = [line.removeprefix("data: ") for line in streamed.splitlines() if line]
    assert events[-1] == "[DONE]"
    assert [json.loads(event)["choices"][0]["finish_reason"] for event in events[:-1]] == [None] * 3 + ["length"]
    counted = ask(login, "/metrics")[0]
    assert 'vllm:request_success_total{engine="0",model_name="tiny",finished_reason="length"} 3.0' in counted
    assert 'vllm:generation_tokens_total{engine="0",model_name="tiny"} 23.0' in counted


@pytest.mark.host
def test_doors_are_open_and_shut_as_in_the_real_one(login):
    start(login, environment="VLLM_API_KEY=secret")
    prompt = {"model": "tiny", "prompt": "x"}
    for path in ("/health", "/ping", "/version", "/load", "/metrics", "/docs", "/openapi.json"):
        assert ask(login, path)[1] == "200", path
    assert ask(login, "/v1/models") == ['{"error": "Unauthorized"}', "401"]
    assert ask(login, "/v1/completions", prompt)[1] == "401"
    assert ask(login, "/invocations", prompt)[1] == "200"
    key = "-H 'Authorization: Bearer secret'"
    assert json.loads(ask(login, "/v1/models", options=key)[0])["data"][0]["id"] == "tiny"
    assert ask(login, "/v1/completions", {**prompt, "model": "other"}, key)[1] == "404"
    assert ask(login, "/v1/completions", {**prompt, "max_tokens": 9999}, key)[1] == "400"
    assert ask(login, "/v1/completions", {"no": "prompt"}, key)[1] == "400"
    assert ask(login, "/v1/completions", options=key)[1] == "405"
    assert ask(login, "/nothing")[1] == "404"


@pytest.mark.host
def test_other_doors_are_open_too(login):
    start(login, environment="VLLM_API_KEY=secret")
    assert ask(login, "/kv_event_sources")[1] == "200"
    assert ask(login, "/is_scaling_elastic_ep", {})[1] == "200"
    assert json.loads(ask(login, "/tokenize", {"prompt": "to be"})[0])["count"] == 2
    assert ask(login, "/detokenize", {})[1] == "400"
    assert ask(login, "/inference/v1/generate", {"prompt": "x"})[1] == "401"
    for scheme in ("secret", "Basic secret", "Bearer", "Bearer ", "Bearer other", "Bearer *"):
        assert ask(login, "/v1/models", options=f"-H 'Authorization: {scheme}'")[1] == "401", scheme
    assert ask(login, "/v1/models", options="-H 'Authorization: bearer secret'")[1] == "200"


@pytest.mark.host
def test_a_broken_one_is_healthy_until_it_is_asked(login):
    login.host.fault("vllm_broken")
    start(login)
    prompt = {"model": "tiny", "prompt": "x"}
    assert ask(login, "/health")[1] == "200"
    assert ask(login, "/v1/completions", prompt)[1] == "500"
    until(lambda: login.run("pgrep -f api_server")[0] == 1)
    assert "EngineDeadError" in login.run("cat /var/log/vllm")[1]
    login.host.fault("vllm_broken", on=False)
    start(login)
    assert ask(login, "/v1/completions", prompt)[1] == "200"


@pytest.mark.host
def test_it_takes_as_long_as_the_file_says(login):
    login.host.fault("vllm_slow", start_s=0.5)
    began = time.monotonic()
    start(login)
    assert time.monotonic() - began > 0.5
    login.host.fault("vllm_slow", latency_s=60)
    login.host.fault("vllm_dies")  # one fault does not undo another
    prompt = {"model": "tiny", "prompt": "x"}
    patient = f"curl -s -m 0.3 -d '{json.dumps(prompt)}' http://127.0.0.1:8000/v1/completions"
    assert login.run(patient)[0] == 28
    login.host.fault("vllm_slow", on=False)
    assert ask(login, "/v1/completions", prompt)[1] == "200"
    assert login.run(f"{SERVER} --model {WEIGHTS}")[0] == -1


def test_knobs_come_from_the_environment_and_the_file_wins(tmp_path):
    environment = {"DOUBLE_START_S": "2", "DOUBLE_LATENCY_S": "3", "DOUBLE_BROKEN": "1"}
    file = tmp_path / "faults"
    assert knobs.read(environment, file) == knobs.Knobs(2, 3, broken=True)
    file.write_text("vllm_start_s 0.5\nvllm_broken 0\nvllm_dies 1\n")
    assert knobs.read(environment, file) == knobs.Knobs(0.5, 3, broken=False)
    assert knobs.read({}, tmp_path / "none") == knobs.Knobs()


@pytest.mark.host
def test_it_refuses_to_start_as_the_real_one_does(login):
    status, output = login.run(f"{SERVER} --model {WEIGHTS} --no-such-option")
    assert status == 2
    assert output.endswith("api_server.py: error: unrecognized arguments: --no-such-option\n")
    status, output = login.run(f"{SERVER} --model {WEIGHTS} --max-model-len 100000")
    assert status == 1
    assert "User-specified max_model_len (100000) is greater than" in output
    login.run(f"truncate -s -1 {WEIGHTS}/model.safetensors")
    status, output = login.run(f"{SERVER} --model {WEIGHTS}")
    assert status == 1
    assert "ValueError: Error while deserializing header of model.safetensors" in output


@pytest.mark.host
def test_it_wants_shared_memory(make):
    login = Login(make(image="vllm/vllm-openai:latest", shm_mb=64))
    status, output = login.run(f"{SERVER} --model {WEIGHTS}")
    assert status == 1
    assert "RuntimeError: Insufficient space in /dev/shm" in output


@pytest.mark.host
def test_its_engine_outlives_a_killed_server_and_not_a_stopped_one(login):
    find = "pgrep -f api_server | tr '\\n' ' '"
    start(login)
    server, engine = login.run(find + "; true")[1].split()[:2]
    assert login.run(f"cat /proc/{engine}/comm")[1] == "VLLM::EngineCor\n"
    login.run(f"kill -9 {server}")
    until(lambda: login.run(f"test -e /proc/{server}")[0] == 1)
    assert login.run(f"grep PPid /proc/{engine}/status")[1] == "PPid:\t1\n"
    login.run(f"kill -9 {engine}")
    start(login)
    server, engine = login.run(find)[1].split()[:2]
    login.run(f"kill {server}")
    until(lambda: login.run(f"test -e /proc/{server} -o -e /proc/{engine}")[0] == 1)
    start(login)
    server, engine = login.run(find)[1].split()[:2]
    login.run(f"kill -9 {engine}")
    until(lambda: login.run(f"test -e /proc/{server}")[0] == 1)
    assert "EngineDeadError" in login.run("cat /var/log/vllm")[1]


def test_weights_are_looked_at(tmp_path, tiny):
    assert load(tiny, None).context == 2048
    assert load(tiny, 512).context == 512
    with pytest.raises(ValueError, match="holds a readable config"):
        load(tmp_path, None)
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(ValueError, match="Cannot find any model weights"):
        load(tmp_path, None)
    header = json.dumps({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    file = tmp_path / "model.safetensors"
    whole = struct.pack("<Q", len(header)) + header + b"\0" * 4
    file.write_bytes(whole)
    assert load(tmp_path, None).context == 2048
    for damaged in (whole[:-1], whole + b"\0", whole[:20], whole[:4], b""):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="deserializing header"):
            load(tmp_path, None)
    file.write_bytes(whole)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00002-of-00002.safetensors"}}')
    with pytest.raises(ValueError, match=r"model-00002-of-00002.safetensors is named"):
        load(tmp_path, None)


@pytest.mark.host
def test_it_hangs_in_good_health_until_it_is_mended(login):
    start(login)
    login.host.fault("vllm_hangs")
    asked = {"model": "tiny", "prompt": "hello", "max_tokens": 1}
    assert ask(login, "/v1/completions", asked, "-m 0.5")[-1] == "000"
    assert ask(login, "/health")[-1] == "200"
    assert ask(login, "/v1/models")[-1] == "200"
    login.host.fault("vllm_hangs", on=False)
    assert ask(login, "/v1/completions", asked)[-1] == "200"


@pytest.mark.host
def test_it_serves_and_is_killed_a_while_after_each_start(login):
    for _ in range(2):
        start(login)
        assert ask(login, "/v1/completions", {"model": "tiny", "prompt": "hello", "max_tokens": 1})[-1] == "200"
        login.host.fault("vllm_dies_later", seconds=0.1)
        until(lambda: login.run("curl -sf http://127.0.0.1:8000/health")[0] == 7)
        assert "vllm_dies_later kills this process" in login.run("cat /var/log/vllm")[1]
        login.host.fault("vllm_dies_later", on=False)
        login.run("pkill -KILL VLLM")


def test_a_stream_that_its_client_leaves_runs_no_more():
    routes = Routes(["tiny"], 512, set(), lambda: knobs.Knobs(latency=2.0), lambda: None)

    async def play() -> bool:
        server = await asyncio.start_server(partial(serve_connection, routes), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            body = json.dumps({"model": "tiny", "prompt": "a", "stream": True}).encode()
            writer.write(b"POST /v1/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            await reader.readuntil(b"data: ")
            assert routes.metrics.running == 1
            writer.transport.abort()
            deadline = time.monotonic() + 10
            while routes.metrics.running and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            return routes.metrics.running == 0

    gc.disable()  # what only a collection ends may run for long
    try:
        assert asyncio.run(play())
    finally:
        gc.enable()
