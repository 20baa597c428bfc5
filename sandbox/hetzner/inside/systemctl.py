#!/usr/bin/python3
"""systemctl of an emulated server, which has no systemd: starts, supervises and ends units by their files.

It knows the verbs and the keys of unit files that servers of this project use, and refuses other verbs. Each service has
a supervising process of its own, whose output and the service's go to a log that `journalctl -u UNIT` prints.
"""

import contextlib
import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FOLDERS = (Path("/etc/systemd/system"), Path("/lib/systemd/system"))
WANTS = Path("/etc/systemd/system/multi-user.target.wants")
STATE, LOGS = Path("/run/units"), Path("/var/log/units")
TURN_SECONDS, STOP_SECONDS = 0.05, 90.0
NOT_FOUND, NOT_ACTIVE = 5, 3
Unit = dict[str, list[str]]


def main(words: Sequence[str]) -> int:
    """Run one command; return systemctl's exit status."""
    plain = [word for word in words if not word.startswith("-")]
    verb, units = (plain or [""])[0], [named(word) for word in plain[1:]]
    if verb in ("daemon-reload", "boot"):
        return max([0, *map(start, enabled() if verb == "boot" else ())])
    verbs: dict[str, Callable[[str], int]] = {
        "start": start,
        "stop": stop,
        "restart": lambda unit: stop(unit) or start(unit),
        "enable": lambda unit: enable(unit) or ("--now" in words and start(unit)) or 0,
        "disable": lambda unit: disable(unit) or ("--now" in words and stop(unit)) or 0,
        "is-active": is_active,
        "is-enabled": is_enabled,
        "supervise": supervise,
    }
    if verb not in verbs or not units:
        return failed(f"An emulated server's systemctl has no {' '.join(words) or 'command'}.")
    return max(verbs[verb](unit) for unit in units)


def named(word: str) -> str:
    """Return the whole name of a unit."""
    return word if "." in word else f"{word}.service"


def file_of(unit: str) -> Path | None:
    """Return a unit's file, None if there is none."""
    return next((folder / unit for folder in FOLDERS if (folder / unit).is_file()), None)


def read(unit: str) -> Unit:
    """Return a unit's keys and values; an empty value forgets the ones before it."""
    file, found = file_of(unit), Unit()
    text = file.read_text().replace("\\\n", " ") if file else ""
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", ";")):
            found[key.strip()] = [*found.get(key.strip(), []), value.strip()] if value.strip() else []
    return found


def one(unit: Unit, key: str, otherwise: str = "") -> str:
    """Return the last value of a key."""
    return (unit.get(key) or [otherwise])[-1]


def words_of(unit: Unit, key: str) -> list[str]:
    """Return the words of a key's values."""
    return [word for value in unit.get(key, []) for word in value.split()]


def state_of(unit: str) -> dict[str, Any]:
    """Return what the supervising process says of a unit."""
    try:
        found: dict[str, Any] = json.loads((STATE / unit).read_text())
    except (OSError, ValueError):
        return {"state": "inactive"}
    if found["state"] not in ("inactive", "failed") and not found.get("stays") and not alive(found["supervisor"]):
        return {"state": "failed"}
    return found


def note(unit: str, state: str, **more: Any) -> None:
    """Write what a unit does; a reader gets the whole of it, or the old."""
    written = STATE / f".{unit}"
    written.write_text(json.dumps({"state": state, "supervisor": os.getpid(), **more}))
    written.replace(STATE / unit)


def alive(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def failed(sentence: str, status: int = 1) -> int:
    """Say why, and return the exit status."""
    sys.stderr.write(sentence + "\n")
    return status


def enabled() -> list[str]:
    """Return the enabled units of this server's own, those first that others come after. Those of packages stay off."""
    links = sorted(WANTS.iterdir()) if WANTS.is_dir() else []
    units = [link.name for link in links if (FOLDERS[0] / link.name).is_file()]
    return sorted(units, key=lambda unit: len({*words_of(read(unit), "After"), *words_of(read(unit), "Requires")}))


def enable(unit: str) -> int:
    """Have a unit start at each boot."""
    file = file_of(unit)
    if file is None:
        return failed(f"Failed to enable unit: Unit file {unit} does not exist.")
    WANTS.mkdir(parents=True, exist_ok=True)
    if not (WANTS / unit).is_symlink():
        (WANTS / unit).symlink_to(file)
    return 0


def disable(unit: str) -> int:
    """Have a unit start at no boot."""
    (WANTS / unit).unlink(missing_ok=True)
    return 0


def is_enabled(unit: str) -> int:
    """Print whether a unit starts at each boot."""
    found = (WANTS / unit).is_symlink()
    print("enabled" if found else "disabled")
    return 0 if found else 1


def is_active(unit: str) -> int:
    """Print a unit's state."""
    state = state_of(unit)["state"]
    print("activating" if state == "auto-restart" else state)
    return 0 if state == "active" else NOT_ACTIVE


def start(unit: str) -> int:
    """Start a unit after those that it requires, and return when it is ready or has failed."""
    if file_of(unit) is None:
        return failed(f"Failed to start {unit}: Unit {unit} not found.", NOT_FOUND)
    if state_of(unit)["state"] == "active":
        return 0
    keys = read(unit)
    for required in words_of(keys, "Requires"):
        if required.endswith(".service") and start(required):
            return failed(f"A dependency job for {unit} failed. See 'journalctl -xe' for details.")
    if not all(holds(condition) for condition in words_of(keys, "ConditionPathExists")):
        return 0  # as systemd: skipped, which is no failure
    supervisor = supervisor_of(unit)
    for passing in (("auto-restart",), ("inactive", "activating")):
        while alive(supervisor) and state_of(unit)["state"] in passing:
            time.sleep(TURN_SECONDS)
    if state_of(unit)["state"] in ("active", "inactive"):
        return 0
    return failed(f'Job for {unit} failed. See "systemctl status {unit}" and "journalctl -xeu {unit}" for details.')


def supervisor_of(unit: str) -> int:
    """Return the process that supervises a unit. Two starts at once, such as a boot's and a person's, share one."""
    STATE.mkdir(exist_ok=True)
    LOGS.mkdir(exist_ok=True)
    with (STATE / f".{unit}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = state_of(unit)
        if found["state"] not in ("inactive", "failed") and not found.get("stays"):
            return int(found["supervisor"])
        for left in (STATE / unit, STATE / f"{unit}.stop"):
            left.unlink(missing_ok=True)
        with (LOGS / f"{unit}.log").open("ab") as log:
            words, quiet = [sys.executable, __file__, "supervise", unit], subprocess.DEVNULL
            supervisor = subprocess.Popen(words, stdin=quiet, stdout=log, stderr=log, start_new_session=True, cwd="/")
        while supervisor.poll() is None and not (STATE / unit).exists():
            time.sleep(TURN_SECONDS)
        return supervisor.pid


def holds(condition: str) -> bool:
    """Say whether a ConditionPathExists is fulfilled."""
    return not Path(condition[1:]).exists() if condition.startswith("!") else Path(condition).exists()


def stop(unit: str) -> int:
    """End a unit, and return when it has ended."""
    found = state_of(unit)
    if found["state"] in ("inactive", "failed"):
        return 0
    if found.get("stays"):
        note(unit, "inactive")
        return 0
    (STATE / f"{unit}.stop").touch()
    deadline, asked = time.monotonic() + STOP_SECONDS, signal.SIGTERM
    whole = one(read(unit), "KillMode", "control-group") != "process"
    while alive(found["supervisor"]):
        main_process = state_of(unit).get("main")
        if main_process and (asked == signal.SIGTERM or time.monotonic() > deadline):
            end(main_process, whole, asked)
            asked = signal.SIGKILL
        time.sleep(TURN_SECONDS)
    return 0


def end(pid: int, whole: bool, number: signal.Signals) -> None:
    """Send a signal to a service's main process, or to its whole group."""
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if whole else os.kill)(pid, number)


def supervise(unit: str) -> int:
    """Run a unit until it ends or is stopped."""
    keys = read(unit)
    restart, pause = one(keys, "Restart", "no"), float(one(keys, "RestartSec", "0.1").removesuffix("s"))
    note(unit, "activating")
    while True:
        status = once(unit, keys)
        stopped = (STATE / f"{unit}.stop").exists()
        if one(keys, "Type") == "oneshot":
            stays = status == 0 and one(keys, "RemainAfterExit") in ("yes", "true")
            note(unit, "failed" if status else "active" if stays else "inactive", stays=stays)
            return status
        if stopped or restart == "no" or (restart == "on-failure" and status == 0):
            note(unit, "inactive" if stopped or status == 0 else "failed")
            return 0
        note(unit, "auto-restart")
        until = time.monotonic() + pause
        while time.monotonic() < until and not (STATE / f"{unit}.stop").exists():
            time.sleep(TURN_SECONDS)
        if (STATE / f"{unit}.stop").exists():
            note(unit, "inactive")
            return 0


def once(unit: str, keys: Unit) -> int:
    """Run a unit's programs once, and return the exit status."""
    environment = environment_of(keys)
    for command in keys.get("ExecStartPre", []):
        if call(command, environment) and not command.startswith("-"):
            return 1
    kind = one(keys, "Type", "simple")
    if kind == "oneshot":
        return next((status for command in keys.get("ExecStart", []) if (status := call(command, environment))), 0)
    ready = None
    if kind == "notify":
        place = STATE / f"{unit}.notify"
        place.unlink(missing_ok=True)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(place))
        ready.settimeout(TURN_SECONDS)
        environment["NOTIFY_SOCKET"] = str(place)
    process = subprocess.Popen(shlex.split(one(keys, "ExecStart")), env=environment, start_new_session=True)
    note(unit, "activating", main=process.pid)
    while ready is not None and process.poll() is None and not says_ready(ready):
        pass
    if process.poll() is None:
        note(unit, "active", main=process.pid)
    return process.wait()


def environment_of(keys: Unit) -> dict[str, str]:
    """Return the environment of a unit's programs."""
    environment = os.environ | {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    for file in (Path(value.removeprefix("-")) for value in keys.get("EnvironmentFile", [])):
        lines = file.read_text().splitlines() if file.is_file() else []
        environment |= dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    words = [word for value in keys.get("Environment", []) for word in shlex.split(value)]
    return environment | dict(word.split("=", 1) for word in words)


def says_ready(listening: socket.socket) -> bool:
    """Wait for a moment, and say whether the service has told that it is ready."""
    try:
        return b"READY=1" in listening.recv(4096)
    except TimeoutError:
        return False


def call(command: str, environment: dict[str, str]) -> int:
    """Run a command of a unit to its end."""
    try:
        return subprocess.run(shlex.split(command.lstrip("-+!@")), env=environment, check=False).returncode
    except OSError as error:
        return failed(f"{command}: {error}", 203)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
