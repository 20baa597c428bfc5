"""The hosts of slots are drained side by side before the end of their stack; what cannot be reached holds nothing up."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

from bootstrap.draining import DRAIN_SECONDS
from bootstrap.errors import HostUnreachable
from bootstrap.host import Result
from providers.rentals.slot_drain import drain_slots
from providers.vast.api.instance import Instance
from providers.vast.pulumi_state import INSTANCE, BackendError
from tests.doubles.clock import FakeClock

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"


def instance(number: int, port: int | None = 4001) -> Instance:
    ports = {} if port is None else {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]}
    found = {"id": number, "label": f"gpu-fleet/abc/burst-s{number}", "public_ipaddr": "203.0.113.7", "ports": ports}
    return Instance.model_validate(found)


def exported(words: Sequence[str]) -> str:
    assert list(words[:3]) == ["stack", "export", "--show-secrets"]
    stack = words[-1]
    if stack.endswith("-3"):
        raise BackendError("failed to load checkpoint: EOF")
    access = {"sshPrivateKey": {"4dab": "1b47", "plaintext": json.dumps(KEY)}}
    outputs = {"hostKey": "SHA256:abc", "access": access} if not stack.endswith("-4") else {"hostKey": ""}
    return json.dumps({"deployment": {"resources": [{"type": INSTANCE, "outputs": outputs}]}})


@dataclass
class Hosts:
    """Hosts that answer once `at_once` of them are asked; the exit status of the drain by port."""

    at_once: Barrier
    statuses: dict[int, int] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def log_in(self, address: tuple[str, int], key: str, host_key: str) -> Any:
        self.asked.append((address, key, host_key))
        if address[1] not in self.statuses:
            raise HostUnreachable("nobody answers")
        return _Host(self, self.statuses[address[1]])


@dataclass
class _Host:
    hosts: Hosts
    status: int

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        assert command.endswith(f"drain.sh {DRAIN_SECONDS}")
        assert timeout > DRAIN_SECONDS
        self.hosts.at_once.wait(20)
        return Result(self.status, "", "")

    def close(self) -> None:
        pass


def test_all_are_drained_at_once_and_what_cannot_be_reached_is_said() -> None:
    hosts = Hosts(Barrier(2), {4001: 0, 4002: 1})
    ports = {1: 4001, 2: 4002, 3: 4003, 4: 4004, 5: None, 6: 4006}
    slots = {f"dev.slot.burst-{number}": instance(number, port) for number, port in ports.items()}
    told: list[str] = []

    drain_slots(slots, exported, FakeClock(), lambda phase, text: told.append(f"{phase}: {text}"), hosts.log_in)

    unknown = "left out: the state of its slot does not tell how its host is reached"
    words = {
        1: "no request is under way",
        2: "gave up waiting for requests under way",
        3: unknown,
        4: unknown,
        5: unknown,
        6: "left out: nobody answers",
    }
    assert sorted(told) == [
        f"drain: instance {number} (gpu-fleet/abc/burst-s{number}): {text}" for number, text in words.items()
    ]
    assert (("203.0.113.7", 4001), KEY, "SHA256:abc") in hosts.asked
    assert KEY not in str(told)


def test_without_slots_nothing_is_asked() -> None:
    def never(_words: Sequence[str]) -> str:
        raise AssertionError("nothing is to be read")

    drain_slots({}, never, FakeClock(), lambda *_: None)
