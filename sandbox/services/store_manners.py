"""How the sandbox's store behaves as Hetzner's does: no tags, buckets that come late, one line for everybody."""

import asyncio
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

NO_TAGS = (501, "NotImplemented", "A header you provided implies functionality that is not implemented")
# Of a request's query: settings that S3 once took with a Content-MD5 only.
WANT_MD5 = {"lifecycle", "cors", "policy", "versioning", "publicAccessBlock", "delete"}
LATE_SECONDS = 8.0
SHARED_BYTES_PER_SECOND = 125_000.0  # 1 Mb/s for everybody together


class LateBuckets:
    """Buckets that were made and are not to be seen yet. `clock` returns seconds. For many threads: one name at a time."""

    def __init__(self, seconds: float = LATE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: dict[str, float] = {}

    def hide(self, bucket: str) -> None:
        """Let a bucket be missing for a while."""
        self._until[bucket] = self._clock() + self._seconds

    def hides(self, bucket: str) -> bool:
        """Say whether a bucket is missing at this moment."""
        return self._clock() < self._until.get(bucket, float("-inf"))

    def pending(self) -> bool:
        """Say whether any bucket is missing at this moment."""
        return any(map(self.hides, tuple(self._until)))


class SharedLine:
    """One line for all answers together, in bytes a second. Thread-safe."""

    def __init__(self, bytes_per_second: float = SHARED_BYTES_PER_SECOND) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0
        self._lock = threading.Lock()

    async def carry(self, count: int) -> None:
        """Return when these bytes have been carried, after all that came before."""
        now = time.monotonic()
        with self._lock:
            self._free_at = max(now, self._free_at) + count / self._rate
            wait = self._free_at - now
        await asyncio.sleep(wait)


def bucket_of(path: str) -> str:
    """Return the bucket of a request's path, empty where it has none."""
    return path.lstrip("/").partition("/")[0]


def bucket_made(method: str, path: str, query: str) -> str:
    """Return the bucket that a request would make, empty for any other request."""
    bucket, _, key = path.strip("/").partition("/")
    return bucket if method == "PUT" and not key and not query else ""


def asks_for_tags(query: str) -> bool:
    """Say whether a request reads or writes the tags of a bucket or an object."""
    return any(name == "tagging" for name, _ in parse_qsl(query, keep_blank_values=True))


def error_text(code: str, message: str) -> str:
    """Return an error as S3 words it."""
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'


def wants_md5(method: str, query: str) -> bool:
    """Say whether a request sets what S3 once took with a Content-MD5 only."""
    return method in {"PUT", "POST"} and not WANT_MD5.isdisjoint(
        name for name, _ in parse_qsl(query, keep_blank_values=True)
    )
