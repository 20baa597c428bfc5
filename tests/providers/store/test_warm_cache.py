"""Who gets which compile cache: the machine that made it, or everybody whose stack pins its digest."""

import hashlib

import pytest

from providers.store.warm_cache import MOST_KEPT, WarmEntries

KEY, OTHER = "a" * 64, "b" * 64
PACKED = b"an archive"
DIGEST = hashlib.sha256(PACKED).hexdigest()


@pytest.fixture
def bucket(s3, name):
    s3.create_bucket(Bucket=name)
    return name


def entries(s3, bucket, **pins):
    return WarmEntries(s3, bucket, {KEY: pins["pin"]} if pins else {})


def test_the_machine_that_made_it_gets_it_and_no_other(s3, bucket):
    assert entries(s3, bucket).put(KEY, 7, PACKED) == DIGEST
    assert entries(s3, bucket).get(KEY, 7) == PACKED
    assert entries(s3, bucket).get(KEY, 8) is None
    assert entries(s3, bucket).get(KEY, 70) is None
    assert entries(s3, bucket).get(OTHER, 7) is None


def test_what_is_pinned_goes_to_every_machine_and_before_its_own(s3, bucket):
    entries(s3, bucket).put(KEY, 7, PACKED)
    entries(s3, bucket).put(KEY, 8, b"its own")
    assert entries(s3, bucket, pin=DIGEST).get(KEY, 8) == PACKED
    assert entries(s3, bucket, pin=DIGEST).get(KEY, 9) == PACKED


def test_a_pin_of_what_is_not_there_leaves_the_machine_its_own(s3, bucket):
    entries(s3, bucket).put(KEY, 7, PACKED)
    assert entries(s3, bucket, pin="f" * 64).get(KEY, 7) == PACKED
    assert entries(s3, bucket, pin="f" * 64).get(KEY, 8) is None


def test_what_was_overwritten_is_not_used(s3, bucket):
    entries(s3, bucket).put(KEY, 7, PACKED)
    s3.put_object(Bucket=bucket, Key=f"warm/{KEY}/7/{DIGEST}.tar.gz", Body=b"something else")
    assert entries(s3, bucket).get(KEY, 7) is None
    assert entries(s3, bucket, pin=DIGEST).get(KEY, 8) is None


def test_few_of_a_machine_are_kept_and_pinned_ones_always(s3, bucket):
    entries(s3, bucket).put(KEY, 7, PACKED)
    for number in range(MOST_KEPT + 2):
        entries(s3, bucket, pin=DIGEST).put(KEY, 7, b"later %d" % number)
    rows = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert any(DIGEST in row["Key"] for row in rows)
    assert len(rows) <= MOST_KEPT + 1
