"""One emulated host: its namespaces, its ports on loopback and its log."""

import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO

from sandbox.hosts import forwarder, sshd
from sandbox.hosts.forwarder import Dial, Forwarder, Listener
from sandbox.hosts.namespaces import Namespaces
from sandbox.hosts.pump import Line
from sandbox.hosts.spec import IDENTITY_PORTS, SSH_PORT, HostsError, HostSpec, Traffic

READY_SECONDS = 20.0
POLL_SECONDS = 0.002
# A separate loopback address, so that the port of an outward name does not block a service on 127.0.0.1.
OUTWARD_ADDRESS = "127.77.0.1"
BYTES_PER_MBIT = 125_000
# From this speed on the machine itself is the limit, so the line has none.
UNLIMITED_MBPS = 2000
KEPT_CHARACTERS = 20_000
SMALLEST_DISK_MB = 64
MIB = 2**20


class NamespaceHost:
    """A host in namespaces of its own. NamespaceHosts.create makes it; its public methods are those of Host."""

    def __init__(
        self,
        spec: HostSpec,
        address: str,
        forwarding: Forwarder,
        output: IO[bytes],
        release: Callable[[], None],
        apply_fault: "ApplyFault",
    ) -> None:
        self.spec = spec
        self._apply_fault = apply_fault
        # Called after the host is gone, to remove its disk.
        self._release = release
        self.key = sshd.HostKey.new()
        self.line = Line()
        self.set_speed(spec.download_mbps)
        # The content of the fault file inside, name -> value.
        self.marks: dict[str, float] = {}
        # The public keys that the market knows.
        self.admitted = list(spec.authorized_keys)
        # Called before each connection to the SSH port.
        self.before_login: Callable[[], None] = lambda: None
        self._address = address
        self._forwarding = forwarding
        self._output = output
        self._last_words = ""
        self._log_lock = threading.Lock()
        self._lock = threading.RLock()
        self._inside: Namespaces | None = None
        self._stopped = False
        self._inward: list[Listener] = []
        self._outward: dict[int, Listener] = {}
        for port in dict.fromkeys((*([] if spec.command else [SSH_PORT]), *spec.published)):
            self._publish(port, forwarder.listen(address=spec.address))
        self.ports: Mapping[int, int] = {port: one.server.getsockname()[1] for port, one in self._outward.items()}
        self._udp = {port: forwarder.reserve_udp(spec.address) for port in spec.published_udp}
        self.udp_ports: Mapping[int, int] = {port: one.getsockname()[1] for port, one in self._udp.items()}

    @property
    def namespaces(self) -> Namespaces:
        """Return the host's namespaces. Raises HostsError after the host was destroyed."""
        if self._inside is None:
            raise HostsError(f"The emulated host {self.spec.name} is destroyed.")
        return self._inside

    @property
    def traffic(self) -> Traffic:
        """Return the bytes that its line has carried."""
        return Traffic(self.line.to_host.carried, self.line.from_host.carried)

    def enter(self, namespaces: Namespaces) -> None:
        """Take over the namespaces of this host and wait until its SSH server answers."""
        self._inside = namespaces
        for place, (address, port) in self.spec.outward.items():
            server = namespaces.listen(OUTWARD_ADDRESS, int(place.rpartition(":")[2]))
            dial = forwarder.dial_machine(address, port)
            self._inward.append(self._forwarding.serve(server, dial, self.line, host_dialled=True))
        self._wait_for_banner()

    def stop(self) -> None:
        """End every process; the disk stays."""
        with self._lock:
            self._stopped = True
            self.namespaces.signal(signal.SIGKILL)

    def start(self) -> None:
        """Run sshd and onstart again and return when the SSH server answers."""
        with self._lock:
            self.namespaces.start()
            self._stopped = False
            self._wait_for_banner()

    def destroy(self) -> None:
        """End the host, its disk and its ports. Destroying twice is harmless."""
        with self._lock:
            if self._inside is not None:
                self._inside.destroy()
                self._inside = None
            for listener in (*self._outward.values(), *self._inward):
                self._forwarding.close(listener)
            for reserved in self._udp.values():
                reserved.close()
            self._outward.clear()
            self._inward.clear()
            self._release()
            self._close_log()

    def log(self) -> str:
        """Return the output of onstart and the services so far. After destroy, return the last 20,000 characters."""
        with self._log_lock:
            if self._output.closed:
                return self._last_words
            size = os.fstat(self._output.fileno()).st_size
            return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    @property
    def ended(self) -> bool:
        """Return whether the host's own command has ended, and with it every other process."""
        inside = self._inside
        if not self.spec.command or inside is None or self._stopped:
            return False
        try:
            return not inside.children()
        except (HostsError, OSError):
            return False  # another thread destroys the host

    def forget_log(self) -> None:
        """Empty the log."""
        with self._log_lock:
            os.ftruncate(self._output.fileno(), 0)

    def admit(self, key: str, on: bool = True) -> None:
        """Let a public key in, or with on=False remove it. The other lines of the file stay."""
        with self._lock:
            self.admitted = sshd.with_key(self.admitted, key, on)
            lines = self.namespaces.read_or_empty(sshd.KEYS_FILE).splitlines()
            self.namespaces.write(sshd.KEYS_FILE, "".join(f"{line}\n" for line in sshd.with_key(lines, key, on)), 0o600)

    def fault(self, name: str, **options: object) -> None:
        """Break one thing or, with on=False, mend it; faults.py lists them. Raises HostsError for an unknown one."""
        with self._lock:
            self._apply_fault(self, name, options)

    def set_speed(self, mbps: float) -> None:
        """Set the host's download speed in Mbit/s. 0, or 2000 and more, is as fast as the machine can."""
        self.line.to_host.bytes_per_second = mbps * BYTES_PER_MBIT if 0 < mbps < UNLIMITED_MBPS else None

    def close_port(self, port: int) -> None:
        """Refuse connections to a published port and cut the open ones."""
        if port in self._outward:
            self._forwarding.close(self._outward.pop(port))

    def open_port(self, port: int) -> None:
        """Accept connections to a published port again. Raises HostsError if another program took the number."""
        if port not in self._outward:
            try:
                self._publish(port, forwarder.listen(self.ports[port], self.spec.address))
            except OSError as error:
                raise HostsError(
                    f"Port {self.ports[port]} of {self.spec.name} cannot be opened again: {error}."
                ) from error

    def move_ports(self) -> None:
        """Publish every open port under another number, and cut the open connections."""
        servers = {port: forwarder.listen(address=self.spec.address) for port in tuple(self._outward)}
        for port, server in servers.items():
            self.close_port(port)
            self._publish(port, server)
        self.ports = {**self.ports, **{port: server.getsockname()[1] for port, server in servers.items()}}

    @property
    def disk_bytes(self) -> int:
        """Return the size of the disk in bytes."""
        return max(SMALLEST_DISK_MB, self.spec.disk_mb) * MIB

    def used_bytes(self) -> int:
        """Return the bytes in use on the disk."""
        disk = os.statvfs(f"/proc/{self.namespaces.pid1}/root")
        return (disk.f_blocks - disk.f_bfree) * disk.f_frsize

    def wait_until(self, true: Callable[[], bool], otherwise: str) -> None:
        """Poll until `true` returns True. After 20 s, raise HostsError with the end of the log."""
        deadline = time.monotonic() + READY_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise HostsError(f"{self.spec.name}: {otherwise}. The end of its log: {self.log()[-600:]}")
            time.sleep(POLL_SECONDS)

    def _close_log(self) -> None:
        last_words = self.log()[-KEPT_CHARACTERS:]
        with self._log_lock:
            self._last_words = last_words
            self._output.close()

    def _publish(self, port: int, server: socket.socket) -> None:
        self._outward[port] = self._forwarding.serve(server, self._dial(port), self.line, host_dialled=False)

    def _dial(self, port: int) -> Dial:
        def dial() -> tuple[int, socket.socket]:
            if port == SSH_PORT:
                self.before_login()
            # The host's own address, so that a service on 127.0.0.1 alone is refused.
            return self.namespaces.dial(self._address, port if port < IDENTITY_PORTS else self.ports[port])

        return dial

    def _wait_for_banner(self) -> None:
        if self.spec.command:
            return
        try:
            self.wait_until(self._banner, "its SSH server does not answer")
        except HostsError as error:
            raise HostsError(
                f"{error} The end of sshd's: {self.namespaces.read_or_empty(sshd.LOG_FILE)[-300:]}"
            ) from error

    def _banner(self) -> bool:
        number, connection = self.namespaces.dial(self._address, SSH_PORT)
        with connection:
            connection.settimeout(READY_SECONDS)
            try:
                # On one machine the kernel makes or refuses a connection at once.
                return number in (0, errno.EINPROGRESS) and connection.recv(4) == b"SSH-"
            except OSError:
                return False


# Breaks or mends one thing of a host: (host, fault's name, options).
ApplyFault = Callable[[NamespaceHost, str, Mapping[str, object]], None]
