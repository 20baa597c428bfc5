"""`make ask` against a real TLS server: our authority and no other, the token, and refusals as sentences."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tools import ask

TOKEN = "t" * 43


class Endpoint(BaseHTTPRequestHandler):
    """Answers like the gate and vLLM: 401 without the token, one model, an echo as completion."""

    def do_GET(self) -> None:
        self.reply({"data": [{"id": "tiny"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply({"choices": [{"text": f"{body['model']} says {body['prompt']}"}]})

    def reply(self, value: object) -> None:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        data = json.dumps(value if known else {"error": "unauthorized"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output for the test."""


@dataclass(frozen=True)
class Served:
    url: str
    ca_pem: str


def certificate(folder: Path) -> tuple[Path, str]:
    """Write key and self-signed certificate for 127.0.0.1 into one file; returns it and the certificate's PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    file = folder / "server.pem"
    form = serialization.PrivateFormat.PKCS8
    file.write_text(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode() + pem)
    return file, pem


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    file, pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield Served(f"https://127.0.0.1:{server.server_port}", pem)
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_the_model_is_asked_for_and_completes(served):
    with ask.client(served.url, TOKEN, served.ca_pem) as http:
        model = ask.model_of(http)
        assert ask.complete(http, model, "hello", 8) == "tiny says hello"


def test_a_server_of_another_authority_is_refused(served, tmp_path):
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other")
    with ask.client(served.url, TOKEN, other) as http, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"):
        ask.model_of(http)


def test_a_refused_token_is_a_sentence_that_does_not_show_it(served):
    with (
        ask.client(served.url, "wrong-token", served.ca_pem) as http,
        pytest.raises(ask.AskError, match="answered 401") as caught,
    ):
        ask.model_of(http)
    assert "wrong-token" not in str(caught.value)


def test_without_an_authority_nothing_is_asked(served):
    outputs = {"endpoints": {"a": served.url}, "tokens": {"a": TOKEN}}
    with pytest.raises(ask.AskError, match="caCertificate"):
        ask.pick(outputs, None)
