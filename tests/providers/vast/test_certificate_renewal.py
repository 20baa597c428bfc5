"""What a scheduled renewal would touch, and what it refuses to touch besides."""

from datetime import UTC, datetime
from typing import Any

from providers.identity.authority import new_ca
from providers.vast.certificate_renewal import beyond, due
from providers.vast.pulumi_state import IDENTITY, INSTANCE

DAY = 86_400.0
NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
PREFIX = "urn:pulumi:dev::gpu-fleet::gpu-fleet:components:Fleet$"


def urn(name: str, kind: str = INSTANCE) -> str:
    return f"{PREFIX}{kind}::{name}"


def deployment(ca_days: int = 1000, **days: float | None) -> dict[str, Any]:
    hosts = [
        {
            "urn": urn(name.replace("_", "-")),
            "type": INSTANCE,
            "outputs": {"certificateEnd": None if left is None else NOW.timestamp() + left * DAY},
        }
        for name, left in days.items()
    ]
    outputs = {"caCertificate": new_ca("a" * 16, NOW, ca_days).certificate}
    return {"resources": [{"urn": urn("identity", IDENTITY), "type": IDENTITY, "outputs": outputs}, *hosts]}


def step(op: str, name: str = "chat-0", kind: str = INSTANCE, **changed: Any) -> dict[str, Any]:
    before = {"access": {"token": "[secret]"}, "server": {"image": "a"}}
    return {
        "op": op,
        "urn": urn(name, kind),
        "oldState": {"inputs": before},
        "newState": {"inputs": {**before, **changed}},
    }


def test_only_what_ends_within_a_month_is_renewed() -> None:
    found = due(deployment(chat_0=20, chat_1=80, chat_2=None), NOW.timestamp())

    assert (found.names, found.ca, found.urns) == (("chat-0",), False, (urn("chat-0"),))
    assert found.describe() == "To renew: chat-0."


def test_nothing_to_renew_says_until_when() -> None:
    assert due(deployment(chat_0=70, chat_1=80), NOW.timestamp()).describe() == (
        "Nothing to renew: the first certificate ends on 2027-03-12."
    )
    assert due({}, NOW.timestamp()).describe() == "Nothing to renew: the state has no instance with a certificate."


def test_a_ca_in_its_last_half_year_brings_all_instances_up_to_date() -> None:
    found = due(deployment(ca_days=100, chat_0=80), NOW.timestamp())

    assert found.urns == (urn("identity", IDENTITY), urn("chat-0"))
    assert found.describe() == "To renew: the CA, chat-0."


def test_a_renewal_is_refused_where_the_checkout_would_do_more() -> None:
    quiet = [
        step("update"),
        step("update", access={"token": "other"}),
        step("same", server={}),
        step("update", "identity", IDENTITY, rotation={"ca": 1.0}),
        step("update", "dev", "pulumi:pulumi:Stack"),
    ]
    loud = [step("update", server={"image": "b"}), step("create", "chat-9"), step("update", "bucket", "x:y:Bucket")]

    assert beyond(quiet) == []
    assert beyond([*quiet, *loud]) == ["chat-0: server was edited", "chat-9: create", "bucket: update"]
