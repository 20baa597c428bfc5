"""A slot's stack by Pulumi's command line: what is run, in which folder, and what is said of its end."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from controller.pulumi_cli import Finished, PulumiFolders, project_of, run_command, work_folder
from controller.slot_stack import NoMainStackError, SlotError, SlotStack, read_parent
from controller.slot_state import STACK
from providers.vast.pulumi_state import INSTANCE
from tests.doubles.pulumi_command import path_with_pulumi
from tests.doubles.slot_commands import (
    FINE,
    NO_STACK,
    OUTPUTS,
    Played,
    exported,
    place,
    quiet,
    said,
    slot,
    stepped,
)
from tests.providers.elastic.test_applied import OUTPUT

__all__ = ["place"]


def test_the_first_up_makes_the_stack_and_tells_each_phase(place: PulumiFolders) -> None:
    lines = f"{said('info', 'burst-s0  rent  instance 7')}\nnoise\n{said('info', 'burst-s0  probe  it answers')}\n"
    answers = {
        "up": [NO_STACK, Finished(0, lines, "")],
        "stack init": [FINE],
        "stack export": [exported(OUTPUTS)],
    }
    one, played = slot(place, answers)
    told: list[tuple[str, str]] = []

    found = one.up(lambda phase, text: told.append((phase, text)))

    assert told == [("rent", "instance 7"), ("probe", "it answers")]
    assert (found.name, found.instance_id, found.usd_per_hour, found.digest) == ("burst-s0", 7, 0.35, "d1")
    assert found.ssh is not None
    assert (found.ssh.host, found.ssh.port, found.ssh.host_key) == ("203.0.113.7", 4001, "ssh-ed25519 AAAA")
    assert [line.split(" --")[0] for line in played.asked[:3]] == ["up", "stack init dev.slot.burst-0", "up"]


def test_an_up_tells_its_instance_by_events_and_no_further_command_is_run(place: PulumiFolders) -> None:
    lines = [
        stepped(STACK, {"digest": "older"}),
        stepped(INSTANCE, {**OUTPUTS, "instanceId": 6}, "refresh"),
        stepped(INSTANCE, OUTPUTS, "create-replacement"),
        stepped(INSTANCE, {}, "delete-replaced"),
        stepped(STACK, {"digest": "d2", "slot": "[secret]"}),
    ]
    one, played = slot(place, {"up": [Finished(0, "\n".join(lines), "")]})

    found = one.up(quiet)

    assert len(played.asked) == 1
    assert (found.name, found.endpoint, found.instance_id) == ("burst-s0", "https://203.0.113.7:4000", 7)
    assert (found.usd_per_hour, found.digest) == (0.35, "d2")


@pytest.mark.parametrize(
    "lines",
    [
        [stepped(STACK, {"digest": "d2"})],
        [stepped(INSTANCE, OUTPUTS)],
        [stepped(INSTANCE, {**OUTPUTS, "instanceId": "[secret]"}), stepped(STACK, {"digest": "d2"})],
        [stepped(INSTANCE, OUTPUTS), stepped(STACK, {"digest": {"4dabf18193072939515e22adb298388d": "1b47"}})],
        [stepped(INSTANCE, {"endpoint": "https://203.0.113.7:4000"}), stepped(STACK, {"digest": "d2"})],
    ],
)
def test_events_that_do_not_tell_everything_are_no_answer_and_state_is(place: PulumiFolders, lines: list[str]) -> None:
    answers = {"up": [Finished(0, "\n".join(lines), "")], "stack export": [exported(OUTPUTS)]}

    found = slot(place, answers)[0].up(quiet)

    assert (found.instance_id, found.digest) == (7, "d1")


def test_a_stack_is_made_once(place: PulumiFolders) -> None:
    there = Finished(255, "", "error: stack 'organization/gpu-fleet/dev.slot.burst-0' already exists")
    one, played = slot(place, {"stack init": [FINE, there, Finished(255, "", "error: incorrect passphrase")]})

    assert (one.make(), one.make()) == (True, False)
    with pytest.raises(SlotError, match="`stack init` failed: incorrect passphrase"):
        one.make()
    assert played.asked[0] == "stack init dev.slot.burst-0 --no-select"


def test_the_digest_of_a_state_of_before_is_read_from_its_secret_output(place: PulumiFolders) -> None:
    rows = [{"type": INSTANCE, "urn": "u", "id": "7", "outputs": OUTPUTS}]
    export = Finished(0, json.dumps({"deployment": {"resources": rows}}), "")
    one, _ = slot(place, {"stack export": [export]})
    none, _ = slot(place, {"stack export": [export], "stack output slot": [NO_STACK]})

    found = [one.look().output, none.look().output]

    assert [output and output.digest for output in found] == ["d0", "none"]


def test_every_command_has_a_folder_of_its_own_that_is_gone_afterwards_and_holds_no_secret(
    place: PulumiFolders,
) -> None:
    (place.project / "Pulumi.dev.yaml").write_text("config: {gpu-fleet:vastApiKey: x}\nencryptionsalt: v1:salt\n")
    one, played = slot(place, {"up": [FINE], "stack export": [exported(OUTPUTS)]})
    before = sorted(place.project.iterdir())

    one.up(quiet)

    assert len(set(played.folders)) == len(played.asked) == 2
    assert not any(folder.exists() for folder in played.folders)
    assert sorted(place.project.iterdir()) == before
    assert json.loads(played.seen[0]["Pulumi.dev.slot.burst-0.yaml"]) == {"encryptionsalt": "v1:salt"}
    assert "a passphrase" not in str(played.seen) + str(played.asked)
    assert played.environments[0]["PULUMI_CONFIG_PASSPHRASE"] == "a passphrase"
    assert "a passphrase" not in repr(place) + repr(SlotStack(one.slot, place, {"SECRET": "a passphrase"}))


def test_the_work_folder_s_project_runs_the_program_of_the_checkout(place: PulumiFolders) -> None:
    found = project_of(place.project)

    assert found == {
        "name": "gpu-fleet",
        "main": str(place.project),
        "runtime": {"name": "python", "options": {"virtualenv": str(place.project / ".venv")}},
    }
    with work_folder(place, "dev.slot.burst-0", "dev") as folder:
        assert stat.S_IMODE(place.work.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_error_is_the_provider_s_sentence(place: PulumiFolders) -> None:
    failed = Finished(255, said("error", "no offer under the ceiling"), "error: update failed")
    one, _ = slot(place, {"up": [failed]})

    with pytest.raises(SlotError, match=r"slot dev\.slot\.burst-0: `up` failed: burst-s0: no offer under the ceiling"):
        one.up(quiet)


def test_a_refresh_tells_what_is_gone_and_what_is_dead(place: PulumiFolders) -> None:
    assert slot(place, {"refresh": [NO_STACK]})[0].refresh(quiet).output is None
    gone = slot(place, {"refresh": [FINE], "stack export": [exported(None, pending=True)]})[0].refresh(quiet)
    assert (gone.output, gone.dead, gone.pending) == (None, False, True)
    for drift, dead in (("unreachable: no answer", False), ("status: the market says exited", True)):
        outputs = {**OUTPUTS, "drift": [drift]}
        look = slot(place, {"refresh": [FINE], "stack export": [exported(outputs)]})[0].refresh(quiet)
        assert (look.dead, look.drift) == (dead, (drift,))


def test_a_renewal_concerns_the_named_resources_alone_and_is_left_if_it_would_do_more(place: PulumiFolders) -> None:
    urn = f"urn:pulumi:dev.slot.burst-0::gpu-fleet::{INSTANCE}::burst-s0"

    def previewed(**inputs: str) -> Finished:
        states = {"oldState": {"inputs": {"access": 1, "server": "a"}}, "newState": {"inputs": {"access": 2, **inputs}}}
        return Finished(0, json.dumps({"steps": [{"op": "update", "urn": urn, **states}]}), "")

    one, played = slot(place, {"preview": [previewed(server="a"), previewed(server="b")], "up": [FINE]})

    assert one.renew([urn], quiet) == []
    assert [f"--target {urn}" in line for line in played.asked] == [True, True]
    assert "--refresh" not in played.asked[1]
    assert one.renew([urn], quiet) == ["burst-s0: server was edited"]
    assert [line.split()[0] for line in played.asked] == ["preview", "up", "preview"]
    with pytest.raises(SlotError, match="no JSON with steps"):
        slot(place, {"preview": [FINE]})[0].renew([urn], quiet)


def test_a_destroy_tries_the_keys_of_the_main_stack_if_those_of_state_are_refused(place: PulumiFolders) -> None:
    refused = Finished(255, said("error", "the key is not accepted"), "")
    one, played = slot(place, {"destroy": [refused, FINE], "stack export": [exported(None)]})

    one.destroy(quiet)

    assert ["--run-program=true" in line for line in played.asked[:2]] == [False, True]
    both, _ = slot(place, {"destroy": [refused, Finished(255, said("error", "no main stack"), "")]})
    with pytest.raises(SlotError, match="the key is not accepted"):
        both.destroy(quiet)


def test_a_stack_with_resources_is_not_removed(place: PulumiFolders) -> None:
    full = Finished(255, "", "error: 'dev.slot.burst-0' still has resources; removal rejected")

    with pytest.raises(SlotError, match="still has resources"):
        slot(place, {"stack rm": [full]})[0].remove()


def test_the_main_stack_is_read_or_it_is_said_why_not(place: PulumiFolders) -> None:
    def read(done: Finished) -> Any:
        return read_parent("dev", place, {}, Played({"stack output elastic": [done]}))

    assert read(Finished(0, json.dumps(OUTPUT), "")).stack_id == "abc"
    assert read(Finished(255, "", "error: current stack does not have output property 'elastic'")) is None
    with pytest.raises(NoMainStackError, match="no stack dev"):
        read(Finished(255, "", "error: no stack named 'dev' found"))
    with pytest.raises(SlotError, match="incorrect passphrase"):
        read(Finished(255, "", "error: incorrect passphrase"))
    for text in ("[]", "{", json.dumps({**OUTPUT, "version": 9})):
        with pytest.raises(SlotError, match="pulumi up --stack dev"):
            read(Finished(0, text, ""))


def test_pulumi_runs_in_the_folder_with_each_line_at_once_and_without_it_a_sentence_says_so(tmp_path: Path) -> None:
    path = path_with_pulumi(tmp_path / "bin", {"up": (3, "one\ntwo\n", "trouble\n")})
    lines: list[str] = []

    done = run_command(("up",), tmp_path, {"PATH": path}, lines.append)

    assert (done.status, done.stderr) == (3, "trouble\n")
    assert lines == ["one\n", "two\n"]
    nothing = run_command(("up",), tmp_path / "none", {"PATH": path}, lines.append)
    assert (nothing.status, "cannot be started" in nothing.stderr) == (127, True)
