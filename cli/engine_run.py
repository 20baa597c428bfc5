"""Run an update of the engine and show it by its events, and its troubles by the operator's sentences."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence

from rich.console import Console

from cli.update_view import UpdateView
from providers.engine_events import parse, trouble


def run_engine(words: Sequence[str], console: Console | None = None) -> None:
    """Run `pulumi WORDS` and show what it does. Raises CalledProcessError after its errors were printed."""
    command = ["pulumi", *words]
    view = UpdateView(console or Console(highlight=False))
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            [*command, "--json", "--non-interactive"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as engine,
        view,
    ):
        assert engine.stdout is not None
        for line in engine.stdout:
            view.take(parse(line))
        status = engine.wait()
        complaints.seek(0)
        complained = complaints.read()
    if status:
        for text in errors_of(view, complained):
            print(text, file=sys.stderr)
        raise subprocess.CalledProcessError(status, command)
    if summary := view.describe_summary():
        view.console.print(summary)


def errors_of(view: UpdateView, complained: str) -> list[str]:
    """Return the errors as sentences: those of resources and program, or else what Pulumi's command line complained of."""
    sentences = [f"{one.name}: {one.text}" if one.name else one.text for one in view.troubles if one.is_error]
    if sentences:
        return sentences
    lines = [line for line in complained.splitlines() if line.strip()]
    return [found.text for line in lines if (found := trouble("", line, True))]
