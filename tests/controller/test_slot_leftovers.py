"""What a killed command of a slot's stack left: a lock, an unfinished create, an empty file, a folder."""

import json
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from controller.pulumi_cli import Finished, PulumiFolders, work_folder
from controller.slot_lock import Holder, are_dead, holders
from controller.slot_stack import SlotBusyError, SlotError, read_parent
from tests.doubles.slot_commands import (
    EOF,
    FINE,
    LOCK,
    LOCKED,
    NO_STACK,
    OUTPUTS,
    Played,
    exported,
    place,
    quiet,
    said,
    slot,
)
from tests.providers.elastic.test_applied import OUTPUT

__all__ = ["place"]


def test_a_killed_create_is_cleared_once_the_instance_is_in_state(place: PulumiFolders) -> None:
    warned = Finished(
        0,
        said("warning", "Attempting to deploy or update resources with 1 pending operations from previous deployment."),
        "",
    )
    one, played = slot(place, {"up": [warned], "refresh": [FINE], "stack export": [exported(OUTPUTS)]})

    one.up(quiet)

    assert [line.split(" --")[0] for line in played.asked][:2] == ["up", "refresh"]
    assert "--clear-pending-creates" in played.asked[1]


def test_a_lock_of_a_dead_process_is_broken_and_one_of_a_living_process_is_not(place: PulumiFolders) -> None:
    answers = {"up": [LOCKED, FINE], "cancel": [FINE], "stack export": [exported(OUTPUTS)]}
    one, played = slot(place, answers, lambda found: [holder.pid for holder in found] == [7944])
    one.up(quiet)
    assert [line.split(" --")[0] for line in played.asked][:3] == ["up", "cancel dev.slot.burst-0", "up"]

    other, played = slot(place, answers, lambda _found: False)
    with pytest.raises(SlotBusyError, match=r"process 7944 of root@here since 2026.*pulumi cancel --stack dev\.slot"):
        other.up(quiet)
    assert not any(line.startswith("cancel") for line in played.asked)


@pytest.fixture
def files(place: PulumiFolders, tmp_path: Path) -> Path:
    """A backend of files, in which a kill left an empty file beside the state of slots 0 and 10."""
    stacks = tmp_path / "back end" / ".pulumi" / "stacks" / "gpu-fleet"
    stacks.mkdir(parents=True)
    for name in ("dev.slot.burst-0", "dev.slot.burst-01", "dev.slot.burst-10"):
        (stacks / f"{name}.json").write_text("{}")
        (stacks / f"{name}.json.attrs").touch()
    (stacks / "dev.slot.burst-0.json.bak.attrs").write_text("{}")
    return stacks


def test_a_state_that_a_kill_hid_is_found_again_and_no_other_file_is_touched(place: PulumiFolders, files: Path) -> None:
    there = sorted(files.iterdir())
    for backend in (f"file://{quote(str(files.parents[2]))}?metadata=x&no_tmp_dir=true", files.parents[2].as_uri()):
        (files / "dev.slot.burst-0.json.attrs").touch()
        here = replace(place, environment={"PULUMI_BACKEND_URL": backend})
        one, played = slot(here, {"up": [EOF, FINE], "stack export": [exported(OUTPUTS)]})
        assert one.up(quiet).instance_id == 7
        assert [line.split(" --")[0] for line in played.asked] == ["up", "up", "stack export"]
        assert sorted(files.iterdir()) == [file for file in there if file.name != "dev.slot.burst-0.json.attrs"]


@pytest.mark.parametrize("backend", ["s3://bucket/state", "file://state", "", "file:///nowhere"])
def test_a_state_that_is_hidden_elsewhere_is_said_with_the_way_out(
    place: PulumiFolders, files: Path, backend: str
) -> None:
    there = sorted(files.iterdir())
    one, played = slot(replace(place, environment={"PULUMI_BACKEND_URL": backend}), {"up": [EOF]})

    with pytest.raises(
        SlotError, match=r"checkpoint: EOF\. .*find \"\$FOLDER/\.pulumi\" -name '\*\.attrs' -empty -delete"
    ):
        one.up(quiet)

    assert len(played.asked) == 1
    assert sorted(files.iterdir()) == there


def test_a_main_stack_that_a_kill_hid_is_found_again(place: PulumiFolders, files: Path) -> None:
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


def test_folders_of_killed_processes_are_removed_and_those_of_others_stay(place: PulumiFolders) -> None:
    gone, alive = place.work / "pid-99999999-a", place.work / f"pid-{os.getpid()}-b"
    for folder in (gone, alive):
        folder.mkdir(parents=True)

    with work_folder(place, "dev.slot.burst-0", "dev"):
        pass

    assert (gone.exists(), alive.exists()) == (False, True)


def test_a_destroy_clears_what_a_killed_create_left_and_needs_no_stack(place: PulumiFolders) -> None:
    one, played = slot(place, {"destroy": [FINE], "refresh": [FINE], "stack export": [exported(None, pending=True)]})
    one.destroy(quiet)
    assert "--clear-pending-creates" in played.asked[-1]

    gone, _ = slot(place, {"destroy": [NO_STACK], "stack rm": [NO_STACK]})
    gone.destroy(quiet)
    gone.remove()
