"""Processes as the kernel sees them: who descends from whom, and who is still there."""

from pathlib import Path

from providers.engine_watch import Process


def descendants(pid: int) -> list[Process]:
    """Return every process below `pid`, each of them proof against a later one of the same number."""
    found = []
    for folder in Path("/proc").glob(f"{pid}/task/*"):
        try:
            children = (folder / "children").read_text().split()
        except OSError:  # the thread has ended since it was listed
            continue
        for child in children:
            try:
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found += [Process(int(child), fields[19]), *descendants(int(child))]
    return found


def processes_of(folder: Path) -> list[Process]:
    """Return the processes whose environment names a folder: all that a stack's engines started, wherever these are."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            mine = str(folder).encode() in file.read_bytes()
            fields = (file.parent / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended, or it is none of ours
            continue
        if mine:
            found.append(Process(int(file.parent.name), fields[19]))
    return found


def executable(process: Process) -> Path | None:
    """Return the program that a process runs, or None if it has ended."""
    try:
        return Path(f"/proc/{process.pid}/exe").readlink()
    except OSError:
        return None
