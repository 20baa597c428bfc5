"""The blobs of one manifest: which the store lacks, and bringing them there."""

import random
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.manifest import File, blob_key
from providers.store.bucket import Say
from providers.store.client import objects
from providers.store.errors import readable
from providers.store.inputs import BlobsInputs
from providers.store.quantities import size
from providers.store.references import References
from providers.store.upload import upload
from providers.store.verifying import Part, damaged, to_read

PREFIX = blob_key("")
SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Blobs:
    """The blobs of one manifest through one boto3 client. `monotonic` is a clock in seconds for the progress lines."""

    s3: Any
    inputs: BlobsInputs
    say: Say
    monotonic: Callable[[], float]
    choose: Callable[[Sequence[Part]], Part] = random.choice

    def missing(self) -> list[File]:
        """Return one file for each blob that the store lacks or has in another size. Raises StoreError."""
        with readable(self.inputs.endpoint, self.inputs.bucket):
            present = {row["Key"]: row["Size"] for row in objects(self.s3, self.inputs.bucket, PREFIX)}
        wanted = {file.sha256: file for file in self.inputs.manifest.files}
        return [file for file in wanted.values() if present.get(blob_key(file.sha256)) != file.size]

    def damaged(self, missing: Collection[File]) -> list[File]:
        """Return the files whose blobs are not among the missing and hold something else, as far as `verify` looks.

        Raises StoreError.
        """
        gone = {file.sha256 for file in missing}
        parts = to_read(self.inputs.verify, self.inputs.manifest, self.choose)
        with readable(self.inputs.endpoint, self.inputs.bucket):
            found = damaged(self.s3, self.inputs.bucket, [part for part in parts if part.file.sha256 not in gone])
        return list({part.file.sha256: part.file for part in found}.values())

    def delete_unneeded(self) -> None:
        """Take our reference away, and with it the blobs that nobody else refers to. Raises StoreError."""
        references = References(self.s3, self.inputs.bucket)
        with readable(self.inputs.endpoint, self.inputs.bucket):
            references.remove(self.inputs.owner)
            deleted = references.delete_unneeded()
        self.say(f"delete {self.inputs.manifest.name}  {deleted} blobs that nothing refers to any more")

    def upload_missing(self, also: Collection[str] = ()) -> int:
        """Upload what is missing, verified part by part, and return how many blobs that were. Raises StoreError.

        `also` are digests of blobs that are there and known to be damaged.
        """
        manifest, start = self.inputs.manifest, self.monotonic()
        if self.inputs.owner:
            with readable(self.inputs.endpoint, self.inputs.bucket):
                References(self.s3, self.inputs.bucket).write(self.inputs.owner, manifest)
        missing = self.missing()
        known = {file.sha256 for file in missing}
        spoilt = {file.sha256: file for file in manifest.files if file.sha256 in {*also} - known}
        missing += spoilt.values()
        progress = _Progress(manifest.name, sum(file.size for file in missing), self.say, self.monotonic)
        for file in missing:
            with readable(self.inputs.endpoint, self.inputs.bucket):
                upload(self.s3, self.inputs.bucket, file, self.inputs.source / file.path, progress.sent)
        blobs = len({file.sha256 for file in manifest.files})
        self.say(
            f"upload {manifest.name}  {size(progress.total)} in {self.monotonic() - start:.1f} s, {blobs} blobs, "
            f"{blobs - len(missing)} were there"
        )
        return len(missing)


class _Progress:
    """Counts what has arrived, over threads, and says so now and then: a 100 GB upload must not look dead."""

    def __init__(self, name: str, total: int, say: Say, monotonic: Callable[[], float]) -> None:
        self.total = total
        self._name, self._say, self._monotonic = name, say, monotonic
        self._lock = threading.Lock()
        self._arrived = 0
        self._said = monotonic()

    def sent(self, count: int) -> None:
        with self._lock:
            self._arrived += count
            if self._arrived < self.total and self._monotonic() - self._said >= SECONDS_BETWEEN_LINES:
                self._said = self._monotonic()
                self._say(f"upload {self._name}  {size(self._arrived)} of {size(self.total)}")
