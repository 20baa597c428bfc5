"""Starts a host's first process in new namespaces and talks to it over a socket. When the socket closes, the host
ends.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

from sandbox.hosts.spec import HostsError

READY_SECONDS = 30.0
ANSWER_SECONDS = 10.0
MESSAGE_BYTES = 1 << 20
TAIL_BYTES = 600
REPOSITORY = Path(__file__).resolve().parents[2]
FIRST_PROCESS = (
    "import sys; sys.path.append(sys.argv[1]); from sandbox.hosts.inside.pid1 import main; main(int(sys.argv[2]))"
)
# Enters control groups, named before `--`, and becomes the rest of its words.
ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'
NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child=KILL", "--net", "--uts", "--ipc", "--propagation", "private")


class Spawner:
    """Starts every host from one thread.

    The kernel's death signal follows the *thread* that started a process. So one thread that lives as long as the
    emulator starts them all. Then a SIGKILL of the emulator ends every host, also a frozen one.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="host spawner", daemon=True)
        self._thread.start()

    def spawn(
        self, command: Sequence[str], output: IO[bytes], kept: int, environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        """Start a program that inherits only the descriptors `output` (1 and 2) and `kept`."""
        started: Future[subprocess.Popen[bytes]] = Future()

        def start() -> None:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[kept],
                    start_new_session=True,
                    cwd="/",
                    env=dict(environment),
                )
                started.set_result(process)
            except OSError as error:
                started.set_exception(error)

        self._work.put(start)
        return started.result()

    def close(self) -> None:
        """End the thread. The kernel then kills the processes that it started."""
        self._work.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class Namespaces:
    """The namespaces of one host. They answer one request at a time; each raises HostsError if the host is gone."""

    def __init__(
        self, spawner: Spawner, name: str, config: Mapping[str, Any], output: IO[bytes], groups: Sequence[Path] = ()
    ) -> None:
        """`groups`: folders of control groups that hold the host, and that it sees as the root of all."""
        self._name = name
        self._lock = threading.Lock()
        self._sequence = 0
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        as_user = ["--map-root-user"] if config["rootless"] else []
        python = ["/usr/bin/python3", "-I", "-S", "-c", FIRST_PROCESS, str(REPOSITORY), str(theirs.fileno())]
        # Absolute paths, because the process gets the container's environment, which /proc/1/environ shows.
        setpriv, unshare = (shutil.which(name) or name for name in ("setpriv", "unshare"))
        own = ["--cgroup"] if groups else []
        command = [setpriv, "--pdeathsig", "KILL", unshare, *NAMESPACES, *own, *as_user, *python]
        if groups:
            command = ["/bin/sh", "-c", ENTER, "sh", *map(str, groups), "--", *command]
        with theirs:
            self._process = spawner.spawn(command, output, theirs.fileno(), config["env"])
        self._pid1: int | None = None
        try:
            # Not in argv: the host's user can read that as /proc/1/cmdline.
            self._control.send(json.dumps(config).encode())
            self._control.settimeout(READY_SECONDS)
            first = json.loads(self._control.recv(MESSAGE_BYTES) or b"{}")
            self._pid1 = self._child_of_unshare()
        except OSError as error:
            first = {"error": str(error)}
        if "refused" in first:
            self.destroy()
            raise HostsError(str(first["refused"]))
        if "ready" not in first or self._pid1 is None:
            self.destroy()
            raise HostsError(
                f"The emulated host {name} could not be set up: {first.get('error', 'its first process ended.')} "
                f"Check whether this machine allows namespaces: unshare -mpnf true. {_end_of(output)}"
            )
        self._control.settimeout(ANSWER_SECONDS)

    @property
    def pid1(self) -> int:
        """Return the first process's id as the machine counts it."""
        if self._pid1 is None:
            raise HostsError(f"The emulated host {self._name} has no first process any more.")
        return self._pid1

    def children(self) -> list[str]:
        """Return the first process's children as the machine counts them. Raises OSError if the process is gone."""
        return Path(f"/proc/{self.pid1}/task/{self.pid1}/children").read_text().split()

    def dial(self, host: str, port: int) -> tuple[int, socket.socket]:
        """Begin a TCP connection inside. Return connect's error number (EINPROGRESS is normal) and the socket."""
        answer, sockets = self._ask("dial", host=host, port=port)
        return int(answer["errno"]), sockets[0]

    def listen(self, host: str, port: int) -> socket.socket:
        """Return a socket that listens inside the host; this process accepts its connections."""
        return self._ask("listen", host=host, port=port)[1][0]

    def signal(self, number: int) -> None:
        """Send a signal to every process inside but the first."""
        self._ask("signal", signal=number)

    def start(self) -> None:
        """Run the host's services again."""
        self._ask("start")

    def run(self, *command: str) -> None:
        """Run one more process inside, as root, with its output in the container log."""
        self._ask("run", command=command)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        self._ask("write", path=path, text=text, how="w", mode=mode)

    def append(self, path: str, text: str, mode: int = 0o644) -> None:
        """Add to the end of a file inside."""
        self._ask("write", path=path, text=text, how="a", mode=mode)

    def read(self, path: str) -> str:
        """Return a small file inside, or the end of a larger one. Raises HostsError if it is missing."""
        return str(self._ask("read", path=path)[0]["text"])

    def read_or_empty(self, path: str) -> str:
        """Return a small file inside, or an empty text if it is missing."""
        try:
            return self.read(path)
        except HostsError:
            return ""

    def destroy(self) -> None:
        """Kill the first process; the kernel then ends all others, the mounts and the network. Harmless twice."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid1 or self._process.pid, signal.SIGKILL)
        self._control.close()
        try:
            self._process.wait(ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _child_of_unshare(self) -> int | None:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def _ask(self, op: str, **arguments: Any) -> tuple[dict[str, Any], list[socket.socket]]:
        with self._lock:
            self._sequence += 1
            try:
                self._control.send(json.dumps({"op": op, "seq": self._sequence, **arguments}).encode())
                while True:
                    data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 4)
                    sockets = [socket.socket(fileno=one) for one in descriptors]
                    answer: dict[str, Any] = json.loads(data or b'{"error": "it has ended"}')
                    if answer.get("seq", self._sequence) == self._sequence:
                        break  # else: the late answer to a request that timed out
                    for one in sockets:
                        one.close()
            except OSError as error:
                raise HostsError(f"The emulated host {self._name} does not answer ({op}): {error}.") from error
        if "error" in answer:
            raise HostsError(f"The emulated host {self._name} refused {op}: {answer['error']}.")
        return answer, sockets


def _end_of(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    end = os.pread(output.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace").strip()
    return f"It wrote: {end}" if end else ""
