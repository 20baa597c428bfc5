"""`gpu-fleet ask` against a real TLS server: our authority and no other, the token, and refusals as sentences."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
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

from cli import ask
from cli.errors import CommandError
from cli.main import main

TOKEN = "t" * 43
QUESTION = ("local", "hello", 8)


class Endpoint(BaseHTTPRequestHandler):
    """Answers like the gate and vLLM: 401 without the token, one model, an echo as completion."""

    closed = False

    def do_GET(self) -> None:
        if self.closed:
            self.send(503, {"error": "closed"})
            return
        self.reply({"data": [{"id": "tiny"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply({"choices": [{"text": f"{body['model']} says {body['prompt']}"}]})

    def reply(self, value: object) -> None:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        self.send(200 if known else 401, value if known else {"error": "unauthorized"})

    def send(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output for the test."""


@dataclass(frozen=True)
class Served:
    url: str
    ca_pem: str
    endpoint: type[Endpoint]


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
    endpoint = type("OwnEndpoint", (Endpoint,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), endpoint)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield Served(f"https://127.0.0.1:{server.server_port}", pem, endpoint)
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
    with ask.client(served.url, TOKEN, other) as http, pytest.raises(CommandError, match="does not prove that it is a"):
        ask.completion(http, "a", *QUESTION)


def test_a_refused_token_is_a_sentence_that_does_not_show_it(served):
    with (
        ask.client(served.url, "wrong-token", served.ca_pem) as http,
        pytest.raises(CommandError, match="answered 401") as caught,
    ):
        ask.model_of(http)
    assert "wrong-token" not in str(caught.value)


def test_without_an_authority_nothing_is_asked(served):
    outputs = {"endpoints": {"a": served.url}, "tokens": {"a": TOKEN}}
    with pytest.raises(CommandError, match="caCertificate"):
        ask.pick(outputs, "", "local")


TWO = {"endpoints": {"a-1": "https://1", "a-0": "https://0"}, "tokens": {"a-1": "one", "a-0": "nought"}}


@pytest.mark.parametrize(("name", "url"), [("a-1", "https://1"), ("", "https://0")])
def test_the_endpoint_asked_for_is_taken_or_else_the_first(name, url):
    assert ask.pick({**TWO, "caCertificate": "pem"}, name, "local")[1] == url


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(CommandError, match="no endpoint b-0; the stack has a-0, a-1"):
        ask.pick(TWO, "b-0", "local")


@pytest.mark.parametrize(("stack", "command"), [("local", "`make up`"), ("dev", "`pulumi up --stack dev`")])
def test_a_stack_without_endpoints_says_what_makes_them(stack, command):
    with pytest.raises(CommandError, match=command):
        ask.pick({}, "", stack)


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_an_empty_prompt_is_refused_before_anything_is_read(prompt, capsys):
    assert main(["ask", "--stack", "no-such-stack", "--", prompt]) == 1
    assert capsys.readouterr().err.startswith("gpu-fleet ask: the prompt is empty")


def test_a_closed_gate_is_one_sentence_with_what_to_run(served):
    served.endpoint.closed = True
    with ask.client(served.url, TOKEN, served.ca_pem) as http, pytest.raises(CommandError) as caught:
        ask.completion(http, "chat-0", *QUESTION)
    said = str(caught.value)
    assert "chat-0 is closed until its instance has proven itself" in said
    assert "`make up`" in said
    assert "`gpu-fleet log chat-0`" in said


def test_nobody_there_is_one_sentence_without_a_system_number(served):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"https://127.0.0.1:{bound.getsockname()[1]}"
        with ask.client(url, TOKEN, served.ca_pem) as http, pytest.raises(CommandError) as caught:
            ask.completion(http, "chat-0", *QUESTION)
    assert str(caught.value) == (
        f"no server answers for chat-0 at {url} (Connection refused): "
        "`gpu-fleet sandbox status` says what runs, `make up` brings it back"
    )
