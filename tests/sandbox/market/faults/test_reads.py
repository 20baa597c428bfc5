"""The market lies about instances that exist: in the list, in a look, in the log, after a destroy."""

from __future__ import annotations

import pytest

from sandbox.faults import FAULTS

pytestmark = pytest.mark.service


def test_an_empty_list_that_lies(market, plain):
    number = plain.rented()
    market.arm("lying-empty-list")
    lied = plain.page()
    assert (lied["success"], lied["instances"], lied["instances_found"]) == (True, [], 0)
    assert plain.listed() == [number]


def test_a_row_is_missing_and_counted(market, plain):
    numbers = [plain.rented(f"gpu-fleet/abc/chat-{index}") for index in range(3)]
    market.arm("list-row-missing")
    market.arm("list-row-missing", instance="chat-1")
    first, second = plain.page(), plain.page()
    assert [(one["instances_found"], one["total_instances"]) for one in (first, second)] == [(2, 3), (2, 3)]
    assert [[one["id"] for one in found["instances"]] for found in (first, second)] == [
        numbers[:2],
        [numbers[0], numbers[2]],
    ]
    assert plain.listed() == numbers


def test_a_page_is_missing_and_nothing_says_so_but_the_count(market, plain):
    for _ in range(7):
        plain.rented()
    market.arm("list-page-missing")
    page = plain.page(limit=5)
    assert (len(page["instances"]), page["next_token"], page["total_instances"]) == (5, None, 7)
    assert plain.page(limit=5)["next_token"] is not None


def test_a_stale_list_shows_what_was_there_before(market, plain):
    first = plain.rented()
    assert plain.listed() == [first]
    second = plain.rented()
    plain.destroy(first)
    market.arm("stale-list")
    assert plain.listed() == [first]
    assert plain.listed() == [second]


def test_null_for_an_instance_that_exists(market, plain):
    number = plain.rented()
    market.arm("missing-in-show")
    assert plain.show(number) is None
    assert plain.show(number)["id"] == number


def test_logs(market, plain):
    number = plain.running()
    whole = plain.log(number)[-1].text
    for fault, seen in (("log-empty", [200, ""]), ("log-late", [404, None]), ("log-cut", [200, None])):
        market.arm(fault)
        last = plain.log(number)[-1]
        assert last.status_code == seen[0]
        assert last.text != whole
        assert seen[1] in (None, last.text)
    assert plain.log(number)[-1].text == whole
    market.arm("log-cut")
    assert whole.startswith(plain.log(number)[-1].text.strip())


def test_a_log_that_no_daemon_uploads(market, plain):
    number = plain.running()
    plain.log(number)
    market.arm("log-missing")
    asked = plain.http.put(f"/api/v0/instances/request_logs/{number}/", json={"tail": "10"})
    assert (asked.status_code, asked.json()["error"]) == (404, "invalid_id")
    assert {answer.status_code for answer in plain.log(number)} == {404}
    market.emulator.faults.disarm("log-missing")
    assert plain.log(number)[-1].status_code == 200


def test_a_destroyed_instance_lives_on(market, plain):
    number = plain.running()
    market.arm("destroy-without-effect")
    market.arm("destroy-404-but-alive")
    accepted, denied = plain.destroy(number), plain.destroy(number)
    assert accepted.json()["success"] is True
    assert (denied.status_code, denied.json()["error"]) == (404, "no_such_instance")
    assert plain.show(number)["actual_status"] == "running"
    assert market.emulator.usd_per_hour() > 0
    plain.destroy(number)
    assert plain.show(number) is None


def test_a_start_without_a_gpu(market, plain):
    number = plain.running()
    where = f"/api/v0/instances/{number}/"
    plain.http.put(where, json={"state": "stopped"})
    market.arm("start-unavailable")
    answer = plain.http.put(where, json={"state": "running"})
    assert (answer.status_code, answer.json()["success"], answer.json()["error"]) == (
        200,
        False,
        "resources_unavailable",
    )
    assert plain.show(number)["actual_status"] == "exited"
    assert plain.http.put(where, json={"state": "running"}).json() == {"success": True}


@pytest.mark.parametrize("field", FAULTS["odd-instance"].fields)
def test_one_field_of_one_instance_is_odd_once(market, plain, field):
    numbers = [plain.running(f"gpu-fleet/abc/chat-{index}") for index in range(2)]
    market.arm("odd-instance", instance="chat-0", field=field)
    odd, right = (plain.page()["instances"] for _ in range(2))
    assert [one["id"] for one in odd] == numbers
    differ = {name for name in odd[0] if odd[0][name] != right[0][name]} - {"duration", "uptime_mins"}
    # Some are null in the truth, too.
    assert differ == {field.split(".")[0]} or right[0].get(field) is None
    assert odd[1]["label"] == "gpu-fleet/abc/chat-1"


@pytest.mark.parametrize("field", FAULTS["odd-offer"].fields)
def test_one_field_of_one_offer_is_odd_once(market, plain, field):
    market.arm("odd-offer", field=field)
    odd, right = plain.offers(), plain.offers()
    assert odd[0][field] is None
    assert right[0][field] is not None
    assert odd[1:] != []


def test_every_strike_takes_the_next_field(market, plain):
    market.arm("odd-offer", times=3)
    fields = FAULTS["odd-offer"].fields
    assert [next(name for name in fields if plain.offers()[0][name] is None) for _ in range(1)] == [fields[0]]
    assert plain.offers()[0][fields[1]] is None
    assert plain.offers()[0][fields[2]] is None
