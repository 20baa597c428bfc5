"""The life of one instance through the real provider process: update in place, adoption, and an engine that dies."""

import socket
import threading
import time

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from providers.vast.resource import VastInstanceProvider
from tests.doubles.cloud import ACCOUNT, Cloud
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from tests.doubles.until import until
from weights.manifest import of_folder

pytestmark = [pytest.mark.host, pytest.mark.rotating(of=6)]


@pytest.mark.rotating(of=1)
def test_create_refresh_and_delete(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))

    seen = process.read(id_, outs)
    assert seen.outs["drift"] == []
    assert process.diff(id_, seen.outs, cloud.props("chat-0")).changes is False
    process.delete(id_, outs)

    assert cloud.rented() == []
    assert process.says("no request is under way")


def test_other_arguments_restart_vllm_in_place(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    new = cloud.props("chat-0", server={**cloud.props("x")["server"], "arguments": ["--max-model-len", "128"]})

    assert process.diff(id_, outs, new).replaces == []
    updated = process.update(id_, outs, new)

    assert updated["instanceId"] == outs["instanceId"]
    assert process.read(id_, updated).outs["drift"] == []
    assert len(cloud.rented()) == 1


def test_arguments_that_vllm_refuses_bring_back_those_of_before(cloud: Cloud, process: DynamicProcess) -> None:
    props = cloud.props("chat-0")
    id_, outs = process.create(props)
    bad = cloud.props("chat-0", server={**props["server"], "arguments": ["--no-such-thing"]})

    with pytest.raises(ProviderError, match="unrecognized arguments: --no-such-thing") as raised:
        process.update(id_, outs, bad)

    assert "serves with its settings of before" in str(raised.value)
    assert "chat-0: chat-0:" not in str(raised.value)
    access = props["access"]
    assert probe(str(outs["endpoint"]), access["caCertificate"], access["token"], "tiny", SystemClock(), 20).text
    assert process.read(id_, outs).outs["drift"] == []


def test_a_new_token_opens_and_the_old_one_does_not(cloud: Cloud, process: DynamicProcess) -> None:
    props = cloud.props("chat-0")
    id_, outs = process.create(props)
    new = cloud.props("chat-0", access={**props["access"], "token": "n" * 43})

    process.update(id_, outs, new)

    ca, url = props["access"]["caCertificate"], str(outs["endpoint"])
    assert probe(url, ca, "n" * 43, "tiny", SystemClock(), 20).text
    with pytest.raises(Exception, match=r"40[13]|token|refuse"):
        probe(url, ca, props["access"]["token"], "tiny", SystemClock(), 0)


def _unreachable(process: DynamicProcess, id_: str, outs: dict[str, object]) -> bool:
    return any(str(drift).startswith("unreachable") for drift in process.read(id_, outs).outs["drift"])


def test_drift_made_by_hand_is_named_and_mended(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    contract = next(row for row in cloud.sandbox.market.all() if row.id == int(id_))
    assert contract.host is not None
    contract.host.stop()
    contract.host.start()

    seen = process.read(id_, outs)
    assert seen.outs["drift"], "a rebooted host comes up closed"
    mended = process.update(id_, seen.outs, cloud.props("chat-0"))

    assert process.read(id_, mended).outs["drift"] == []


def test_an_orphan_under_our_label_is_adopted_and_not_rented_again(cloud: Cloud, process: DynamicProcess) -> None:
    id_, _outs = process.create(cloud.props("chat-0"))

    again, _ = process.create(cloud.props("chat-0"))

    assert again == id_
    assert len(cloud.rented()) == 1


@pytest.mark.rotating(of=1)
def test_two_creators_at_once_end_with_one_instance(cloud: Cloud, process: DynamicProcess) -> None:
    ids: list[str] = []

    def create() -> None:
        ids.append(process.create(cloud.props("chat-0"))[0])

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(cloud.rented()) == 1
    assert str(cloud.rented()[0]["id"]) in ids


def test_when_the_engine_dies_everything_is_given_back_and_the_process_ends(cloud: Cloud) -> None:
    engine = socket.socket()
    engine.bind(("127.0.0.1", 0))
    engine.listen()
    address = f"127.0.0.1:{engine.getsockname()[1]}"
    with DynamicProcess(VastInstanceProvider(), engine=address, timeout=120) as process:
        process.configure(ACCOUNT)
        failed: list[str] = []

        def create() -> None:
            with pytest.raises(ProviderError) as raised:
                process.create(cloud.props("chat-0"))
            failed.append(str(raised.value))

        creating = threading.Thread(target=create)
        creating.start()
        until(lambda: "chat-0  connect" in process.output)
        engine.close()
        creating.join(timeout=60)

        assert process.process.wait(timeout=30) != 0
    assert failed
    assert cloud.rented() == []


def test_an_instance_whose_creator_never_comes_back_ends_itself(cloud: Cloud) -> None:
    limits = {**cloud.props("x")["limits"], "totalMinutes": 0.1}
    with DynamicProcess(VastInstanceProvider()) as process:
        process.configure(ACCOUNT)
        creating = threading.Thread(target=_create_in_vain, args=(process, cloud.props("chat-0", limits=limits)))
        creating.start()
        until(lambda: "chat-0  wait" in process.output)
        process.process.kill()
        creating.join(timeout=60)
        assert len(cloud.rented()) == 1

        until(lambda: cloud.rented() == [])


def test_an_instance_that_serves_outlives_the_timer_of_its_start(cloud: Cloud, process: DynamicProcess) -> None:
    limits = {**cloud.props("x")["limits"], "totalMinutes": 0.5}
    _id, outs = process.create(cloud.props("chat-0", limits=limits))
    contract = next(row for row in cloud.sandbox.market.all() if row.id == int(_id))
    assert contract.host is not None

    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.25 * 0.5 * 60 + 2)

    assert [row["id"] for row in cloud.rented()] == [outs["instanceId"]]


def _create_in_vain(process: DynamicProcess, props: dict[str, object]) -> None:
    with pytest.raises(ProviderError):
        process.create(props)


def test_another_model_is_swapped_in_place(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    other = cloud.second_model()

    updated = process.update(id_, outs, cloud.props("chat-0", model=other.model_dump(mode="json")))

    assert updated["instanceId"] == outs["instanceId"]
    assert process.read(id_, updated).outs["drift"] == []
    assert of_folder("tiny", cloud.folder / "other").digest == other.digest
