"""The language host by itself: its answers over gRPC, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from offline.language_host import language_host, with_engine

HOST = Path(language_host.__file__)
WATCHED = [sys.executable, "-P", with_engine.__file__]


def request(tmp_path: Path, **fields) -> language_pb2.RunRequest:
    options = struct_pb2.Struct()
    options.update(fields.pop("options", {}))
    info = language_pb2.ProgramInfo(
        root_directory=str(tmp_path), program_directory=str(tmp_path), entry_point=".", options=options
    )
    return language_pb2.RunRequest(info=info, pwd=str(tmp_path), project="p", stack="s", parallel=2, **fields)


def test_the_interpreter_is_that_of_the_projects_environment(tmp_path):
    asked = request(tmp_path, options={"virtualenv": ".venv"})
    assert language_host.python_of(asked) == tmp_path / ".venv" / "bin" / "python"


def test_without_an_environment_it_is_the_hosts_own(tmp_path):
    assert language_host.python_of(request(tmp_path)) == Path(sys.executable)


def test_the_program_is_the_entry_point_in_its_folder():
    info = SimpleNamespace(entry_point="main.py", program_directory="/p/sub")
    assert language_host.program_of(SimpleNamespace(info=info, pwd="/p", program="")) == "/p/sub/main.py"
    info.entry_point = ""
    assert language_host.program_of(SimpleNamespace(info=info, pwd="/p", program="")) == "/p/sub"


@pytest.mark.parametrize(("status", "words"), [(1, "exit status 1"), (-9, "signal SIGKILL"), (-11, "signal SIGSEGV")])
def test_an_exit_status_is_said_in_words(status, words):
    assert language_host.describe(status) == words


def test_a_config_that_linux_would_refuse_is_refused_with_advice(tmp_path):
    answer = language_host.LanguageHost("127.0.0.1:1").Run(request(tmp_path, config={"p:a": "x" * 131072}), None)
    assert "131," in answer.error
    assert "a file that the program reads" in answer.error
    assert not answer.bail


def test_a_missing_environment_is_a_sentence(tmp_path):
    asked = request(tmp_path, options={"virtualenv": ".venv"})
    answer = language_host.LanguageHost("127.0.0.1:1").Run(asked, None)
    assert "cannot be started" in answer.error
    assert ".venv" in answer.error


@contextlib.contextmanager
def started(*before: str) -> Iterator[tuple[subprocess.Popen[str], language_pb2_grpc.LanguageRuntimeStub]]:
    child = subprocess.Popen(
        [*before, sys.executable, "-P", str(HOST), "--ignored", "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        port = int(child.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield child, language_pb2_grpc.LanguageRuntimeStub(channel)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=30)


def test_the_first_line_is_the_port_and_the_engines_questions_are_answered():
    with started() as (_, stub):
        stub.Handshake(language_pb2.LanguageHandshakeRequest(engine_address="127.0.0.1:2"), timeout=30)
        assert stub.GetPluginInfo(empty_pb2.Empty(), timeout=30).version.count(".") == 2
        assert list(stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(), timeout=30).packages) == []
        listed = stub.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest(), timeout=30).dependencies
        assert "pulumi" in {item.name for item in listed}
        assert stub.About(language_pb2.AboutRequest(), timeout=30).executable == sys.executable


def test_it_speaks_the_protocol_without_the_sdk() -> None:
    look = f"import runpy, sys; runpy.run_path({str(HOST)!r}); print('pulumi' in sys.modules, 'grpc' in sys.modules)"
    found = subprocess.run([sys.executable, "-P", "-c", look], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["False", "True"]


def test_what_it_does_not_offer_it_says_with_what_to_do():
    with started() as (_, stub):
        with pytest.raises(grpc.RpcError, match="make up") as caught:
            list(stub.InstallDependencies(language_pb2.InstallDependenciesRequest(), timeout=30))
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError, match="policy packs"):
            list(stub.RunPlugin(language_pb2.RunPluginRequest(), timeout=30))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(number):
    with started() as (child, _):
        child.send_signal(number)
        assert child.communicate(timeout=30) == ("", "")
        assert child.returncode == 0


def test_it_ends_when_the_process_that_started_it_is_killed():
    # As set-up's launcher starts it, without the address of an engine.
    starter = (sys.executable, "-c", f"import subprocess; subprocess.run({[*WATCHED, str(HOST)]})")
    with started(*starter) as (child, stub):
        child.kill()
        assert child.stdout is not None
        child.stdout.read()  # ends when the last process that holds the pipe has ended
        with pytest.raises(grpc.RpcError):
            stub.GetPluginInfo(empty_pb2.Empty(), timeout=5)


def test_a_program_that_runs_gets_its_order_and_config_and_is_killed_by_cancel(tmp_path):
    """An interpreter that shows what it was given and then hangs stands in for the program."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nenv >seen.tmp && mv seen.tmp seen\nmkfifo never && read line <never\n")
    python.chmod(0o755)
    asked = request(
        tmp_path, options={"virtualenv": ".venv"}, config={"p:a": "1"}, configSecretKeys=["p:a"], dryRun=True
    )
    with started() as (_, stub):
        running = stub.Run.future(asked, timeout=60)
        while not (tmp_path / "seen").exists():
            assert not running.done(), running.result()
            time.sleep(0.01)
        stub.Cancel(empty_pb2.Empty(), timeout=30)
        assert "SIGKILL" in running.result().error
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert json.loads(seen["PULUMI_CONFIG"]) == {"p:a": "1"}
    assert json.loads(seen["PULUMI_CONFIG_SECRET_KEYS"]) == ["p:a"]
    order = json.loads(seen["GPU_FLEET_RUN"])
    assert (order["dry_run"], order["parallel"], order["engine"]) == (True, 2, "127.0.0.1:1")
