"""Read the engine's events from the JSON lines of `pulumi up --json`: progress, troubles, and the end.

The engine hands lines that a provider prints over as diagnostics. A provider's line of progress is
`NAME  PHASE  TEXT`, with two blanks between (see `providers.progress`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COLOUR = re.compile(r"<\{%[^%]*%\}>")
PROGRESS = re.compile(r"(\S+)  (\S+(?: \S+)*)  (.+)", re.DOTALL)
# How the engine words a refused input. The value may be a whole map of properties, and the reason names the key.
REFUSED = re.compile(
    r"\S+ resource '(?P<name>[^']+)'(?:: property \S+ value \{.*\})? has a problem: (?P<reason>.*)", re.DOTALL
)
# The engine warns of each plugin that it finds on PATH. Set-up has put them there.
ON_PATH = re.compile(r"using pulumi-\S+ from \$PATH at .*")
NOTHING_NEW = ("update failed", "preview failed", "destroy failed", "refresh failed", "resource registration failed")


@dataclass(frozen=True)
class Progress:
    """A phase of one instance, or of another part of the stack such as `rentals`."""

    name: str
    phase: str
    text: str


@dataclass(frozen=True)
class Trouble:
    """An error or a warning. `name` is the resource that has it, empty for the program's own."""

    name: str
    text: str
    is_error: bool


@dataclass(frozen=True)
class Step:
    """The engine has done something to a resource (or has failed to). `before` are the outputs that state had."""

    name: str
    type: str
    operation: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """The end. `changes` counts resources by operation."""

    changes: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class Note:
    """Any other line that a plugin or the program printed."""

    text: str


Event = Progress | Trouble | Step | Summary | Note


def parse(line: str) -> Event | None:
    """Read one line of the engine's JSON; None if an operator need not know it, or if it is no JSON."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    if found := row.get("diagnosticEvent"):
        return _diagnostic(found)
    if found := row.get("resOutputsEvent"):
        metadata = found["metadata"]
        return Step(*_resource(metadata), outputs=_outputs(metadata, "new"), before=_outputs(metadata, "old"))
    if found := row.get("resOpFailedEvent"):
        return Step(*_resource(found["metadata"]), failed=True)
    if found := row.get("errorEvent"):
        return trouble("", str(found.get("error") or ""), True)
    if found := row.get("summaryEvent"):
        return Summary(found.get("resourceChanges") or {}, float(found.get("durationSeconds") or 0))
    return None


def _resource(metadata: Mapping[str, Any]) -> tuple[str, str, str]:
    return _name(metadata.get("urn")), str(metadata.get("type")), str(metadata.get("op"))


def _outputs(metadata: Mapping[str, Any], which: str) -> Mapping[str, Any]:
    return (metadata.get(which) or {}).get("outputs") or {}


def _name(urn: object) -> str:
    return str(urn or "").rpartition("::")[2]


def _diagnostic(row: Mapping[str, Any]) -> Event | None:
    text = COLOUR.sub("", str(row.get("message") or "")).strip()
    if not text or row.get("severity") == "debug":
        return None
    if row.get("severity") in ("error", "warning"):
        return trouble(_name(row.get("urn")), text, row["severity"] == "error")
    if found := PROGRESS.fullmatch(text):
        return Progress(*found.groups())
    return Note(text)


def trouble(name: str, text: str, is_error: bool) -> Trouble | None:
    """Reduce the engine's text about an error to the sentence that the operator needs, without the engine's dump."""
    text = text.removeprefix("error: ").removeprefix("warning: ").strip()
    if found := REFUSED.fullmatch(text):
        name, text = found["name"], found["reason"].strip()
    return None if text in NOTHING_NEW or ON_PATH.fullmatch(text) else Trouble(name, text, is_error)
