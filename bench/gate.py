"""What the gate adds to a request on a kept connection: Caddy with TLS and bearer against the same upstream, bare.

Both are asked in turns within one run, one request at a time, so that whatever else the machine does meets both. The
upstream answers a completion's worth of bytes at once; client, gate and upstream share the machine's cores.
"""

import contextlib
import http.client
import http.server
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from bench._figures import figure, percentile
from bootstrap.gate import Places, caddyfile
from bootstrap.kit import installed_programs
from providers.identity.authority import new_ca, sign_csr

WARM, ROUNDS = 200, 2000
TOKEN = "b" * 43
BODY = b'{"model": "tiny", "prompt": "Hello", "max_tokens": 8}'
ANSWER = b'{"id": "x", "object": "text_completion", "choices": [{"text": "' + b"word " * 40 + b'"}]}'


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers every POST at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Measure and print."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, running_gate(Path(folder), server.server_address[1]) as (port, ca):
        bare = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
        gated = http.client.HTTPSConnection("127.0.0.1", port, context=ssl.create_default_context(cadata=ca))
        for connection in (bare, gated):
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seconds: dict[str, list[float]] = {"bare": [], "gated": []}
        for turn in range(WARM + ROUNDS):
            for name, connection in (("bare", bare), ("gated", gated)):
                took = ask(connection)
                if turn >= WARM:
                    seconds[name].append(took * 1000)
    for share, goal in ((0.5, 1.0), (0.99, 5.0)):
        added = percentile(seconds["gated"], share) - percentile(seconds["bare"], share)
        figure(f"latency that the gate adds, p{share * 100:.0f}", added, "ms", goal)


def ask(connection: http.client.HTTPConnection) -> float:
    """Send one completion request and return the seconds to its whole answer."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/v1/completions", BODY, headers)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    if answer.status != 200 or body != ANSWER:
        raise SystemExit(f"the gate answers {answer.status}: {body[:200]!r}")
    return took


@contextlib.contextmanager
def running_gate(folder: Path, upstream: int) -> Iterator[tuple[int, str]]:
    """Run Caddy with the configuration that hosts get; yields its port and the CA's PEM."""
    now = datetime.now(UTC)
    authority = new_ca("bench", now)
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    csr = request.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.key").write_bytes(private)
    (folder / "tls.crt").write_text(sign_csr(authority.key, authority.certificate, csr, ("127.0.0.1",), now))
    (folder / "token").write_text(TOKEN)
    (folder / "open").touch()
    port, metrics = free_port(), free_port()
    places = Places(str(folder), str(folder), metrics, f"127.0.0.1:{upstream}", "127.0.0.1")
    (folder / "Caddyfile").write_text(caddyfile(port, places))
    command = [f"{installed_programs()['caddy']}", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]
    gate = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stderr=subprocess.DEVNULL)
    try:
        wait_for(port, gate)
        yield port, authority.certificate
    finally:
        gate.kill()
        gate.wait()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, gate: subprocess.Popen[bytes]) -> None:
    """Return once the port answers."""
    while gate.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit("the gate did not start")


if __name__ == "__main__":
    main()
