import time

import pytest
from botocore.exceptions import ClientError

from providers.store.throughput import measured_mbps
from tests.doubles.clock import FakeClock


@pytest.mark.parametrize("size", [1, 3_000_000, 20_000_000])
def test_a_store_that_gives_its_blobs_has_a_rate(s3, name, size):
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=bytes(size))
    mbps = measured_mbps(s3, name, "a", size, time.monotonic)
    assert mbps is not None
    assert mbps > 0


def test_a_slow_store_is_measured_within_seconds(s3, name):
    class Slow(FakeClock):
        def monotonic(self):
            self.now += 1.0  # each look, and with it each block
            return self.now

    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=bytes(5_000_000))
    mbps = measured_mbps(s3, name, "a", 5_000_000, Slow().monotonic)
    assert mbps is not None
    assert mbps < 2


def test_a_blob_that_is_not_there_is_the_stores_word(s3, name):
    s3.create_bucket(Bucket=name)
    with pytest.raises(ClientError):
        measured_mbps(s3, name, "a", 5, time.monotonic)
