"""Leases of slots: renewed through the real gate with the token, by nobody else, and never for what is not known."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bootstrap.lease import renew
from controller.ports import SlotId
from controller.slots import Slot, State
from controller.world.leases import LeaseEndpoint, Leases, doors
from providers.elastic.applied import parse as parse_applied
from providers.elastic.slot_output import parse
from providers.identity.authority import new_ca
from tests.controller.api.test_applied_offers import OUTPUT, SECRET
from tests.controller.world.test_stacks import FOUND
from tests.doubles.gate import TOKEN, running_gate

SECONDS = 10.0


def trusted(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca)


def test_a_lease_is_renewed_at_a_real_gate_with_its_token_and_its_ca_alone(tmp_path: Path) -> None:
    with running_gate(tmp_path, lease=True) as gate:
        good = trusted(gate.tls.ca)
        assert renew(gate.url, good, TOKEN, SECONDS)
        assert not renew(gate.url, good, TOKEN + "x", SECONDS)
        assert not renew(gate.url, trusted(new_ca("b" * 16, datetime.now(UTC)).certificate), TOKEN, SECONDS)
        assert len((gate.run / "lease.log").read_text().splitlines()) == 1
        assert gate.upstream.seen == []
    assert not renew(gate.url, good, TOKEN, SECONDS)
    assert not renew("https://[", good, TOKEN, SECONDS)


def test_all_doors_are_tried_and_those_that_do_not_answer_are_named() -> None:
    ca = new_ca("b" * 16, datetime.now(UTC)).certificate
    asked = []

    def answer(endpoint: str, _trusted: ssl.SSLContext, token: str, _seconds: float) -> bool:
        asked.append((endpoint, token))
        return endpoint != "https://1"

    leases = Leases(answer)
    silent = leases.all([LeaseEndpoint(SlotId("burst", index), f"https://{index}", "t", ca) for index in range(3)])

    assert silent == (SlotId("burst", 1),)
    assert sorted(asked) == [("https://0", "t"), ("https://1", "t"), ("https://2", "t")]
    assert leases.all([]) == ()


@pytest.mark.parametrize(("state", "leased"), [(state, state not in (State.ABSENT, State.FAILED)) for state in State])
def test_what_may_serve_has_a_door_with_the_instances_own_token(state: State, leased: bool) -> None:
    applied = parse_applied(OUTPUT)

    found = doors([("burst", Slot(0, state))], lambda _place: parse(FOUND), applied)

    assert [door.token for door in found] == ([applied.token("burst-s0")] if leased else [])
    assert SECRET not in repr(found)
    assert applied.token("burst-s0") not in repr(found)


def test_what_is_not_known_has_no_door() -> None:
    rows = [("burst", Slot(0, State.READY))]

    assert doors(rows, lambda _place: None, parse_applied(OUTPUT)) == []
    assert doors(rows, lambda _place: parse(FOUND), None) == []
