"""The receiver of the sandbox's monitoring, as a host sees it."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from monitoring.receiver.app import HEADERS, PATH
from monitoring.receiver.wire import Written, pack
from providers.identity.metrics_credentials import Reporter, password_for
from sandbox.services.monitoring import KEY


@dataclass(frozen=True)
class Reports:
    """One sender. The receiver's certificate is for the receiver's name, though it is on loopback here."""

    url: str
    ca: Path
    reporter: Reporter
    key: str = KEY

    def send(self, series: Sequence[Written], at: str = PATH) -> httpx.Response:
        return self.post(pack(list(series)), at)

    def post(self, body: bytes, at: str = PATH, **extra: str) -> httpx.Response:
        with self.client() as http:
            return http.post(at, content=body, headers={**HEADERS, **extra})

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = False
        user = self.reporter.user
        return httpx.Client(base_url=self.url, verify=context, auth=(user, password_for(self.key, user)))


def sample(metric: str, value: float, at: float, **labels: str) -> Written:
    """One sample of a series of the agent's."""
    return Written(tuple({"__name__": metric, "job": "agent", **labels}.items()), ((value, int(at * 1000)),))
