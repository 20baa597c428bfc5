"""The API is served in plain inside and over TLS outside, by one process: both answer, stream and end together."""

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from config.rotation import RotationConfig
from controller.store.store import Store
from providers.cluster.certificate import fresh
from providers.identity import state as identity
from tests.doubles.api import KEYS, SEED
from tests.doubles.cloud import REPO
from tests.doubles.ports import free_ports
from tests.doubles.until import until

pytestmark = pytest.mark.service

# As controller/__main__.py handles signals.
PROGRAM = """
import signal
import sys
from pathlib import Path
from controller.api.app import create_app
from controller.api.serving import Outside, serve
from controller.store.store import Store
from tests.doubles.api import offers

dsn, inside, outside, folder = sys.argv[1:]
store = Store(dsn)
store.open()
signal.signal(signal.SIGTERM, lambda *_: None)
sys.exit(not serve(create_app(store, offers), ("127.0.0.1", int(inside)), Outside(("127.0.0.1", int(outside)), Path(folder))))
"""
END_SECONDS = 15


class Both:
    """A process that serves both; clients trust the stack's CA alone."""

    def __init__(self, dsn: str, folder: Path) -> None:
        made = identity.fresh(RotationConfig(), datetime.now(UTC))
        shown = fresh(("127.0.0.1",), made["caKey"], made["caCertificate"], time.time())
        (folder / "tls.crt").write_text(shown["certificate"])
        (folder / "tls.key").write_text(shown["key"])
        inside, outside = free_ports(2)
        self.inside = httpx.Client(base_url=f"http://127.0.0.1:{inside}", trust_env=False)
        trusted = ssl.create_default_context(cadata=made["caCertificate"])
        self.outside = httpx.Client(base_url=f"https://127.0.0.1:{outside}", verify=trusted, trust_env=False)
        words = [sys.executable, "-c", PROGRAM, dsn, str(inside), str(outside), str(folder)]
        self.process = subprocess.Popen(words, cwd=REPO)

    def answer(self) -> bool:
        """Say whether both answer."""
        try:
            return all(one.get("/healthz").status_code == 200 for one in (self.inside, self.outside))
        except httpx.TransportError:
            return False


@pytest.fixture
def both(dsn: str, store: Store, tmp_path: Path) -> Iterator[Both]:
    made = Both(dsn, tmp_path)
    until(made.answer, "both ports", 30)
    yield made
    made.inside.close()
    made.outside.close()
    made.process.kill()
    made.process.wait()


def test_both_serve_one_application_and_end_in_order(both: Both) -> None:
    key = {"X-API-Key": KEYS["ci"]}
    claim = both.outside.post("/provision", headers=key, json=SEED).json()["id"]
    assert both.inside.get(f"/provision/{claim}", headers=key).json()["status"] == "provisioning"

    with (
        both.inside.stream("GET", f"/provision/{claim}/events", headers=key, timeout=20) as one,
        both.outside.stream("GET", f"/provision/{claim}/events", headers=key, timeout=20) as other,
    ):
        told = [one.iter_lines(), other.iter_lines()]
        assert [next(lines) for lines in told] == ["event: status"] * 2
        assert both.outside.delete(f"/provision/{claim}", headers=key).status_code == 200
        assert ["event: ended" in list(lines) for lines in told] == [True, True]

    other = both.outside.post("/provision", headers=key, json=SEED).json()["id"]
    with both.outside.stream("GET", f"/provision/{other}/events", headers=key, timeout=20) as followed:
        lines = followed.iter_lines()  # kept, because httpx closes the connection with the iterator
        assert next(lines) == "event: status"
        both.process.send_signal(signal.SIGTERM)
        assert both.process.wait(END_SECONDS) == 0, "a client that listens on holds up the end"


def test_outside_metrics_are_unknown_and_so_is_plain_text(both: Both) -> None:
    assert both.inside.get("/metrics").status_code == 200
    for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics"):
        assert both.outside.get(path).status_code == 404, path
    assert both.outside.get("/metrics").json()["error"]["code"] == "no_such_path"
    assert both.outside.get("/provision").json()["error"]["code"] == "no_key"
    with pytest.raises(httpx.TransportError):
        httpx.get(str(both.outside.base_url).replace("https", "http") + "/healthz", trust_env=False)


def test_a_certificate_that_cannot_be_used_ends_the_process_before_it_serves(
    dsn: str, store: Store, tmp_path: Path
) -> None:
    inside, outside = free_ports(2)
    words = [sys.executable, "-c", PROGRAM, dsn, str(inside), str(outside), str(tmp_path)]

    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode
    assert "FileNotFoundError" in done.stderr
