"""A host reaches a service of the machine by a name of its own, over TLS that its trust store vouches for."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sandbox.services.certificate import issue
from tests.doubles.emulated import Login

pytestmark = pytest.mark.host
NAME = "s3.sandbox.internal"


class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.headers['Host']} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def service(tmp_path):
    """(port, CA) of an HTTPS service on the machine's loopback whose certificate bears the outward name."""
    certificate = issue(NAME)
    (tmp_path / "chain").write_text(certificate.chain)
    (tmp_path / "key").write_text(certificate.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], certificate.ca
    server.shutdown()
    server.server_close()


def test_an_inward_name_is_reached_over_tls(make, service):
    port, ca = service
    host = make(outward={f"{NAME}:443": ("127.0.0.1", port)}, ca_pem=ca)
    assert Login(host).run(f"curl -sS https://{NAME}/blobs/x") == (0, f"{NAME} /blobs/x")
    host.stop()
    host.start()
    assert Login(host).run(f"curl -sS https://{NAME}/again") == (0, f"{NAME} /again")


def test_without_the_authority_tls_fails(make, service):
    port, _ = service
    host = make(outward={f"{NAME}:443": ("127.0.0.1", port)})
    status, output = Login(host).run(f"curl -sS https://{NAME}/blobs/x")
    assert status == 60, output


def test_nothing_else_of_the_machine_is_reached(make, service):
    port, ca = service
    login = Login(make(ca_pem=ca))
    assert login.run(f"curl -sS -m 5 https://{NAME}/")[0] == 6
    assert login.run(f"curl -sSk -m 5 https://127.0.0.1:{port}/")[0] == 7
