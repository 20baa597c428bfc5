"""A slot's stack by Pulumi's command line: what is run, in which folder, and what is said of its end."""

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from config.slot_names import SlotName
from controller.pulumi_cli import Finished, Line, Place, project_of, run_command, work_folder
from controller.slot_lock import Holder, are_dead, holders
from controller.slot_stack import NoMainStackError, SlotBusyError, SlotError, SlotStack, read_parent
from controller.slot_state import STACK
from providers.vast.pulumi_state import INSTANCE
from tests.doubles.pulumi_command import path_with_pulumi
from tests.providers.elastic.test_applied import OUTPUT

NO_STACK = Finished(255, "", "error: no stack named 'dev.slot.burst-0' found")
LOCK = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock "
    "file with `pulumi cancel`.\n  file:///b/.pulumi/locks/organization/gpu-fleet/dev.slot.burst-0/5cfa.json?no_tmp_dir=true"
    ": created by root@here (pid 7944) at 2026-11-30T20:36:55Z\n"
)
LOCKED = Finished(255, "", LOCK)
FINE = Finished(0, "", "")
EOF = Finished(255, "", "error: failed to load checkpoint: EOF\n")
OUTPUTS = {
    "name": "burst-s0",
    "instanceId": 7,
    "endpoint": "https://203.0.113.7:4000",
    "ssh": "203.0.113.7:4001",
    "hostKey": "ssh-ed25519 AAAA",
    "usdPerHour": 0.4,
    "chargedUsdPerHour": 0.35,
    "drift": [],
}


def exported(outputs: dict[str, Any] | None, pending: bool = False) -> Finished:
    rows: list[dict[str, Any]] = [{"type": STACK, "urn": "s", "outputs": {"digest": "d1"}}]
    rows += [] if outputs is None else [{"type": INSTANCE, "urn": "u", "id": "7", "outputs": outputs}]
    deployment = {"resources": rows, "pending_operations": [{"type": "creating"}] if pending else []}
    return Finished(0, json.dumps({"deployment": deployment}), "")


def stepped(type_: str, outputs: Mapping[str, Any], op: str = "create") -> str:
    """An event of the engine, as `pulumi up --json` prints it."""
    metadata = {"op": op, "urn": "urn::burst-s0", "type": type_, "new": {"outputs": outputs} if outputs else None}
    return json.dumps({"resOutputsEvent": {"metadata": metadata}})


def said(severity: str, message: str) -> str:
    return json.dumps({"diagnosticEvent": {"severity": severity, "message": message, "urn": "urn::burst-s0"}})


@dataclass
class Played:
    """Answers each command by the words that it begins with, the last answer again and again."""

    answers: Mapping[str, Sequence[Finished]]
    asked: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)  # each folder's files

    def __call__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], on_line: Line) -> Finished:
        line = " ".join(words)
        self.folders.append(folder)
        self.environments.append(environment)
        self.seen.append({file.name: file.read_text() for file in folder.iterdir()})
        key = max((key for key in self.answers if line.startswith(key)), key=len)
        before = sum(one.startswith(key) for one in self.asked)
        self.asked.append(line)
        answer = self.answers[key][min(before, len(self.answers[key]) - 1)]
        for text in answer.stdout.splitlines(keepends=True):
            on_line(text)
        return answer


@pytest.fixture
def place(tmp_path: Path) -> Place:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text(
        "name: gpu-fleet\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\nconfig: {market: {type: object}}\n"
    )
    return Place(project, tmp_path / "work", {"PULUMI_CONFIG_PASSPHRASE": "a passphrase"})


def slot(
    place: Place, answers: Mapping[str, Sequence[Finished]], is_dead: Callable[[tuple[Holder, ...]], bool] = bool
) -> tuple[SlotStack, Played]:
    digest = {"stack output slot": [Finished(0, json.dumps({"digest": "d0"}), "")]}
    played = Played({**digest, **answers})
    return SlotStack(SlotName("dev", "burst", 0), place, {"PATH": "/bin"}, played, is_dead), played


def quiet(_phase: str, _text: str) -> None:
    pass


def test_the_first_up_makes_the_stack_and_tells_each_phase(place: Place) -> None:
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


def test_an_up_tells_its_instance_by_events_and_no_further_command_is_run(place: Place) -> None:
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
def test_events_that_do_not_tell_everything_are_no_answer_and_state_is(place: Place, lines: list[str]) -> None:
    answers = {"up": [Finished(0, "\n".join(lines), "")], "stack export": [exported(OUTPUTS)]}

    found = slot(place, answers)[0].up(quiet)

    assert (found.instance_id, found.digest) == (7, "d1")


def test_a_stack_is_made_once(place: Place) -> None:
    there = Finished(255, "", "error: stack 'organization/gpu-fleet/dev.slot.burst-0' already exists")
    one, played = slot(place, {"stack init": [FINE, there, Finished(255, "", "error: incorrect passphrase")]})

    assert (one.make(), one.make()) == (True, False)
    with pytest.raises(SlotError, match="`stack init` failed: incorrect passphrase"):
        one.make()
    assert played.asked[0] == "stack init dev.slot.burst-0 --no-select"


def test_the_digest_of_a_state_of_before_is_read_from_its_secret_output(place: Place) -> None:
    rows = [{"type": INSTANCE, "urn": "u", "id": "7", "outputs": OUTPUTS}]
    export = Finished(0, json.dumps({"deployment": {"resources": rows}}), "")
    one, _ = slot(place, {"stack export": [export]})
    none, _ = slot(place, {"stack export": [export], "stack output slot": [NO_STACK]})

    found = [one.look().output, none.look().output]

    assert [output and output.digest for output in found] == ["d0", "none"]


def test_every_command_has_a_folder_of_its_own_that_is_gone_afterwards_and_holds_no_secret(place: Place) -> None:
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


def test_the_work_folder_s_project_runs_the_program_of_the_checkout(place: Place) -> None:
    found = project_of(place.project)

    assert found == {
        "name": "gpu-fleet",
        "main": str(place.project),
        "runtime": {"name": "python", "options": {"virtualenv": str(place.project / ".venv")}},
    }
    with work_folder(place, "dev.slot.burst-0", "dev") as folder:
        assert stat.S_IMODE(place.work.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folders_of_killed_processes_are_removed_and_those_of_others_stay(place: Place) -> None:
    gone, alive = place.work / "pid-99999999-a", place.work / f"pid-{os.getpid()}-b"
    for folder in (gone, alive):
        folder.mkdir(parents=True)

    with work_folder(place, "dev.slot.burst-0", "dev"):
        pass

    assert (gone.exists(), alive.exists()) == (False, True)


def test_a_killed_create_is_cleared_once_the_instance_is_in_state(place: Place) -> None:
    warned = Finished(
        0,
        said("warning", "Attempting to deploy or update resources with 1 pending operations from previous deployment."),
        "",
    )
    one, played = slot(place, {"up": [warned], "refresh": [FINE], "stack export": [exported(OUTPUTS)]})

    one.up(quiet)

    assert [line.split(" --")[0] for line in played.asked][:2] == ["up", "refresh"]
    assert "--clear-pending-creates" in played.asked[1]


def test_a_lock_of_a_dead_process_is_broken_and_one_of_a_living_process_is_not(place: Place) -> None:
    answers = {"up": [LOCKED, FINE], "cancel": [FINE], "stack export": [exported(OUTPUTS)]}
    one, played = slot(place, answers, lambda found: [holder.pid for holder in found] == [7944])
    one.up(quiet)
    assert [line.split(" --")[0] for line in played.asked][:3] == ["up", "cancel dev.slot.burst-0", "up"]

    other, played = slot(place, answers, lambda _found: False)
    with pytest.raises(SlotBusyError, match=r"process 7944 of root@here since 2026.*pulumi cancel --stack dev\.slot"):
        other.up(quiet)
    assert not any(line.startswith("cancel") for line in played.asked)


@pytest.fixture
def files(place: Place, tmp_path: Path) -> Path:
    """A backend of files, in which a kill left an empty file beside the state of slots 0 and 10."""
    stacks = tmp_path / "back end" / ".pulumi" / "stacks" / "gpu-fleet"
    stacks.mkdir(parents=True)
    for name in ("dev.slot.burst-0", "dev.slot.burst-01", "dev.slot.burst-10"):
        (stacks / f"{name}.json").write_text("{}")
        (stacks / f"{name}.json.attrs").touch()
    (stacks / "dev.slot.burst-0.json.bak.attrs").write_text("{}")
    return stacks


def test_a_state_that_a_kill_hid_is_found_again_and_no_other_file_is_touched(place: Place, files: Path) -> None:
    there = sorted(files.iterdir())
    for backend in (f"file://{quote(str(files.parents[2]))}?metadata=x&no_tmp_dir=true", files.parents[2].as_uri()):
        (files / "dev.slot.burst-0.json.attrs").touch()
        here = replace(place, environment={"PULUMI_BACKEND_URL": backend})
        one, played = slot(here, {"up": [EOF, FINE], "stack export": [exported(OUTPUTS)]})
        assert one.up(quiet).instance_id == 7
        assert [line.split(" --")[0] for line in played.asked] == ["up", "up", "stack export"]
        assert sorted(files.iterdir()) == [file for file in there if file.name != "dev.slot.burst-0.json.attrs"]


@pytest.mark.parametrize("backend", ["s3://bucket/state", "file://state", "", "file:///nowhere"])
def test_a_state_that_is_hidden_elsewhere_is_said_with_the_way_out(place: Place, files: Path, backend: str) -> None:
    there = sorted(files.iterdir())
    one, played = slot(replace(place, environment={"PULUMI_BACKEND_URL": backend}), {"up": [EOF]})

    with pytest.raises(
        SlotError, match=r"checkpoint: EOF\. .*find \"\$FOLDER/\.pulumi\" -name '\*\.attrs' -empty -delete"
    ):
        one.up(quiet)

    assert len(played.asked) == 1
    assert sorted(files.iterdir()) == there


def test_a_main_stack_that_a_kill_hid_is_found_again(place: Place, files: Path) -> None:
    (files / "dev.json.attrs").touch()
    here = replace(place, environment={"PULUMI_BACKEND_URL": files.parents[2].as_uri()})
    answers = {"stack output elastic": [EOF, Finished(0, json.dumps(OUTPUT), "")]}

    found = read_parent("dev", here, {}, Played(answers))

    assert found is not None
    assert (found.stack_id, (files / "dev.json.attrs").exists()) == ("abc", False)
    with pytest.raises(SlotError, match=r"find .*-delete"):
        read_parent("dev", here, {}, Played({"stack output elastic": [EOF]}))


def test_who_holds_a_lock_is_dead_only_on_this_machine_and_without_a_process() -> None:
    found = holders(LOCK)
    assert found == (Holder("root", "here", 7944, "2026-11-30T20:36:55Z"),)
    assert holders("error: something else") is None
    assert holders("error: the stack is currently locked by somebody") == ()

    assert are_dead(found, "here", lambda _pid: False)
    assert not are_dead(found, "here", lambda _pid: True)
    assert not are_dead(found, "elsewhere", lambda _pid: False)
    assert not are_dead((), "here", lambda _pid: False)
    assert not are_dead((*found, Holder("root", "there", 1, "")), "here", lambda _pid: False)


def test_an_error_is_the_provider_s_sentence(place: Place) -> None:
    failed = Finished(255, said("error", "no offer under the ceiling"), "error: update failed")
    one, _ = slot(place, {"up": [failed]})

    with pytest.raises(SlotError, match=r"slot dev\.slot\.burst-0: `up` failed: burst-s0: no offer under the ceiling"):
        one.up(quiet)


def test_a_refresh_tells_what_is_gone_and_what_is_dead(place: Place) -> None:
    assert slot(place, {"refresh": [NO_STACK]})[0].refresh(quiet).output is None
    gone = slot(place, {"refresh": [FINE], "stack export": [exported(None, pending=True)]})[0].refresh(quiet)
    assert (gone.output, gone.dead, gone.pending) == (None, False, True)
    for drift, dead in (("unreachable: no answer", False), ("status: the market says exited", True)):
        outputs = {**OUTPUTS, "drift": [drift]}
        look = slot(place, {"refresh": [FINE], "stack export": [exported(outputs)]})[0].refresh(quiet)
        assert (look.dead, look.drift) == (dead, (drift,))


def test_a_renewal_concerns_the_named_resources_alone_and_is_left_if_it_would_do_more(place: Place) -> None:
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


def test_a_destroy_tries_the_keys_of_the_main_stack_if_those_of_state_are_refused(place: Place) -> None:
    refused = Finished(255, said("error", "the key is not accepted"), "")
    one, played = slot(place, {"destroy": [refused, FINE], "stack export": [exported(None)]})

    one.destroy(quiet)

    assert ["--run-program=true" in line for line in played.asked[:2]] == [False, True]
    both, _ = slot(place, {"destroy": [refused, Finished(255, said("error", "no main stack"), "")]})
    with pytest.raises(SlotError, match="the key is not accepted"):
        both.destroy(quiet)


def test_a_destroy_clears_what_a_killed_create_left_and_needs_no_stack(place: Place) -> None:
    one, played = slot(place, {"destroy": [FINE], "refresh": [FINE], "stack export": [exported(None, pending=True)]})
    one.destroy(quiet)
    assert "--clear-pending-creates" in played.asked[-1]

    gone, _ = slot(place, {"destroy": [NO_STACK], "stack rm": [NO_STACK]})
    gone.destroy(quiet)
    gone.remove()


def test_a_stack_with_resources_is_not_removed(place: Place) -> None:
    full = Finished(255, "", "error: 'dev.slot.burst-0' still has resources; removal rejected")

    with pytest.raises(SlotError, match="still has resources"):
        slot(place, {"stack rm": [full]})[0].remove()


def test_the_main_stack_is_read_or_it_is_said_why_not(place: Place) -> None:
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
