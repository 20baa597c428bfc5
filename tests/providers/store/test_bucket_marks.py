"""Marks in a real object store: the first of two writers wins, and what cannot be read is no answer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.store.client import Keys, connect
from providers.vast.renting.bucket_marks import BucketMarks, open_marks
from providers.vast.renting.serving_marks import MarkUnknown, NoMarks, ServingMark
from tests.doubles.clock import FakeClock

LABEL = "gpu-fleet/abcd/chat-0"
KEY = "serving/abcd.chat-0.json"


def seen(held):
    return (held.instance, held.by) if held else None


@pytest.fixture
def marks(s3, name):
    s3.create_bucket(Bucket=name)
    return BucketMarks(lambda: s3, name, FakeClock())


def test_a_mark_is_written_read_replaced_and_cleared(marks, s3, name):
    assert marks.read(LABEL) is None

    marks.write(LABEL, ServingMark(7, ("a",)), None)
    first = marks.read(LABEL)
    marks.write(LABEL, ServingMark(7, ("a", "b")), first)

    assert seen(first) == (7, ("a",))
    assert seen(marks.read(LABEL)) == (7, ("a", "b"))
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=name)["Contents"]] == [KEY]
    marks.clear(LABEL, 8)
    assert seen(marks.read(LABEL)) == (7, ("a", "b"))
    marks.clear(LABEL, 7)
    assert marks.read(LABEL) is None


def test_whoever_saw_less_writes_nothing(marks):
    marks.write(LABEL, ServingMark(7, ("a",)), None)
    old = marks.read(LABEL)
    marks.write(LABEL, ServingMark(7, ()), old)

    marks.write(LABEL, ServingMark(8, ("b",)), None)
    marks.write(LABEL, ServingMark(8, ("b",)), old)

    assert seen(marks.read(LABEL)) == (7, ())


@pytest.mark.parametrize("conditions", [True, False])
def test_of_two_that_write_at_once_both_see_one(store, keys, name, conditions):
    clients = [connect(store.endpoint, "sandbox", keys) for _ in range(2)]
    clients[0].create_bucket(Bucket=name)
    meet = threading.Barrier(2, timeout=10)

    class Pause(FakeClock):
        def sleep(self, _seconds: float) -> None:
            meet.wait()  # both have written when either reads again

    for client in clients:
        if not conditions:  # as Ceph ignores them

            def ignore(params, **_):
                params["headers"].pop("If-None-Match", None)
                params["headers"].pop("If-Match", None)

            client.meta.events.register("before-call.s3.PutObject", ignore)

    def hold(client, number):
        mine = BucketMarks(lambda: client, name, Pause())
        mine.write(LABEL, ServingMark(number, (str(number),)), None)
        return seen(mine.read(LABEL))

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(hold, clients, [7, 8])

    assert one == other
    assert one in {(7, ("7",)), (8, ("8",))}


@pytest.mark.parametrize("fault", ["store-error", "store-slow-down"])
def test_a_store_in_trouble_is_no_answer(marks, store, keys, faults, name, fault):
    once = BucketMarks(lambda: connect(store.endpoint, "sandbox", keys, 1, 1.0), name, FakeClock())
    faults.arm(fault, 9)

    with pytest.raises(MarkUnknown, match="the store"):
        once.read(LABEL)


def test_no_bucket_an_odd_object_and_a_label_of_others_are_no_answer(marks, s3, name):
    with pytest.raises(MarkUnknown, match="NoSuchBucket"):
        BucketMarks(lambda: s3, f"{name}-not", FakeClock()).read(LABEL)
    s3.put_object(Bucket=name, Key=KEY, Body=b"{}")
    with pytest.raises(MarkUnknown, match="does not parse"):
        marks.read(LABEL)
    with pytest.raises(MarkUnknown, match="no label of ours"):
        marks.read("somebody's")


def test_without_keys_there_are_no_marks():
    assert isinstance(open_marks("http://x", "r", "b", Keys("", ""), FakeClock()), NoMarks)
    assert isinstance(open_marks("http://x", "r", "b", Keys("a", "b"), FakeClock()), BucketMarks)
