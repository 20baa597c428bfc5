"""A host that serves, through its life: repeated, killed, changed in place, restarted. With the double of vLLM."""

import base64
from collections.abc import Iterator

import pytest

from bootstrap.clock import SystemClock
from bootstrap.errors import EngineDied, EngineRefused, StepFailed
from bootstrap.plan import plan
from sandbox.hosts.backend import NamespaceHosts
from tests.doubles.rented import SECRET_IN_URL, TOKEN, Rented, Things, rent
from tests.doubles.until import until

pytestmark = [pytest.mark.host, pytest.mark.xdist_group("serving-host")]

OTHER = "second-" + "u" * 36
ENVIRONMENT = {"HF_HOME": "/workspace/hf", "GREETING": "two\nlines = 'both'", "-p 8443:8443": "1"}


@pytest.fixture(scope="module")
def shared(hosts: NamespaceHosts, things: Things) -> Iterator[Rented]:
    rented = rent(hosts, things, env=ENVIRONMENT)
    yield rented
    rented.host.destroy()


@pytest.fixture
def serving(shared: Rented) -> Rented:
    """A host that serves; the tests of this module share it, and each leaves it serving."""
    shared.reported.clear()
    shared.converge()
    return shared


def test_a_second_time_there_is_nothing_to_do(serving: Rented) -> None:
    before = serving.run("cat /run/gpu-fleet/vllm.group")

    report = serving.converge()

    assert report.changed == []
    assert plan(serving.spec, serving.facts(), SystemClock().time()) == []
    assert serving.run("cat /run/gpu-fleet/vllm.group") == before


def test_no_secret_is_in_any_command_line_of_the_host(serving: Rented) -> None:
    listed = serving.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'; cat /var/log/gpu-fleet/*")

    assert "/opt/vllm/bin/vllm\nserve\n/workspace/models/" in listed
    assert TOKEN not in listed
    assert SECRET_IN_URL not in listed
    assert serving.run("stat -c %a /opt/gpu-fleet/etc/token /opt/gpu-fleet/etc/tls.key") == "600\n600"


def test_a_killed_vllm_comes_back_and_leaves_no_child(serving: Rented) -> None:
    """The supervisor alone would start a second vLLM beside the children of the first."""
    group = serving.run("cat /run/gpu-fleet/vllm.group")
    members = serving.run(f"ps -eo pid=,pgid=,args= | awk '$2=={group}'").splitlines()

    serving.run(f"kill -9 {group}")

    until(lambda: serving.run("cat /run/gpu-fleet/vllm.group") not in {"", group}, seconds=20)
    left = serving.run(f"ps -eo pid=,pgid=,stat=,args= | awk '$2=={group} && $3 !~ /Z/'")
    assert len(members) > 1, "vLLM has a child here, or this test shows nothing"
    assert left == ""
    assert serving.ask().text


def test_other_arguments_restart_vllm_and_nothing_else(serving: Rented) -> None:
    gate = serving.run("cat /opt/gpu-fleet/service/gate/supervise/pid")
    serving.things.blobs.requests.clear()

    report = serving.converge(vllm_args=("--max-model-len", "256"))

    assert [line.partition(":")[0] for line in report.changed] == ["start vLLM", "open gate"]
    assert serving.run("cat /opt/gpu-fleet/service/gate/supervise/pid") == gate
    assert serving.things.blobs.requests == []
    assert serving.ask().text


def test_another_token_changes_a_file_and_shuts_the_old_one_out(serving: Rented) -> None:
    before = serving.run("cat /run/gpu-fleet/vllm.group /opt/gpu-fleet/service/gate/supervise/pid")
    old = serving.spec.token
    new = OTHER if old == TOKEN else TOKEN

    report = serving.converge(token=new)

    changed = [line.partition(":")[0] for line in report.changed]
    assert changed == ["write token", "open gate", "drop previous token"]
    assert serving.run("cat /run/gpu-fleet/vllm.group /opt/gpu-fleet/service/gate/supervise/pid") == before
    assert serving.ask(new).text
    with pytest.raises(StepFailed, match="answers 401"):
        serving.ask(old, seconds=0.2)


def test_a_raised_epoch_renews_the_certificate(serving: Rented) -> None:
    before = serving.facts().certificate

    report = serving.converge(certificate_epoch=serving.spec.certificate_epoch + 1)

    assert [line.partition(":")[0] for line in report.changed] == ["certify", "open gate"]
    assert serving.facts().certificate != before
    assert serving.ask().text


def test_weights_that_were_changed_are_noticed_and_mended(serving: Rented) -> None:
    folder = serving.spec.model_folder
    serving.run(f"printf x | dd of={folder}/model.safetensors bs=1 seek=2000 conv=notrunc")

    report = serving.converge()

    assert [line.partition(":")[0] for line in report.changed] == ["fetch model", "open gate"]
    manifest_digest = next(file.sha256 for file in serving.things.model.files if file.path == "model.safetensors")
    assert serving.run(f"sha256sum {folder}/model.safetensors").split()[0] == manifest_digest


def test_refused_arguments_are_our_fault_and_say_why(serving: Rented) -> None:
    good = serving.spec.vllm_args

    with pytest.raises(EngineRefused, match="unrecognized arguments: --no-such-thing"):
        serving.converge(vllm_args=("--no-such-thing",))

    with pytest.raises(EngineDied, match="503"):
        serving.ask(seconds=0.2)
    serving.converge(vllm_args=good)
    assert serving.ask().text


def test_a_service_that_ends_at_once_is_stopped_for_good_and_can_be_started_again(serving: Rented) -> None:
    wanted, service = "/opt/gpu-fleet/etc/vllm.wanted", "/opt/gpu-fleet/service/vllm"
    status = f"PATH=/opt/gpu-fleet/kit/bin:$PATH sv status {service}"
    serving.run(f"""cp -p {wanted} {wanted}.kept; echo '{{"argv": ["false"], "environment": {{}}}}' > {wanted}""")
    serving.run(f"/opt/gpu-fleet/kit/stop.sh vllm 5; PATH=/opt/gpu-fleet/kit/bin:$PATH sv up {service}")
    until(lambda: "want up" in serving.run(status), seconds=20)  # its supervisor now sleeps, and reads no request

    assert serving.run("/opt/gpu-fleet/kit/stop.sh vllm 5 >/dev/null; echo $?") == "0"

    assert "want up" not in serving.run(status)
    serving.run(f"mv {wanted}.kept {wanted}")
    serving.converge()
    assert serving.ask().text


def test_a_restarted_host_serves_nothing_until_it_is_proven(serving: Rented) -> None:
    serving.host.stop()
    serving.host.start()

    until(lambda: serving.run("cat /run/gpu-fleet/gate.started") != "", seconds=20)
    with pytest.raises(EngineDied, match="503"):
        serving.ask(seconds=3)

    serving.converge()

    assert serving.ask().text


def test_vllm_has_the_containers_environment_over_ssh_and_after_a_restart(serving: Rented) -> None:
    look = "base64 -w0 /proc/$(cat /run/gpu-fleet/vllm.group)/environ"
    restarted = "cat /run/gpu-fleet/vllm.started"
    serving.converge(vllm_args=("--max-model-len", "256"))
    over_ssh = environment(serving.run(look))

    serving.host.stop()
    serving.host.start()
    until(lambda: serving.run(restarted) != "", seconds=20)

    assert environment(serving.run(look)) == over_ssh
    container = environment(serving.run("base64 -w0 /proc/1/environ"))
    assert {name: container[name] for name in ("HF_HOME", "GREETING")} == {
        name: value for name, value in ENVIRONMENT.items() if name.isidentifier()
    }
    assert {**over_ssh, **container} == over_ssh
    assert "SSH_CONNECTION" not in over_ssh


def environment(encoded: str) -> dict[str, str]:
    """Read what `base64 /proc/N/environ` says."""
    lines = base64.b64decode(encoded).decode().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def test_draining_closes_the_gate(serving: Rented) -> None:
    assert serving.run("/opt/gpu-fleet/kit/drain.sh 5; echo $?") == "0"
    with pytest.raises(EngineDied, match="503"):
        serving.ask(seconds=0.2)

    assert [line.partition(":")[0] for line in serving.converge().changed] == ["open gate"]
