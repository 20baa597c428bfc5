"""Opens the ports of the object store and leads each connection to the store.

It refuses requests about tags itself, because the store shall take none. While a fault of the store is armed,
connections go through a proxy that plays faults.
"""

from sandbox.faults import Faults
from sandbox.services.child import ServiceError
from sandbox.services.http_server import Server, listener
from sandbox.services.object_store import MOVES, ObjectStore
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK, choose, free
from sandbox.services.relay import Relay
from sandbox.services.store_faults import Manners, proxy
from sandbox.services.store_manners import NO_TAGS, asks_for_tags, error_text


class StoreFront:
    """Stands in front of a running store; port 0 means any free port. Raises ServiceError if a port is in use.

    `like_s3`: lists name no folders, as Pulumi needs it for states. All bytes then go through the proxy, which is slower.
    """

    def __init__(
        self,
        store: ObjectStore,
        faults: Faults,
        http_port: int = 0,
        https_port: int = 0,
        manners: Manners | None = None,
        *,
        like_s3: bool = False,
    ) -> None:
        for port, move in zip((http_port, https_port), MOVES, strict=True):
            if port and not free(port):
                raise ServiceError(taken(port, "the object store", move))
        spare = choose(2)
        self.http_port, self.https_port = (wanted or spare.pop() for wanted in (http_port, https_port))
        self._store = store
        self._faults = faults
        self._manners = manners or Manners()
        self._proxies: dict[int, Server] = {}
        self._like_s3 = like_s3
        if like_s3:
            self._start_proxies()
        self._relay = Relay([listener(self.http_port), listener(self.https_port)], self._leads_to, self._untagged)
        faults.changed = self._changed

    @property
    def endpoint(self) -> str:
        """Return the URL of the S3 API for this machine."""
        return f"http://{LOOPBACK}:{self.http_port}"

    def stop(self) -> None:
        """Close the ports; the store runs on."""
        self._faults.changed = lambda: None
        self._relay.stop()
        for server in self._proxies.values():
            server.stop()
        self._proxies.clear()

    def _leads_to(self, port: int) -> int:
        if self._by_proxy():
            return self._proxies[port].port
        return self._store.http_port if port == self.http_port else self._store.https_port

    def _changed(self) -> None:
        if self._faults.pending("store") and not self._proxies:
            self._start_proxies()
        if self._proxies:
            self._relay.change()

    def _start_proxies(self) -> None:
        def started(**tls: str) -> Server:
            server = Server(proxy(self._store.endpoint, self._faults, self._manners), listener(), **tls)
            server.start()
            return server

        key, chain = self._store.certificate_files
        plain, encrypted = started(), started(ssl_keyfile=str(key), ssl_certfile=str(chain))
        self._proxies = {self.http_port: plain, self.https_port: encrypted}

    def _untagged(self, first: bytes) -> bytes | None:
        """Return the answer to a request about tags that begins with these bytes; None for any other request."""
        if self._by_proxy():
            return None  # the proxy answers them itself
        words = first[:8192].partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1.") or b"?" not in words[1]:
            return None
        if not asks_for_tags(words[1].partition(b"?")[2].decode(errors="replace")):
            return None
        status, code, message = NO_TAGS
        body = error_text(code, message).encode()
        return (
            f"HTTP/1.1 {status} Not Implemented\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        ).encode() + body

    def _by_proxy(self) -> bool:
        return bool(self._proxies) and (self._like_s3 or self._faults.pending("store") or self._manners.late.pending())
