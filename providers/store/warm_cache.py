"""Keep compile caches in the bucket as `warm/<key>/<machine id>/<sha256>.tar.gz`; get them by machine or pinned digest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.store.client import objects

PREFIX = "warm/"
MOST_KEPT = 3  # of one key and machine


@dataclass(frozen=True)
class WarmEntries:
    """Read and write the entries in one bucket through one boto3 client. `pins` map keys to digests.

    boto3's errors pass through.
    """

    s3: Any
    bucket: str
    pins: Mapping[str, str]

    def get(self, key: str, machine_id: int) -> bytes | None:
        """Return the archive that is pinned for this key, else this machine's latest; None if there is none."""
        rows = self._rows(f"{PREFIX}{key}/")
        pinned = [row for row in rows if _digest_in(row["Key"]) == self.pins.get(key)]
        own = [row for row in rows if row["Key"].startswith(f"{PREFIX}{key}/{machine_id}/")]
        for row in pinned or own[:1]:
            archive: bytes = self.s3.get_object(Bucket=self.bucket, Key=row["Key"])["Body"].read()
            if hashlib.sha256(archive).hexdigest() == _digest_in(row["Key"]):
                return archive
        return None

    def put(self, key: str, machine_id: int, archive: bytes) -> str:
        """Keep an archive and return its digest. Of this machine's archives for the key, the latest and pinned ones stay."""
        digest = hashlib.sha256(archive).hexdigest()
        place = f"{PREFIX}{key}/{machine_id}/"
        self.s3.put_object(Bucket=self.bucket, Key=f"{place}{digest}.tar.gz", Body=archive)
        for row in self._rows(place)[MOST_KEPT:]:
            if _digest_in(row["Key"]) not in self.pins.values():
                self.s3.delete_object(Bucket=self.bucket, Key=row["Key"])
        return digest

    def _rows(self, prefix: str) -> list[dict[str, Any]]:
        return sorted(objects(self.s3, self.bucket, prefix), key=lambda row: row["LastModified"], reverse=True)


def _digest_in(key: str) -> str:
    return str(key.rsplit("/", 1)[-1].partition(".")[0])
