"""How an update looks: each phase once in a log, one line an instance on a terminal, repeats left out."""

import io

import pytest
from rich.console import Console

from cli.engine_run import errors_of
from cli.update_view import INSTANCE, UpdateView
from providers.engine_events import Event, Note, Progress, Step, Summary, Trouble
from tests.doubles.clock import FakeClock


def shown(*events: Event, terminal: bool = False) -> tuple[UpdateView, str]:
    """Return the view and what it has printed, without the codes that move a terminal's cursor."""
    out, clock = io.StringIO(), FakeClock()
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None, highlight=False)
    with UpdateView(console, clock.monotonic) as view:
        for event in events:
            view.take(event)
            clock.sleep(2)
    return view, out.getvalue()


def test_a_phase_is_one_line_however_often_it_counts_on() -> None:
    _, text = shown(
        Progress("chat-0", "rent", "instance 7 on RTX 4090, $0.30/h all-in"),
        Progress("chat-0", "fetch weights", "10 of 300 MB"),
        Progress("chat-1", "rent", "instance 8 on RTX 4090, $0.30/h all-in"),
        Progress("chat-0", "fetch weights", "20 of 300 MB"),
        Progress("chat-0", "rent", "taken; next offer"),
        Step("chat-0", INSTANCE, "create", {"endpoint": "https://192.0.2.1:1"}),
    )

    assert text.splitlines() == [
        "chat-0  rent  instance 7 on RTX 4090, $0.30/h all-in",
        "chat-0  fetch weights  10 of 300 MB",
        "chat-1  rent  instance 8 on RTX 4090, $0.30/h all-in",
        "chat-0  rent  taken; next offer",
        "chat-0  online  https://192.0.2.1:1",
    ]


def test_a_terminal_shows_one_line_an_instance_at_the_end() -> None:
    _, text = shown(
        Progress("chat-0", "rent", "instance 7"),
        Progress("chat-0", "wait", "loading"),
        Progress("chat-1", "rent", "instance 8 " + "on a machine far away " * 9),
        Step("chat-0", INSTANCE, "create", {"endpoint": "https://192.0.2.1:1"}),
        terminal=True,
    )

    end = [line.rpartition("\x1b[?25l")[2] for line in text.splitlines() if "chat-" in line][-2:]
    assert end[0].rstrip() == "chat-0  online                 https://192.0.2.1:1"
    assert end[1].split()[:3] == ["chat-1", "rent", "4"]  # seconds since its phase began
    assert end[1].rstrip().endswith("…"), "a line is cut to the terminal's width"


def test_a_warning_is_printed_once_and_an_error_is_kept_for_the_end() -> None:
    warning, error = (
        Trouble("", "vmagent is missing", False),
        Trouble("chat-0", "nobody lists 'x'", True),
    )
    view, text = shown(warning, error, warning, error)

    assert text == "warning: vmagent is missing\n"
    assert errors_of(view.troubles, "error: update failed\n") == ["chat-0: nobody lists 'x'"]


def test_without_an_error_of_a_resource_pulumis_own_complaint_is_the_error() -> None:
    view, _ = shown()

    assert errors_of(view.troubles, "\nerror: the stack is locked\n  by 7\n") == ["the stack is locked", "by 7"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"create": 3, "same": 2, "read": 1}, "3 created, 2 unchanged, in 21 s"),
        ({"delete": 1}, "1 deleted, in 21 s"),
        ({}, "nothing to do, in 21 s"),
    ],
)
def test_the_summary_counts_what_was_done(changes: dict[str, int], said: str) -> None:
    assert shown(Summary(changes, 21.0))[0].describe_summary() == said
    assert shown(Note("x"))[0].describe_summary() == ""


def test_an_unchanged_instance_says_nothing_and_a_failed_one_does() -> None:
    _, text = shown(Step("chat-0", INSTANCE, "same"), Step("chat-1", INSTANCE, "create", failed=True))

    assert text == "chat-1  create failed\n"
