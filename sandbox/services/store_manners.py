"""Gives the sandbox's store the manners of Hetzner's: no tags, buckets that appear late, one line for all clients."""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

NO_TAGS = (501, "NotImplemented", "A header you provided implies functionality that is not implemented")
# Names in a request's query: settings that S3 once accepted only with a Content-MD5.
WANT_MD5 = {"lifecycle", "cors", "policy", "versioning", "publicAccessBlock", "delete"}
LISTED = re.compile(rb"<Contents><Key>([^<]*)</Key>.*?</Contents>", re.DOTALL)
LATE_SECONDS = 8.0
SHARED_BYTES_PER_SECOND = 125_000.0  # 1 Mb/s for all clients together


class LateBuckets:
    """New buckets that clients cannot see yet. `clock` returns seconds. Thread-safe for one name at a time."""

    def __init__(self, seconds: float = LATE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: dict[str, float] = {}

    def hide(self, bucket: str) -> None:
        """Hide a bucket for a while."""
        self._until[bucket] = self._clock() + self._seconds

    def hides(self, bucket: str) -> bool:
        """Return whether a bucket is hidden now."""
        return self._clock() < self._until.get(bucket, float("-inf"))

    def pending(self) -> bool:
        """Return whether any bucket is hidden now."""
        return any(map(self.hides, tuple(self._until)))


class SharedLine:
    """One line that all answers share, in bytes a second. Thread-safe."""

    def __init__(self, bytes_per_second: float = SHARED_BYTES_PER_SECOND) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0
        self._lock = threading.Lock()

    async def carry(self, count: int) -> None:
        """Return when the line has carried these bytes, after all earlier ones."""
        now = time.monotonic()
        with self._lock:
            self._free_at = max(now, self._free_at) + count / self._rate
            wait = self._free_at - now
        await asyncio.sleep(wait)


def bucket_of(path: str) -> str:
    """Return the bucket in a request's path, or an empty text."""
    return path.lstrip("/").partition("/")[0]


def bucket_made(method: str, path: str, query: str) -> str:
    """Return the bucket that a request would make, or an empty text for any other request."""
    bucket, _, key = path.strip("/").partition("/")
    return bucket if method == "PUT" and not key and not query else ""


def listed_folder(method: str, path: str, query: str) -> str:
    """Return the prefix of a request that lists a bucket, if the prefix ends as a folder; else an empty text."""
    given = dict(parse_qsl(query))
    is_list = method == "GET" and "/" not in path.strip("/") and "prefix" in given
    return given["prefix"] if is_list and given["prefix"].endswith("/") else ""


def without_folder(listed: bytes, folder: str) -> bytes:
    """Return a list of objects without the folder itself.

    SeaweedFS lists a folder whose last object was deleted as an object of no bytes, for minutes. S3 has no folders.

    >>> without_folder(b"<Contents><Key>a/</Key></Contents><Contents><Key>a/b</Key></Contents>", "a/")
    b'<Contents><Key>a/b</Key></Contents>'
    """
    return LISTED.sub(lambda row: b"" if unquote(row[1].decode()) == folder else row[0], listed)


def asks_for_tags(query: str) -> bool:
    """Return whether a request reads or writes the tags of a bucket or an object."""
    return any(name == "tagging" for name, _ in parse_qsl(query, keep_blank_values=True))


def error_text(code: str, message: str) -> str:
    """Return an error in S3's form."""
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'


def wants_md5(method: str, query: str) -> bool:
    """Return whether a request changes a setting that S3 once accepted only with a Content-MD5."""
    return method in {"PUT", "POST"} and not WANT_MD5.isdisjoint(
        name for name, _ in parse_qsl(query, keep_blank_values=True)
    )
