"""Measure how fast this machine gets a blob from the store: a few megabytes over a few connections, for some seconds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

READERS = 4
BYTES = 4 * 2**20  # of each reader
BLOCK = 2**16
SECONDS = 5.0


def measured_mbps(s3: Any, bucket: str, key: str, size: int, monotonic: Callable[[], float]) -> float | None:
    """Return the rate in Mb/s, None if nothing came. `monotonic` is a clock in seconds. boto3's errors pass through."""
    began = monotonic()
    starts = range(0, min(size, READERS * BYTES), BYTES)

    def read(start: int) -> int:
        body = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{min(size, start + BYTES) - 1}")["Body"]
        count = 0
        try:
            while monotonic() - began < SECONDS and (block := body.read(BLOCK)):
                count += len(block)
        finally:
            body.close()
        return count

    with ThreadPoolExecutor(READERS) as pool:
        count = sum(pool.map(read, starts))
    seconds = monotonic() - began
    return count * 8 / 1e6 / seconds if count and seconds > 0 else None
