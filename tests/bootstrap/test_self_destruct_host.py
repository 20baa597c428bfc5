"""A host that ends itself, on an emulated host with the real gate and supervisor: only if nobody uses it, and for good."""

import contextlib
import json
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from bootstrap.clock import SystemClock
from bootstrap.errors import EndsItself
from bootstrap.self_destruct_config import SelfDestruct
from bootstrap.start_self_destruct import renew_lease
from providers.ledger.last_word import WORD_BYTES
from sandbox.hosts.backend import NamespaceHosts
from tests.doubles.called import Called, running_called
from tests.doubles.rented import STORE, Rented, Things, rent
from tests.doubles.repeated import repeated
from tests.doubles.until import until

pytestmark = [pytest.mark.host, pytest.mark.rotating(of=4)]

MARKET = "market.sandbox.internal:81"
PATIENCE_SECONDS = 60
IDLE = 5.0
LIMITS = SelfDestruct(f"http://{MARKET}", idle=IDLE)


@dataclass
class Ending:
    """A host that serves, the market that it asks for its end, and the place for its word."""

    rented: Rented
    other: Called

    @property
    def asked(self) -> int:
        return len(self.other.of("DELETE"))

    def converge(self, limits: SelfDestruct | None) -> list[str]:
        changed = self.rented.converge(self_destruct=limits).changed
        return [change.partition(":")[0] for change in changed]

    def visit(self, age: float = 0.0) -> None:
        with contextlib.closing(self.rented.login()) as host:
            assert renew_lease(host, age, f"http://{MARKET}/word?X-Amz-Signature=hush") == ""

    def client(self) -> httpx.Client:
        trusted = ssl.create_default_context(cadata=self.rented.things.authority.certificate)
        url, headers = (
            f"https://127.0.0.1:{self.rented.host.ports[8443]}",
            {"Authorization": f"Bearer {self.rented.spec.token}"},
        )
        return httpx.Client(base_url=url, headers=headers, verify=trusted, trust_env=False, timeout=60)

    def is_open(self) -> bool:
        return self.rented.run("ls /run/gpu-fleet/open 2>/dev/null") != ""

    def log(self) -> str:
        return self.rented.run("cat /var/log/gpu-fleet/self-destruct.log")


def renewed(client: httpx.Client) -> int | None:
    """Renew the lease; None if the gate does not answer, because it is being started."""
    try:
        return client.post("/lease").status_code
    except httpx.TransportError:
        return None


@pytest.fixture
def ending(hosts: NamespaceHosts, things: Things) -> Iterator[Ending]:
    with running_called() as other:
        outward = {f"{STORE}:80": ("127.0.0.1", things.blobs.port), MARKET: ("127.0.0.1", other.port)}
        rented = rent(hosts, things, outward=outward, env={"CONTAINER_API_KEY": "own-key", "CONTAINER_ID": "1001"})
        rented.converge()
        yield Ending(rented, other)
        rented.host.destroy()


@pytest.mark.rotating(of=1)
def test_an_unused_host_closes_its_gate_leaves_word_and_asks_for_its_end_until_it_is_gone(ending: Ending) -> None:
    before = ending.rented.facts().vllm_started
    assert ending.converge(LIMITS) == ["arm self-destruct"]
    ending.visit()

    until(lambda: ending.asked >= 1, seconds=PATIENCE_SECONDS)

    put, *_ = ending.other.of("PUT")
    assert len(put.body) == WORD_BYTES
    word = json.loads(put.body)
    assert (word["why"], word["idle_seconds"] >= IDLE) == ("idle", True)
    assert ending.other.of("DELETE")[0].headers["Authorization"] == "Bearer own-key"
    assert not ending.is_open()
    assert ending.rented.facts().ending == "idle"
    assert ending.rented.facts().vllm_started == before
    with pytest.raises(EndsItself):
        ending.rented.converge()

    ending.rented.host.stop()
    ending.rented.host.start()
    asked = ending.asked
    until(lambda: ending.asked > asked, seconds=PATIENCE_SECONDS)
    assert not ending.is_open()
    assert "hush" not in ending.log()
    assert "own-key" not in ending.log()


def test_a_used_host_stays_and_no_request_of_its_clients_is_refused(ending: Ending) -> None:
    with repeated(lambda: ending.rented.ask().text, IDLE / 5) as answers:
        ending.converge(LIMITS)
        asked, end = len(answers), time.monotonic() + 3 * IDLE
        until(lambda: time.monotonic() > end and len(answers) > asked, seconds=PATIENCE_SECONDS)

    assert all(answers)
    assert ending.asked == 0
    assert "closed" not in ending.log()


def test_an_answer_that_takes_longer_than_the_idle_time_is_whole(ending: Ending) -> None:
    ending.rented.run(f"echo vllm_latency_s {5 * IDLE} > /etc/sandbox-faults")

    with ending.client() as client, ThreadPoolExecutor(1) as pool:
        body = {"model": "tiny", "prompt": "Hello", "stream": True}
        answered = pool.submit(client.post, "/v1/completions", json=body)
        ending.converge(LIMITS)
        armed = time.monotonic()
        answer = answered.result()
        alone = time.monotonic() - armed

    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("data: [DONE]")
    assert alone > 2 * IDLE
    assert ending.asked == 0
    until(lambda: ending.asked >= 1, seconds=PATIENCE_SECONDS)


def test_a_gpu_that_works_keeps_the_host(ending: Ending) -> None:
    ending.rented.run("echo '0 util 88' >> /etc/fake-gpus")
    ending.converge(LIMITS)

    SystemClock().sleep(3 * IDLE)
    assert ending.asked == 0
    assert ending.is_open()

    ending.rented.run("echo '0 util 0' >> /etc/fake-gpus")
    until(lambda: ending.asked >= 1, seconds=PATIENCE_SECONDS)


def test_a_lease_is_renewed_at_the_gate_and_by_each_visit_and_its_lapse_ends_an_idle_host(ending: Ending) -> None:
    with ending.client() as client, repeated(lambda: renewed(client), IDLE / 5) as answers:
        assert ending.converge(SelfDestruct(f"http://{MARKET}", lease=IDLE)) == [
            "configure gate",
            "arm self-destruct",
            "open gate",
        ]
        open_at = len(answers) + 1  # one may be under way
        end = time.monotonic() + 3 * IDLE
        until(lambda: time.monotonic() > end and len(answers) > open_at, seconds=PATIENCE_SECONDS)
    assert set(answers[open_at:]) == {204}
    assert ending.asked == 0

    until(lambda: ending.asked >= 1, seconds=PATIENCE_SECONDS)
    assert ending.rented.facts().ending == "lease"


def test_a_lifetime_counts_from_the_rent_and_ends_the_host(ending: Ending) -> None:
    ending.converge(SelfDestruct(f"http://{MARKET}", lifetime=7200))
    ending.visit(age=7100)
    assert ending.asked == 0

    ending.visit(age=7201)

    until(lambda: ending.asked >= 1, seconds=PATIENCE_SECONDS)
    assert ending.rented.facts().ending == "lifetime"


def test_limits_are_changed_and_taken_away_without_a_restart_of_vllm(ending: Ending) -> None:
    before = ending.rented.facts().vllm_started
    pid = ending.rented.run("cat /opt/gpu-fleet/service/vllm/supervise/pid")
    ending.converge(SelfDestruct(f"http://{MARKET}", idle=3600))

    assert ending.converge(SelfDestruct(f"http://{MARKET}", idle=3600)) == []
    assert ending.converge(SelfDestruct(f"http://{MARKET}", idle=1800)) == ["arm self-destruct"]
    assert ending.converge(None) == ["disarm self-destruct"]

    assert ending.rented.run("pgrep -f self[_]destruct") == ""
    assert ending.rented.run("ls /opt/gpu-fleet/etc/self-destruct.* 2>/dev/null") == ""
    assert ending.converge(None) == []
    assert ending.rented.facts().vllm_started == before
    assert ending.rented.run("cat /opt/gpu-fleet/service/vllm/supervise/pid") == pid
    assert ending.rented.ask().text


def test_a_service_that_starts_late_is_waited_for(ending: Ending) -> None:
    run = "/opt/gpu-fleet/service/self-destruct/run"
    late = "#!/bin/sh\\nsleep 1.5\\nexec /opt/gpu-fleet/kit/self-destruct-run.sh\\n"
    ending.rented.run(f"rm {run} && printf '{late}' > {run} && chmod +x {run}")

    assert ending.converge(SelfDestruct(f"http://{MARKET}", idle=3600)) == ["arm self-destruct"]


@pytest.mark.deep
def test_a_second_process_of_the_service_waits_for_the_first(ending: Ending) -> None:
    ending.other.statuses = [503]
    ending.converge(LIMITS)
    ending.rented.run("setsid python3 -S /opt/gpu-fleet/kit/self_destruct.py </dev/null >/tmp/second 2>&1 &")

    until(lambda: ending.asked >= 2, seconds=PATIENCE_SECONDS)

    assert ending.rented.run("cat /tmp/second") == ""
