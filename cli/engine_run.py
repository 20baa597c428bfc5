"""Run an update of the engine and show it by its events, and its troubles by the operator's sentences."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from rich.console import Console

from cli.update_view import UpdateView
from providers.engine_events import Event, Trouble, parse, trouble

STREAMED = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}  # without it a preview says nothing until its end

Engine = Callable[[Sequence[str], Callable[[Event | None], None]], tuple[int, str]]  # what `call_engine` does


def run_engine(words: Sequence[str], console: Console | None = None) -> None:
    """Run `pulumi WORDS` and show its progress. Raises CalledProcessError after it has printed the errors."""
    view = UpdateView(console or Console(highlight=False))
    with view:
        status, complained = call_engine(words, view.take)
    if status:
        for text in errors_of(view.troubles, complained):
            print(text, file=sys.stderr)
        raise subprocess.CalledProcessError(status, ["pulumi", *words])
    if summary := view.describe_summary():
        view.console.print(summary)


def call_engine(words: Sequence[str], take: Callable[[Event | None], None]) -> tuple[int, str]:
    """Run `pulumi WORDS` and hand over each event. Return its exit status, and what its command line wrote to stderr.

    The raw lines stay here: they hold what an operator must not print, such as the properties in lines for debugging.
    """
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            ["pulumi", *words, "--json", "--non-interactive"],
            env={**os.environ, **STREAMED},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as engine,
    ):
        assert engine.stdout is not None
        for line in engine.stdout:
            take(parse(line))
        status = engine.wait()
        complaints.seek(0)
        return status, complaints.read()


def errors_of(troubles: Sequence[Trouble], complained: str) -> list[str]:
    """Return the errors as sentences: those of resources and program, or else what Pulumi's command line complained of."""
    sentences = [f"{one.name}: {one.text}" if one.name else one.text for one in troubles if one.is_error]
    if sentences:
        return sentences
    lines = [line for line in complained.splitlines() if line.strip()]
    return [found.text for line in lines if (found := trouble("", line, True))]
