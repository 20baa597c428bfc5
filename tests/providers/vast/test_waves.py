"""Waves between processes: one file an engine, waits through the clock, and a sentence for what is left as it is."""

import copy
from contextlib import ExitStack
from pathlib import Path

import pytest

from providers.engine_watch import EngineGone
from providers.vast.rollout import RolloutStoppedError
from providers.vast.settings import InstanceSettings
from providers.vast.waves import Waves
from tests.doubles.clock import FakeClock
from tests.doubles.full_disk import full_disk
from tests.doubles.settings import PROPS


def settings(index: int, replicas: int = 2, rollout: bool = True) -> InstanceSettings:
    props = copy.deepcopy(PROPS)
    stem = props["label"].rpartition("/")[0]
    change = {"name": f"chat-{index}", "label": f"{stem}/chat-{index}", "replicas": replicas}
    more = {"rollout": {"fleet": "chat", "maxUnavailable": 1.0}} if rollout else {}
    return InstanceSettings.from_props({**props, **change, **more})


class Waiting(FakeClock):
    """Does something after some seconds of waiting."""

    def __init__(self, then: object = None) -> None:
        super().__init__()
        self.then = then

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if callable(self.then) and self.now >= 3:
            then, self.then = self.then, None
            then()


def silent(_phase: str, _text: str) -> None:
    pass


def both(file: Path, clock: FakeClock, rollout: bool = True) -> tuple[Waves, Waves]:
    first, second = (Waves(file, clock, holder, lambda _holder: True) for holder in ("one", "two"))
    for index in (0, 1):
        first.announce(settings(index, rollout=rollout), there=True)
    return first, second


def test_another_process_waits_until_the_instance_serves(tmp_path: Path) -> None:
    lines: list[str] = []
    clock = Waiting()
    first, second = both(tmp_path / "board.json", clock)
    held = first.changing(settings(0), silent)
    held.__enter__()
    clock.then = lambda: held.__exit__(None, None, None)

    with second.changing(settings(1), lambda phase, text: lines.append(f"{phase}  {text}")):
        assert clock.now >= 3

    assert lines == ["wave  waits until chat-0 serves again: no more may be down at once"]


def test_a_replacement_holds_its_place_through_both_calls(tmp_path: Path) -> None:
    clock = Waiting()
    first, second = both(tmp_path / "board.json", clock)
    with first.replacing(settings(0), silent, serves=True):
        pass
    create = second.creating(settings(0), silent)
    create.__enter__()
    clock.then = lambda: create.__exit__(None, None, None)

    with first.changing(settings(1), silent):
        assert clock.now >= 3


def test_a_failure_leaves_the_others_as_they_are_and_says_how_to_go_on(tmp_path: Path) -> None:
    first, second = both(tmp_path / "board.json", FakeClock())
    with pytest.raises(ValueError, match="broken"), first.changing(settings(0), silent):
        raise ValueError("broken")

    touched = False
    with pytest.raises(RolloutStoppedError) as raised, second.replacing(settings(1), silent, serves=True):
        touched = True

    assert not touched
    assert str(raised.value).startswith(
        "chat-1: it is left as it is, because chat-0 failed (broken), and the next wave"
    )
    assert "run `pulumi up`: it goes on with what is left" in str(raised.value)


def test_an_interruption_leaves_those_that_wait_as_they_are_and_names_them(tmp_path: Path) -> None:
    names: list[str] = []
    clock = Waiting()
    first, second = both(tmp_path / "board.json", clock)
    clock.then = lambda: names.extend(second.interrupt())

    with first.changing(settings(0), silent):
        with (
            pytest.raises(RolloutStoppedError, match="because the update was interrupted"),
            second.replacing(settings(1), silent, serves=True),
        ):
            pass
        with second.creating(settings(1), silent):
            assert second.interrupt() == frozenset(), "what is under way goes on"

    assert names == ["chat-1"]


def test_a_process_that_its_engine_ends_stops_nobody_else(tmp_path: Path) -> None:
    first, second = both(tmp_path / "board.json", FakeClock())
    first.interrupt()

    with second.changing(settings(1), silent):
        pass


def test_one_that_is_down_anyway_waits_for_nobody(tmp_path: Path) -> None:
    first, second = both(tmp_path / "board.json", FakeClock())

    with first.changing(settings(0), silent), second.replacing(settings(1), silent, serves=False):
        pass


def test_a_wait_ends_with_its_engine_and_stops_nobody(tmp_path: Path) -> None:
    clock = FakeClock(gone_at=2.0)
    first, second = both(tmp_path / "board.json", clock)

    with first.changing(settings(0), silent), pytest.raises(EngineGone), second.changing(settings(1), silent):
        pass

    with second.changing(settings(1), silent):
        pass


@pytest.mark.parametrize(("replicas", "rollout"), [(1, True), (2, False)])
def test_one_alone_and_inputs_of_older_versions_have_no_waves(tmp_path: Path, replicas: int, rollout: bool) -> None:
    waves = Waves(tmp_path / "board.json", FakeClock(), "one", lambda _holder: True)
    waves.announce(settings(0, replicas, rollout), there=True)

    assert not (tmp_path / "board.json").exists()
    with waves.changing(settings(0, replicas, rollout), silent), waves.changing(settings(1, replicas, rollout), silent):
        pass


def test_a_board_that_cannot_be_read_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "board.json").write_text("{ broken")
    first, _second = both(tmp_path / "board.json", FakeClock())

    with first.changing(settings(0), silent):
        pass


class Failed(Exception):
    """What an operation failed of."""


def test_a_disk_that_fills_costs_neither_what_serves_nor_the_error_and_is_said_once(tmp_path: Path) -> None:
    lines: list[str] = []
    clock = FakeClock()
    first, second = both(tmp_path / "board.json", clock)

    def report_progress(_phase: str, text: str) -> None:
        lines.append(text)

    def play(error: Exception | None = None) -> None:
        with ExitStack() as later, first.changing(settings(0), report_progress):
            later.enter_context(full_disk())  # room comes back only when the change has ended
            if error:
                raise error

    play()
    play()
    with pytest.raises(Failed):
        play(Failed("no answer"))

    assert len(lines) == 1
    assert "what is done stays done" in lines[0]
    with pytest.raises(RolloutStoppedError, match="no answer"), first.changing(settings(1), silent):
        pass  # what could not be written then is written now
    with pytest.raises(RolloutStoppedError, match="no answer"), second.changing(settings(1), silent):
        pass


def test_a_place_that_a_full_disk_kept_is_free_with_the_next_change(tmp_path: Path) -> None:
    first, second = both(tmp_path / "board.json", FakeClock())
    with ExitStack() as later, first.creating(settings(0), silent):
        later.enter_context(full_disk())
    with first.creating(settings(0), silent):
        pass

    with second.changing(settings(1), silent):
        pass


def test_on_a_full_disk_nothing_begins_and_the_board_keeps_its_places(tmp_path: Path) -> None:
    clock = Waiting()
    first, second = both(tmp_path / "board.json", clock)
    held = first.changing(settings(0), silent)
    held.__enter__()

    with (
        full_disk(),
        pytest.raises(RolloutStoppedError, match=r"chat-1: it is left as .* because the board of the waves"),
    ):
        second.creating(settings(1), silent).__enter__()
    clock.then = lambda: held.__exit__(None, None, None)

    with second.changing(settings(1), silent):
        assert clock.now >= 3, "the place of chat-0 was kept"


def test_a_destroy_needs_no_room_and_a_preview_says_where_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    lines: list[str] = []
    waves = Waves(tmp_path / "taken" / "board.json", FakeClock(), "one", lambda _holder: True)

    with waves.replacing(settings(0), lambda _phase, text: lines.append(text), serves=True):
        lines.append("given back")
    with pytest.raises(
        RolloutStoppedError, match=r"chat-0: .*taken cannot hold .* Nothing was changed. Make room there"
    ):
        waves.announce(settings(0), there=True)

    assert lines == ["given back"]


def test_an_engine_has_one_board_for_all_its_processes() -> None:
    assert Waves.of_this_process(FakeClock())._file == Waves.of_this_process(FakeClock())._file
