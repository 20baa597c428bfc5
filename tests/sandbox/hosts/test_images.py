"""Images bring vLLM where their name says so, and say what to do where it is missing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sandbox import model
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.images import Images, default_cache, python_version
from sandbox.hosts.spec import HostsError
from tests.doubles.emulated import Login, spec
from tests.doubles.until import until

SCRIPTS = Path(__file__).parents[3] / "bootstrap" / "scripts"


def test_other_images_bring_nothing(tmp_path):
    assert Images("double", tmp_path).layers("ubuntu:22.04") == []
    assert list(tmp_path.iterdir()) == []


def test_the_double_is_made_once_and_runs_without_a_host(tmp_path):
    images = Images("double", tmp_path)
    [(folders, place)] = images.layers("vllm/vllm-openai:v0.11")
    assert place == "/opt/vllm"
    assert images.layers("my/vllm") == [(folders, place)]
    python = folders[0] / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "vllm.entrypoints.openai.api_server", "--model", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "readable config.json" in done.stderr


@pytest.mark.host
def test_a_host_has_the_program_that_the_image_starts_and_its_facts_name_it(tmp_path):
    hosts = NamespaceHosts(tmp_path, Images("double", tmp_path))
    try:
        login = Login(hosts.create(spec(image="vllm/vllm-openai:latest")))
        order = "REQUEST = {'model_folder': '/nothing', 'python': ['/opt/vllm/bin/python']}\n"
        with login.client.open_sftp() as files, files.open("/root/facts.py", "w") as file:
            file.write(order + (SCRIPTS / "facts.py").read_text())
        status, output = login.run("python3 /root/facts.py")
        assert status == 0, output
        assert json.loads(output)["vllm"] == "/opt/vllm/bin/vllm"
        status, output = login.run("/opt/vllm/bin/vllm serve /nothing --served-model-name=a --port 8000 2>&1")
        assert status == 1
        assert "readable config.json" in output
    finally:
        hosts.close()


def test_a_missing_vllm_is_explained(tmp_path):
    with pytest.raises(HostsError, match=r"make setup.*--vllm double"):
        Images("real", tmp_path, tmp_path / "nothing").layers("vllm/vllm-openai")


def test_the_cache_follows_the_environment():
    assert str(default_cache({"XDG_CACHE_HOME": "/c", "HOME": "/h"})) == "/c/gpu-fleet"
    assert str(default_cache({"HOME": "/h"})) == "/h/.cache/gpu-fleet"


@pytest.mark.host
@pytest.mark.vllm
@pytest.mark.deep  # an engine test has the real vLLM answer from a host for each commit
def test_the_real_vllm_answers_inside_a_host(tmp_path):
    images = Images("real", default_cache())
    try:
        images.layers("vllm")
    except HostsError as missing:
        pytest.skip(str(missing))
    weights = tmp_path / "tiny"
    model.write(weights)
    hosts = NamespaceHosts(tmp_path, images)
    try:
        login = Login(hosts.create(spec(image="vllm/vllm-openai:latest", shm_mb=1024, disk_mb=1024)))
        login.run("mkdir -p /workspace/tiny")
        with login.client.open_sftp() as files:
            for file in weights.iterdir():
                files.put(str(file), f"/workspace/tiny/{file.name}")
        login.run(
            "env HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_CPU_KVCACHE_SPACE=1 VLLM_HOST_IP=127.0.0.1 setsid "
            "/opt/vllm/bin/python -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port 8000 --dtype float16 "
            "--served-model-name tiny --max-model-len 512 --enforce-eager --model /workspace/tiny "
            ">/var/log/vllm 2>&1 </dev/null &"
        )
        until(lambda: login.run("curl -sf http://127.0.0.1:8000/health")[0] == 0, seconds=240)
        asked = """-H 'Content-Type: application/json' -d '{"model":"tiny","prompt":"hello","max_tokens":4}'"""
        status, text = login.run(f"curl -sf {asked} http://127.0.0.1:8000/v1/completions")
        assert status == 0
        assert '"completion_tokens":4' in text
        assert "gpu-fleet-double" not in text
    finally:
        hosts.close()


def test_the_machines_python_has_a_version():
    assert python_version().startswith("3.")
