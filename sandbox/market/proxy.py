"""The market's SSH proxy: one port for each instance, at the address of its machine.

The port exists from the rental on and leads to the instance's port 22 while it runs.
"""

import socket
import threading

from sandbox.hosts.forwarder import Forwarder, Listener, dial_machine, listen
from sandbox.hosts.pump import Line
from sandbox.hosts.spec import SSH_PORT, HostsError
from sandbox.market.records.contracts import Contract


class SshProxy:
    """The ports of one market. Thread-safe. Its thread starts with the first port."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forwarder: Forwarder | None = None
        self._listeners: dict[int, Listener] = {}

    def open(self, contract: Contract) -> int:
        """Return a port that leads to the instance while it runs. An earlier connection is reset."""

        def dial() -> tuple[int, socket.socket]:
            host = contract.host
            if host is None or contract.phase != "up" or SSH_PORT not in host.ports:
                raise HostsError(f"Instance {contract.id} takes no logins now.")
            return dial_machine(contract.machine.address, host.ports[SSH_PORT])()

        with self._lock:
            if self._forwarder is None:
                self._forwarder = Forwarder()
            server = listen(address=contract.machine.address)
            # The host's own line meters and slows the bytes; this one does neither.
            self._listeners[contract.id] = self._forwarder.serve(server, dial, Line(), host_dialled=False)
        return int(server.getsockname()[1])

    def close(self, contract: Contract) -> None:
        """Close the port of an instance."""
        with self._lock:
            listener = self._listeners.pop(contract.id, None)
            if listener is not None and self._forwarder is not None:
                self._forwarder.close(listener)

    def stop(self) -> None:
        """Close every port and end the thread."""
        with self._lock:
            forwarder, self._forwarder = self._forwarder, None
            for listener in self._listeners.values():
                if forwarder is not None:
                    forwarder.close(listener)
            self._listeners.clear()
        if forwarder is not None:
            forwarder.stop()
