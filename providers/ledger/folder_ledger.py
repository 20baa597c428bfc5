"""Keep events in a local folder: the ledger if there is no bucket, else the queue of events that the bucket lacks.

One file an event, at the event's key below the folder. A rename makes each file appear whole or not at all.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from providers.ledger.event import Event, KeyParts, Outcome, parse, parse_key
from providers.ledger.machine_history import MachineHistory, fold

LOG_END = "-log.txt"


def ledger_home(environ: Mapping[str, str], name: str) -> Path:
    """Return the local folder of the ledger with this bucket's name (XDG base directory specification)."""
    home = Path(environ.get("HOME") or Path.home())
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return (state if state.is_absolute() else home / ".local" / "state") / "gpu-fleet" / "ledger" / name


class FolderLedger:
    """Write and read the ledger in a folder; satisfies `providers.ledger.ledger.Ledger`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, event: Event) -> None:
        """Write an event. If the folder cannot be written, the event is lost and renting goes on."""
        with suppress(OSError):
            self.write(event)

    def keep(self, event: Event, text: str) -> None:
        """Write a log beside its event. If the folder cannot be written, the log is lost."""
        with suppress(OSError):
            self.write_at(event.log_key, text)

    def log(self, event: Event) -> str:
        """Return the log beside an event; empty if there is none."""
        return _text(self._folder / event.log_key)

    def logs(self) -> list[str]:
        """Return the keys of all logs in the folder."""
        return [file.relative_to(self._folder).as_posix() for file in sorted(self._folder.glob(f"*/*{LOG_END}"))]

    def write(self, event: Event) -> Path:
        """Write an event and return its file. Raises OSError."""
        return self.write_at(event.key, event.model_dump_json(exclude_none=True))

    def write_at(self, key: str, text: str) -> Path:
        """Write a text under a key and return its file. Raises OSError."""
        file = self._folder / key
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_text(text)
        part.replace(file)
        return file

    def machine_histories(self) -> Mapping[int, MachineHistory]:
        """Return each machine's history by its id, made of all events."""
        return fold(self.events())

    def events(self, stack_id: str | None = None, name: str | None = None) -> list[Event]:
        """Return events in the order of time: all, or those of one stack or one instance."""
        files = [file for file, parts in self._files() if is_selected(parts, stack_id, name)]
        return [event for file in files if (event := parse(_text(file))) is not None]

    def fresh(
        self, stack_id: str | None, since: str, outcomes: Collection[Outcome], known: Collection[str] = ()
    ) -> list[Event]:
        """Return events of some outcomes from a day (YYYY-MM-DD) on, without those whose keys are known.

        They are those of a stack, or all.
        """
        files = [file for file, parts in self._files() if parts.day >= since and is_asked(parts, stack_id, outcomes)]
        found = [event for file in files if (event := parse(_text(file))) is not None]
        return [event for event in found if event.key not in known]

    def _files(self) -> Iterator[tuple[Path, KeyParts]]:
        for file in sorted(self._folder.glob("*/*.json")):
            if parts := parse_key(file.relative_to(self._folder).as_posix()):
                yield file, parts


def is_selected(parts: KeyParts, stack_id: str | None, name: str | None) -> bool:
    """Return whether a key belongs to the given stack and instance; None selects any."""
    return stack_id in (None, parts.stack_id) and name in (None, parts.name)


def is_asked(parts: KeyParts, stack_id: str | None, outcomes: Collection[Outcome]) -> bool:
    """Return whether a key is that of an event of a stack, or of any if it is None, with one of the outcomes."""
    return stack_id in (None, parts.stack_id) and parts.outcome in outcomes


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
