"""The faults of an instance, each with its moment, the change to its contract, and the way back if there is one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.market.faults.rents import RISE
from sandbox.market.records.contracts import Contract
from sandbox.market.records.instances import docker_form

GIVEN_UP_SECONDS = 420.0  # the market tries a broken image for so long
UNHEARD_SECONDS, REBOOT_SECONDS, LATE_SECONDS, HOUR = 300.0, 300.0, 60.0, 3600.0
REBOOTING_SHARE = 0.4  # of a reboot, before the container loads
NOWHERE = "127.0.0.2"  # an address of this machine at which no host listens
CLOSED_PORT = 2  # and ports below 1024 without a service

Action = Callable[[Any, Contract], None]


def _always(_market: Any, _contract: Contract) -> bool:
    return True


@dataclass(frozen=True)
class InstanceFault:
    """`moment`: half-way through the first boot, as it comes up, or a while later.

    The functions get the market (see fault_scheduler.py) and the contract. `then` happens after so many market
    seconds more.
    """

    moment: Literal["boot", "up", "later"]
    do: Action
    undo: Action | None = None
    then: tuple[float, Action] | None = None
    possible: Callable[[Any, Contract], bool] = _always


def _pull_fails(_market: Any, contract: Contract) -> None:
    contract.phase = "failed"
    contract.message = f"Error response from daemon: failed to pull image {contract.request.image}: unexpected EOF"


def _give_up(_market: Any, contract: Contract) -> None:
    contract.given_up = True


def _start_fails(_market: Any, contract: Contract) -> None:
    contract.phase = "failed"
    contract.message = (
        "Error response from daemon: failed to create task: OCI runtime create failed: runc create failed"
    )


def _exit(market: Any, contract: Contract) -> None:
    contract.phase, contract.up_since = "exited", None
    contract.meter.halt(market.clock.now())
    if contract.host is not None:
        market.handle(contract, contract.host.stop)


def _vanish(market: Any, contract: Contract) -> None:
    market.destroy(contract.id)


def _stop(market: Any, contract: Contract) -> None:
    market.stop(contract.id)


def _go_off(market: Any, contract: Contract) -> None:
    contract.phase, contract.up_since = "offline", None
    contract.meter.suspend(market.clock.now())
    if contract.host is not None:
        market.handle(contract, contract.host.stop)


def _reboot(market: Any, contract: Contract) -> None:
    if contract.host is not None:
        market.handle(contract, contract.host.stop, contract.host.start)


def _reboot_slowly(market: Any, contract: Contract) -> None:
    now = market.clock.now()
    contract.phase, contract.first_boot, contract.up_since = "booting", False, None
    contract.due, contract.rebooting_until = now + REBOOT_SECONDS, now + REBOOT_SECONDS * REBOOTING_SHARE
    contract.meter.halt(now)
    if contract.host is not None:
        market.handle(contract, contract.host.stop)


def _ends_soon(market: Any, contract: Contract) -> None:
    contract.ends = min(contract.ends, market.clock.now() + HOUR)


def _costs_more(market: Any, contract: Contract) -> None:
    contract.meter.reprice(market.clock.now(), contract.meter.gpu_usd_per_hour * RISE)


def _announces_more(market: Any, contract: Contract) -> None:
    contract.announced_price = (market.clock.now(), contract.meter.gpu_usd_per_hour * RISE)


def _come_back(market: Any, contract: Contract) -> None:
    if contract.phase != "offline" or contract.destroyed:
        return
    contract.meter.resume(market.clock.now())
    contract.phase, contract.first_boot, contract.due = "booting", False, market.clock.now()


def _show_falsely(**fields: Any) -> Action:
    return lambda _market, contract: contract.false_fields.update(fields)


def _show_truly(*fields: str) -> Action:
    def undo(_market: Any, contract: Contract) -> None:
        for name in fields:
            contract.false_fields.pop(name, None)

    return undo


def _wrong_ports(_market: Any, contract: Contract) -> None:
    closed = {port: CLOSED_PORT + index for index, port in enumerate(contract.published)}
    contract.false_fields["ports"] = docker_form(contract, closed)


def _move_ports(market: Any, contract: Contract) -> None:
    if contract.host is not None:
        host = contract.host
        market.handle(contract, lambda: host.fault("moved_ports"))


def _others(market: Any, contract: Contract) -> list[Contract]:
    return [one for one in market.all() if one is not contract and one.phase == "up" and one.host is not None]


def _strangers_ports(market: Any, contract: Contract) -> None:
    stranger = _others(market, contract)[0].host
    assert stranger is not None
    contract.false_fields["ports"] = docker_form(contract, stranger.ports)


def _has_neighbour(market: Any, contract: Contract) -> bool:
    return bool(_others(market, contract))


INSTANCE_FAULTS: Mapping[str, InstanceFault] = {
    "image-pull-fails": InstanceFault("boot", _pull_fails, then=(GIVEN_UP_SECONDS, _give_up)),
    "container-start-fails": InstanceFault("boot", _start_fails),
    "vanishes-in-boot": InstanceFault("boot", _vanish),
    "boots-then-exits": InstanceFault("up", _exit),
    "vanishes-later": InstanceFault("later", _vanish),
    "reclaimed": InstanceFault("later", _stop),
    "host-off": InstanceFault("later", _go_off, _come_back),
    "host-reboots": InstanceFault("later", _reboot),
    "reboots-slowly": InstanceFault("later", _reboot_slowly),
    "unknown-for-a-while": InstanceFault(
        "up", _show_falsely(actual_status="unknown"), then=(UNHEARD_SECONDS, _show_truly("actual_status"))
    ),
    "contract-ends": InstanceFault("up", _ends_soon),
    "price-rises-later": InstanceFault("later", _costs_more),
    "price-rise-announced": InstanceFault("later", _announces_more),
    "ports-late": InstanceFault("up", _show_falsely(ports=None), then=(LATE_SECONDS, _show_truly("ports"))),
    "ports-missing": InstanceFault("up", _show_falsely(ports=None), _show_truly("ports")),
    "wrong-ports": InstanceFault("up", _wrong_ports, _show_truly("ports")),
    "wrong-address": InstanceFault("up", _show_falsely(public_ipaddr=NOWHERE), _show_truly("public_ipaddr")),
    "moved-ports": InstanceFault("later", _move_ports),
    "stranger-at-address": InstanceFault("up", _strangers_ports, _show_truly("ports"), possible=_has_neighbour),
}
