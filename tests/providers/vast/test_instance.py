"""Classification of what the market reports: wait, connect, or give back."""

from typing import Any

import pytest

from providers.vast.api.instance import Failed, Instance, Pending, Running, classify, unsound

UP: dict[str, Any] = {
    "id": 7,
    "actual_status": "running",
    "intended_status": "running",
    "public_ipaddr": "203.0.113.9 \n",
    "ports": {
        "22/tcp": [{"HostIp": "::", "HostPort": "1"}, {"HostIp": "0.0.0.0", "HostPort": "40022"}],
        "8443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "48443"}],
    },
}


def instance(**changes: Any) -> Instance:
    return Instance.model_validate({**UP, **changes})


def test_an_address_is_stripped_and_prefers_ipv4() -> None:
    assert instance().address(22) == ("203.0.113.9", 40022)
    assert instance().address(80) is None


@pytest.mark.parametrize("ports", [None, [22, 8443], {}])
def test_ports_in_another_form_map_nothing(ports: Any) -> None:
    assert instance(ports=ports).address(22) is None
    assert classify(instance(ports=ports), 8443) == Pending("running")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"intended_status": "stopped"}, "stopped"),
        ({"actual_status": "loading", "status_msg": "Error response from daemon: unexpected EOF"}, "image"),
        ({"actual_status": "created", "status_msg": "x: OCI runtime create failed: y"}, "image"),
        ({"actual_status": "offline"}, "offline"),
        ({"actual_status": "exited"}, "offline"),
    ],
)
def test_what_will_not_come_up_is_a_failure(changes: dict[str, Any], reason: str) -> None:
    state = classify(instance(**changes), 8443)

    assert isinstance(state, Failed)
    assert state.reason == reason


@pytest.mark.parametrize("status", [None, "created", "loading", "rebooting", "unknown"])
def test_what_is_on_its_way_is_pending(status: str | None) -> None:
    assert isinstance(classify(instance(actual_status=status), 8443), Pending)


def test_running_needs_status_address_and_both_ports() -> None:
    assert classify(instance(), 8443) == Running()


def test_a_fresh_contract_without_details_is_not_unsound() -> None:
    fresh = Instance.model_validate({"id": 1, "label": "x"})

    assert unsound(fresh, "image", ("RTX 4090",), 1, 40) == []


def test_unsoundness_names_each_flaw() -> None:
    other = instance(image_uuid="a", gpu_name="RTX 3090", num_gpus=2, disk_space=10)

    flaws = unsound(other, "b", ("RTX 4090",), 1, 40)

    assert len(flaws) == 3
    assert "image a instead of b" in flaws[0]
    assert "2 x RTX 3090 instead of 1 x RTX 4090" in flaws[1]
    assert "10 GB of disk instead of 40" in flaws[2]
