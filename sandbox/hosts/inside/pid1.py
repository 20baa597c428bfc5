"""The first process of an emulated host: builds the host, runs its services and answers the emulator's requests.

namespaces.py starts it as `python3 -I -S -c "..." FOLDER DESCRIPTOR`. The descriptor is a socket for requests. When
its other end closes, this process exits and the kernel ends the whole host.
"""

import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from sandbox.hosts.inside import confinement, groups, kernel
from sandbox.hosts.inside.disk import Disk

MESSAGE_BYTES = 1 << 20
BACKLOG = 128
LARGEST_TEXT = 100_000
IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NOT_FOUND = (
    "OCI runtime create failed: runc create failed: unable to start container process: error during container init: "
    'exec: "{}": executable file not found in $PATH: unknown'
)


class NotStarted(Exception):
    """The container exists and its command cannot start. The message is the container runtime's."""


def main(descriptor: int) -> NoReturn:
    """Run the host until the control socket closes. The first message on it is the host's configuration."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    try:
        config = json.loads(control.recv(MESSAGE_BYTES))
        set_up(config)
        host = Host(control, config)
        host.start()
    except NotStarted as error:
        control.send(json.dumps({"refused": str(error)}).encode())
        os._exit(1)
    except BaseException:  # noqa: BLE001 - report any failure to the emulator, then end this host
        control.send(json.dumps({"error": traceback.format_exc(limit=-2)}).encode())
        os._exit(1)
    host.loop()


def set_up(config: dict[str, Any]) -> None:
    """Turn fresh namespaces into the host that the configuration describes."""
    os.umask(0o022)
    disk = Disk(config["mount_point"], config["disk_size"], config["disk_folder"], config["rootless"])
    if "image" in config:
        disk.use_image(config["image"])
    else:
        disk.share_machine(config["share"], config["copy"], config["skeleton"])
    for lower, place in config["layers"]:
        disk.overlay(lower, place)
    disk.make_folders()
    disk.mount_devices(config["shm"], config.get("group", ""))
    for path, (text, mode) in config["files"].items():
        disk.write(path, text, mode)
    for path, text in config["appended"].items():
        disk.append(path, text)
    for source, place, read_only in config.get("binds", ()):
        disk.bind(source, place, read_only=read_only)
    kernel.change_root(str(disk.root))
    kernel.set_host_name(config["name"])
    kernel.loopback_up(config["address"], config.get("more_addresses", ()))
    if config.get("group"):
        groups.hand_on()
    if config["rootless"]:
        confinement.pretend_ownership()
    confinement.confine(config.get("capabilities", ()), config.get("own_settings", ()))


class Host:
    """The running host: its services, its answers to requests, and its ended children."""

    def __init__(self, control: socket.socket, config: dict[str, Any]) -> None:
        self._control = control
        self._commands: list[list[str]] = config["run"]
        self._environment: dict[str, str] = config["env"]
        self._contained: bool = config["contained"]
        self._first: int | None = None
        self._wake, wake_end = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)

    def start(self) -> None:
        """Run every service of the host. A host with its own command runs only that, and ends with it."""
        for command in self._commands:
            if self._contained and not self._found(command[0]):
                raise NotStarted(NOT_FOUND.format(command[0]))
            pid = self._run(command)
            self._first = pid if self._contained else None

    def loop(self) -> NoReturn:
        """Answer requests and collect ended children until the socket closes."""
        self._control.send(json.dumps({"ready": True}).encode())
        control = self._control.fileno()
        while True:
            readable, _, _ = select.select([control, self._wake], [], [])
            if self._wake in readable:
                self._reap()
            if control in readable:
                message = self._control.recv(MESSAGE_BYTES)
                if not message:
                    os._exit(0)
                self._answer(json.loads(message))

    def _answer(self, request: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"seq": request["seq"]}
        passed: Sequence[socket.socket] = ()
        try:
            more, passed = self._do(request["op"], request)
            answer |= more
        except ProcessLookupError:
            pass  # no process is left to signal
        except (
            NotStarted,
            OSError,
            OverflowError,
            ValueError,
        ) as error:  # the request fails and this process goes on
            answer["error"] = f"{type(error).__name__}: {error}"
        socket.send_fds(self._control, [json.dumps(answer).encode()], [one.fileno() for one in passed])
        for one in passed:
            one.close()

    def _do(self, op: str, request: dict[str, Any]) -> tuple[dict[str, Any], Sequence[socket.socket]]:
        answer: dict[str, Any] = {}
        passed: Sequence[socket.socket] = ()
        match op:
            case "dial":
                answer["errno"], passed = self._dial(request["host"], request["port"])
            case "listen":
                passed = [self._listen(request["host"], request["port"])]
            case "signal":
                os.kill(-1, request["signal"])
            case "start":
                for left in Path("/dev/shm").iterdir():  # shared memory does not outlive a restart
                    left.unlink()
                self.start()
            case "run":
                answer["pid"] = self._run(request["command"])
            case "write":
                with Path(request["path"]).open(request["how"]) as file:
                    os.fchmod(file.fileno(), request["mode"])
                    file.write(request["text"])
            case "read":
                answer["text"] = Path(request["path"]).read_text(errors="replace")[-LARGEST_TEXT:]
            case other:
                answer["error"] = f"unknown request {other!r}"
        return answer, passed

    @staticmethod
    def _dial(host: str, port: int) -> tuple[int, Sequence[socket.socket]]:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        return connection.connect_ex((host, port)), [connection]

    @staticmethod
    def _listen(host: str, port: int) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        return listener

    def _found(self, name: str) -> bool:
        folders = [""] if "/" in name else os.get_exec_path(self._environment)
        return any(os.access(Path(folder, name), os.X_OK) for folder in folders)

    def _run(self, command: Sequence[str]) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (*IGNORED, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            # execvpe looks the name up in the image's PATH.
            os.execvpe(command[0], list(command), self._environment)
        except OSError as error:
            sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
            sys.stderr.flush()
        os._exit(127)

    def _reap(self) -> None:
        try:
            os.read(self._wake, 4096)
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                if pid == self._first:
                    os.kill(-1, signal.SIGKILL)  # its other processes end with the container
        except (BlockingIOError, ChildProcessError, ProcessLookupError):
            pass
