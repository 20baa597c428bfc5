"""A valid key of another account forgets nothing and ends nothing; another key of the same account is as good."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.store.client import Keys
from providers.vast import lifecycle
from providers.vast.api import account, errors
from providers.vast.api.account_directory import account_directory
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.api.response_cache import ResponseCache
from providers.vast.api.responses import Account
from providers.vast.lifecycle import OperationContext
from sandbox.market.records.contracts import Request
from sandbox.testing import RunningMarket, running_market
from tests.doubles.clock import FakeClock
from tests.doubles.market import raising
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import settings_of

SETTINGS = settings_of("chat-0", 0)
DENIED = errors.CredentialsRefused("vast.ai does not accept the key for 'account' (HTTP 401 auth_error)")
DOUBT = errors.OutcomeUnknown("account", "HTTP 502")


class Rented:
    """A world in which chat-0 serves; `see_nothing` lets it vanish, or has the key be one of another account."""

    def __init__(self) -> None:
        self.world = World(1)
        self.world.up("chat-0")
        self.number, _settings, self.outs = self.world.state["chat-0"]
        context = self.world.context()
        self.context = OperationContext(
            context.market, context.clock, Keys("", ""), lambda *_: None, hosting=context.hosting
        )
        self.market = self.world.market

    def see_nothing(self, account: str = "") -> None:
        if account:
            self.market.use_key_of(account)
        else:
            self.market.rows.clear()

    def read(self, outs: dict[str, Any] | None = None) -> dict[str, Any] | None:
        return lifecycle.read(self.number, SETTINGS, self.outs if outs is None else outs, self.context)

    def delete(self, outs: dict[str, Any] | None = None) -> None:
        lifecycle.delete(self.number, SETTINGS, self.outs if outs is None else outs, self.context)

    def update(self) -> dict[str, Any]:
        return lifecycle.update(
            self.number, SETTINGS, SETTINGS, {**self.outs, "drift": ["address: it moved"]}, self.context
        )


@pytest.fixture
def rented() -> Rented:
    return Rented()


OPERATIONS: list[Callable[[Rented], object]] = [Rented.read, Rented.delete, Rented.update]


def test_an_instance_is_written_down_with_the_account_that_rented_it(rented: Rented) -> None:
    assert rented.outs["account"] == rented.market.owner.id


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_key_of_another_account_drops_and_ends_nothing_and_both_accounts_are_named(
    rented: Rented, operation: Callable[[Rented], object]
) -> None:
    rented.see_nothing("alice")

    with pytest.raises(
        errors.OtherAccount, match=r"INSTANCE \d+ MAY STILL BE RENTED at \$0\.\d+/h.*account 7.*account 8 \(alice\)"
    ):
        operation(rented)

    assert not any(call == "destroy" for call, _ in rented.market.calls)


@pytest.mark.parametrize("error", [DENIED, DOUBT])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_account_that_cannot_be_read_is_a_doubt(
    rented: Rented, operation: Callable[[Rented], object], error: errors.VastError
) -> None:
    rented.see_nothing()
    rented.market.before["whose"] = [raising(error)] * 999

    with pytest.raises(errors.AccountUnknown, match=r"cannot be read: vast\.ai .*user_read"):
        operation(rented)


def test_a_market_that_leaves_the_account_s_id_out_is_a_doubt_too(rented: Rented) -> None:
    rented.see_nothing()
    rented.market.instead["whose"] = lambda _truth: Account(username="alice")

    with pytest.raises(errors.AccountUnknown, match="no account's id"):
        rented.read()


def test_a_destroy_right_after_the_create_ends_an_instance_that_the_market_shows_again(rented: Rented) -> None:
    clock, rows, row = rented.context.clock, rented.market.rows, rented.market.rows[rented.number]
    rented.see_nothing()
    shown_again = clock.monotonic() + SETTINGS.to_limits().settle_seconds / 2
    late = iter([(rented.number, row)])

    def show_late(_label: object) -> None:
        if clock.monotonic() >= shown_again:
            rows.update(late)

    rented.market.before["list"] = [show_late] * 999

    rented.delete()

    assert clock.monotonic() >= shown_again
    assert next(late, None) is None
    assert rows == {}


def test_what_is_gone_from_its_own_account_is_gone(rented: Rented) -> None:
    rented.see_nothing()

    assert rented.read() is None
    rented.delete()


@pytest.mark.parametrize("error", [None, DENIED])
def test_a_state_without_account_is_believed_as_before(rented: Rented, error: errors.VastError | None) -> None:
    outs = {key: value for key, value in rented.outs.items() if key != "account"}
    rented.see_nothing("alice")
    rented.market.before["whose"] = [raising(error)] * 999 if error else []

    assert rented.read(outs) is None
    rented.delete(outs)


@pytest.mark.parametrize("known", [{}, {"account": None}, {"account": 99.0}])
def test_a_look_that_finds_the_instance_teaches_its_account(rented: Rented, known: dict[str, Any]) -> None:
    outs = {key: value for key, value in rented.outs.items() if key != "account"}

    found = rented.read({**outs, **known})

    assert found is not None
    assert found["account"] == 7


def test_an_instance_that_is_seen_needs_no_account(rented: Rented) -> None:
    rented.market.before["whose"] = [raising(DENIED)] * 999

    found = rented.read()

    assert found is not None
    assert found["account"] == 7
    rented.delete()
    assert rented.number not in rented.market.rows


def test_an_update_that_only_records_learns_the_account_where_state_has_none(rented: Rented) -> None:
    outs = {**rented.outs, "account": None}

    assert lifecycle.update(rented.number, SETTINGS, SETTINGS, outs, rented.context)["account"] == 7
    rented.see_nothing("alice")
    assert lifecycle.update(rented.number, SETTINGS, SETTINGS, outs, rented.context)["account"] is None


def test_a_fleet_of_an_old_state_learns_its_account_from_one_list(market: RunningMarket, tmp_path: Path) -> None:
    emulator, asking = market.emulator, client(market, market.key, tmp_path)
    names = [f"chat-{index}" for index in range(20)]
    numbers = [
        emulator.rent(row["id"], Request(image="image", label=f"gpu-fleet/abc/{name}")).id
        for name, row in zip(names, emulator.listed(), strict=False)
    ]
    before = market.account.thresholds.calls.get("list", 0)

    found = [
        lifecycle.learned(number, settings_of(name, 0), {}, asking) for name, number in zip(names, numbers, strict=True)
    ]

    assert found == [4711] * 20
    assert market.account.thresholds.calls["list"] - before == 1
    for number in numbers:
        emulator.destroy(number)


def test_numbers_of_accounts_come_out_of_state_as_floats() -> None:
    assert [account.number(value) for value in (4711.0, 4711, None, "", 0)] == [4711, 4711, None, None, None]


@pytest.fixture(scope="module")
def market() -> Iterator[RunningMarket]:
    with running_market() as running:
        yield running


def client(market: RunningMarket, key: str, folder: Path) -> VastClient:
    shared = ResponseCache(folder, market.time_scale)
    return VastClient(market.url, key, NoRateLimit(), FakeClock(), time_scale=market.time_scale, shared=shared)


def test_keys_of_two_accounts_that_share_a_folder_are_told_apart(market: RunningMarket, tmp_path: Path) -> None:
    team = market.accounts.named("team")
    member = team.keys.make("of a member", ["user_read", "instance_read"], team.number).secret
    blind = team.keys.make("without user_read", ["instance_read"], team.number).secret

    assert [client(market, key, tmp_path).account().description for key in (market.key, team.key, member)] == [
        "4711 (sandbox)",
        "4712 (team)",
        "4712 (team)",
    ]
    with pytest.raises(errors.CredentialsRefused, match="user_read"):
        client(market, blind, tmp_path).account()


def test_an_account_is_asked_for_once_and_a_key_each_half_minute(market: RunningMarket, tmp_path: Path) -> None:
    place = account_directory(market.url, market.key, tmp_path)
    before = market.account.thresholds.calls.get("account", 0)

    for _look in range(3):
        client(market, market.key, place).account()
        client(market, market.key, place).verify_key()

    assert market.account.thresholds.calls["account"] - before == 1


def test_a_delete_ends_the_instance_though_its_engine_ends_meanwhile(rented: Rented) -> None:
    rented.market.before["list"] = [raising(DOUBT)] * 999
    rented.world.clock.gone_at = rented.world.clock.now
    rented.market.before["destroy"] = [lambda _id: rented.market.before["list"].clear()]

    rented.delete()

    assert list(rented.market.rows) == []
