"""From an empty host to an answered completion, and what is said where a host cannot get there. With the double of vLLM."""

import contextlib
from dataclasses import replace

import pytest

from bootstrap.clock import SystemClock
from bootstrap.connect import connect
from bootstrap.converge import converge
from bootstrap.errors import EngineDied, HostKeyMismatch, HostLost, PreflightFailed, WeightsMissing
from sandbox.hosts.backend import NamespaceHosts
from tests.doubles.emulated import USER_KEY
from tests.doubles.rented import SECRET_IN_URL, TOKEN, Rented, Things, rent
from weights.manifest import Manifest

pytestmark = pytest.mark.host


def test_an_empty_host_answers_a_completion(fresh: Rented) -> None:
    report = fresh.converge()

    assert fresh.ask().text
    assert set(report.timings) == {"preflight", "install", "fetch weights", "start"}
    assert [line.partition(":")[0] for line in fresh.reported] == [
        "connect",
        "preflight",
        "install",
        "fetch weights",
        "install",
        "start",
    ]
    assert report.certificate_end > SystemClock().time() + 80 * 86400
    assert not any(secret in " ".join(fresh.reported) for secret in (TOKEN, SECRET_IN_URL, "PRIVATE"))


def test_too_little_shared_memory_is_found_before_anything_is_fetched(hosts: NamespaceHosts, things: Things) -> None:
    rented = rent(hosts, things, shm_mb=64)
    things.blobs.requests.clear()
    try:
        with pytest.raises(PreflightFailed, match=r"64 MB free.*160 MB") as raised:
            rented.converge()
    finally:
        rented.host.destroy()

    assert raised.value.reason == "shm"
    assert things.blobs.requests == []


def test_a_blob_that_the_store_lacks_is_our_fault(fresh: Rented) -> None:
    one = fresh.things.model.files[0]
    other = one.model_copy(update={"sha256": "0" * 64, "parts": ("0" * 64,)})
    lacking = Manifest(name="lacking", files=(other,))

    with pytest.raises(WeightsMissing, match="404"):
        fresh.converge(model=lacking)


def test_a_slow_line_is_given_back(hosts: NamespaceHosts, things: Things) -> None:
    rented = rent(hosts, things, download_mbps=20)
    try:
        with pytest.raises(PreflightFailed, match="Mb/s") as raised:
            rented.converge(preflight=replace(rented.spec.preflight, download_mbps=200))
    finally:
        rented.host.destroy()

    assert raised.value.reason == "slow"


def test_a_host_that_ends_meanwhile_is_lost(fresh: Rented) -> None:
    class Ending(SystemClock):
        """Ends the host in the middle of work."""

        waits = 0

        def sleep(self, seconds: float) -> None:
            self.waits += 1
            if self.waits == 60:
                fresh.host.destroy()
            super().sleep(seconds)

    clock = Ending()
    with contextlib.closing(fresh.login(clock)) as host, pytest.raises(HostLost, match="ended"):
        converge(host, fresh.spec, fresh.things, clock, lambda *_: None)


def test_a_machine_on_which_vllm_dies_is_given_back_with_its_last_words(fresh: Rented) -> None:
    fresh.host.fault("vllm_dies")

    with pytest.raises(EngineDied, match=r"ended 2 times(.|\n)*kills this process"):
        fresh.converge()


def test_somebody_else_who_answers_is_told_nothing(fresh: Rented) -> None:
    fingerprint = fresh.host.key.fingerprint
    fresh.host.fault("other_host_key")
    report_progress = lambda *_: None  # noqa: E731

    with pytest.raises(HostKeyMismatch, match="nothing was sent"):
        connect("127.0.0.1", fresh.host.ports[22], USER_KEY.private, fingerprint, SystemClock(), 20, report_progress)
