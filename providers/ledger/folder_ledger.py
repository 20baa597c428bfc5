"""Events in a folder of this machine: the ledger where there is no bucket, and the bucket's waiting room.

One file an event, below the folder by the event's key. A file is there whole or not at all.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from providers.ledger.event import Event, KeyParts, parse, parse_key
from providers.ledger.machine_history import MachineHistory, fold

LOG_END = "-log.txt"


def ledger_home(environ: Mapping[str, str], name: str) -> Path:
    """Return where ledgers lie on this machine (XDG base directory specification), by the name of their bucket."""
    home = Path(environ.get("HOME") or Path.home())
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return (state if state.is_absolute() else home / ".local" / "state") / "gpu-fleet" / "ledger" / name


class FolderLedger:
    """Satisfies `providers.ledger.ledger.Ledger`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, event: Event) -> None:
        """Write an event down; a folder that cannot be written to loses it, because renting goes on all the same."""
        with suppress(OSError):
            self.write(event)

    def keep(self, event: Event, text: str) -> None:
        """Write a log down beside its event; a folder that cannot be written to loses it."""
        with suppress(OSError):
            self.write_at(event.log_key, text)

    def log(self, event: Event) -> str:
        """Return the log that is kept beside an event; empty where there is none."""
        return _text(self._folder / event.log_key)

    def logs(self) -> list[str]:
        """Return the keys of the logs that lie here."""
        return [file.relative_to(self._folder).as_posix() for file in sorted(self._folder.glob(f"*/*{LOG_END}"))]

    def write(self, event: Event) -> Path:
        """Write an event down and return its file. Raises OSError."""
        return self.write_at(event.key, event.model_dump_json(exclude_none=True))

    def write_at(self, key: str, text: str) -> Path:
        """Write a text down under a key and return its file. Raises OSError."""
        file = self._folder / key
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_text(text)
        part.replace(file)
        return file

    def records(self) -> Mapping[int, MachineHistory]:
        """Return what all events add up to, by machine id."""
        return fold(self.events())

    def events(self, stack_id: str | None = None, name: str | None = None) -> list[Event]:
        """Return events in the order of time: all, or those of one stack or one instance."""
        found = [parse(text) for file, parts in self._files() if meant(parts, stack_id, name) and (text := _text(file))]
        return [event for event in found if event is not None]

    def _files(self) -> Iterator[tuple[Path, KeyParts]]:
        for file in sorted(self._folder.glob("*/*.json")):
            if parts := parse_key(file.relative_to(self._folder).as_posix()):
                yield file, parts


def meant(parts: KeyParts, stack_id: str | None, name: str | None) -> bool:
    """Say whether an event with this key is of the stack and the instance that are asked for; None asks for any."""
    return stack_id in (None, parts.stack_id) and name in (None, parts.name)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
