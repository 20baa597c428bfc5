"""Snapshots in a bucket: three calls of S3, signed with version 4 of its signatures."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from sandbox.hetzner.k3s.config import Mistake, Settings

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True)
class Stored:
    """An object: its key without the folder, its size in bytes, and when it was written."""

    name: str
    size: int
    modified: str


@dataclass(frozen=True)
class Bucket:
    """A bucket, by path. `folder` stands before each name. Each call raises Mistake."""

    base: str
    name: str
    folder: str
    region: str
    access_key: str
    secret_key: str

    @classmethod
    def of(cls, settings: Settings) -> Bucket | None:
        """Return the bucket of the settings, None if snapshots stay on the server."""
        if not settings.on("etcd-s3"):
            return None
        scheme = "http" if settings.on("etcd-s3-insecure") else "https"
        return cls(
            f"{scheme}://{settings.text('etcd-s3-endpoint', 's3.amazonaws.com')}",
            settings.text("etcd-s3-bucket"),
            settings.text("etcd-s3-folder").strip("/"),
            settings.text("etcd-s3-region", "us-east-1"),
            settings.text("etcd-s3-access-key"),
            settings.text("etcd-s3-secret-key"),
        )

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._call("PUT", self._key(name), {}, content)

    def get(self, name: str) -> bytes:
        """Return an object."""
        return self._call("GET", self._key(name))

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._call("DELETE", self._key(name))

    def each(self) -> list[Stored]:
        """Return the objects directly in the folder, at most 1,000."""
        prefix = f"{self.folder}/" if self.folder else ""
        answer = self._call("GET", "", {"list-type": "2", "prefix": prefix, "delimiter": "/"})
        rows = ET.fromstring(answer).findall(f"{NAMESPACE}Contents")
        return [
            Stored(_of(row, "Key").removeprefix(prefix), int(_of(row, "Size")), _of(row, "LastModified"))
            for row in rows
        ]

    def _key(self, name: str) -> str:
        return f"/{self.folder}/{name}" if self.folder else f"/{name}"

    def _call(self, method: str, key: str, query: dict[str, str] | None = None, body: bytes = b"") -> bytes:
        path = urllib.parse.quote(f"/{self.name}{key}")
        words = "&".join(
            f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(text, safe='')}"
            for name, text in sorted((query or {}).items())
        )
        headers = self._signed(method, path, words, hashlib.sha256(body).hexdigest())
        request = urllib.request.Request(f"{self.base}{path}?{words}", body or None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as error:
            raise Mistake(f"{method} of {self.name}{key} in the bucket: HTTP {error.code}") from None
        except OSError as error:
            raise Mistake(f"the bucket {self.name} at {self.base} cannot be reached: {error}") from None

    def _signed(self, method: str, path: str, query: str, digest: str) -> dict[str, str]:
        now = dt.datetime.now(dt.UTC)
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        host = urllib.parse.urlsplit(self.base).netloc
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
        scope = f"{day}/{self.region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()))
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, self.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return {
            **headers,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}",
        }


def _of(row: ET.Element, name: str) -> str:
    return row.findtext(f"{NAMESPACE}{name}") or ""
