"""Serves the stand-in of k3s to emulated servers, under the name and path of k3s' own releases, over TLS."""

import re
import shutil
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.hetzner import k3s_binary
from sandbox.services.certificate import issue
from sandbox.services.http_server import Server, listener

HOST, PORT = "github.com", 443  # as servers dial it
VERSION = re.compile(r"v\d+\.\d+\.\d+\+k3s\d+\Z")


class Downloads:
    """The server, with its certificate in the folder `home`, which `stop` removes. Servers trust `ca_pem`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificate = issue(HOST)
        self.ca_pem = certificate.ca
        key, chain = home / "downloads.key", home / "downloads.crt"
        for file, text in ((key, certificate.key), (chain, certificate.chain)):
            file.touch(mode=0o600)
            file.write_text(text)
        self._server = Server(application(), listener(), ssl_keyfile=str(key), ssl_certfile=str(chain))

    @property
    def outward(self) -> dict[str, tuple[str, int]]:
        """Return how servers reach it."""
        return {f"{HOST}:{PORT}": ("127.0.0.1", self._server.port)}

    def start(self) -> None:
        """Serve from now on. Raises ServiceError."""
        self._server.start()

    def stop(self) -> None:
        """End it. Stopping twice is harmless."""
        self._server.stop()
        shutil.rmtree(self._home, ignore_errors=True)


def application() -> Starlette:
    """Return the releases as an ASGI application."""

    def program(request: Request) -> Response:
        version = request.path_params["version"]
        if not VERSION.match(version):
            return PlainTextResponse("Not Found", 404)
        return Response(k3s_binary.build(version), media_type="application/octet-stream")

    def digests(request: Request) -> Response:
        version = request.path_params["version"]
        if not VERSION.match(version):
            return PlainTextResponse("Not Found", 404)
        return PlainTextResponse(f"{k3s_binary.sha256(version)}  k3s\n")

    base = "/k3s-io/k3s/releases/download/{version}"
    return Starlette(routes=[Route(f"{base}/k3s", program), Route(f"{base}/sha256sum-amd64.txt", digests)])
