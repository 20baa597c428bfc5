"""Find the blobs of one manifest that the store lacks, and upload them."""

import random
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bootstrap.clock import Clock, SystemClock
from providers.store.bucket import ReportLine
from providers.store.client import objects
from providers.store.errors import explain_errors
from providers.store.inputs import ABORT_UPLOADS_AFTER_DAYS, BlobsInputs
from providers.store.references import References
from providers.store.retry import through_trouble, when_there
from providers.store.upload import upload
from providers.store.verification import Part, damaged, to_read
from weights.manifest import File, blob_key
from weights.quantities import size

PREFIX = blob_key("")
SECONDS_BETWEEN_LINES = 10.0
KIT = "kit"  # the name of its manifest
KIT_TOLD = "; the kit is all that a host runs beside vLLM: gate, agent, supervisor"


@dataclass(frozen=True)
class Blobs:
    """Check and upload the blobs of one manifest through one boto3 client."""

    s3: Any
    inputs: BlobsInputs
    report_progress: ReportLine
    clock: Clock = field(default_factory=SystemClock)
    choose: Callable[[Sequence[Part]], Part] = random.choice

    def missing(self) -> list[File]:
        """Return one file for each blob that the store lacks or has in another size. Raises StoreError."""
        with explain_errors(self.inputs.endpoint, self.inputs.bucket):
            present = {row["Key"]: row["Size"] for row in objects(self.s3, self.inputs.bucket, PREFIX)}
        wanted = {file.sha256: file for file in self.inputs.manifest.files}
        return [file for file in wanted.values() if present.get(blob_key(file.sha256)) != file.size]

    def damaged(self, missing: Collection[File]) -> list[File]:
        """Return the files whose blobs are present with other content, as far as `verify` reads them.

        Raises StoreError.
        """
        gone = {file.sha256 for file in missing}
        parts = to_read(self.inputs.verify, self.inputs.manifest, self.choose)
        with explain_errors(self.inputs.endpoint, self.inputs.bucket):
            found = damaged(self.s3, self.inputs.bucket, [part for part in parts if part.file.sha256 not in gone])
        return list({part.file.sha256: part.file for part in found}.values())

    def delete_unneeded(self) -> None:
        """Remove our reference, then the blobs without any reference. Raises StoreError."""
        references = References(self.s3, self.inputs.bucket)
        with explain_errors(self.inputs.endpoint, self.inputs.bucket):
            references.remove(self.inputs.owner)
            deleted = references.delete_unneeded()
        self.report_progress(f"delete {self.inputs.manifest.name}  {deleted} blobs that nothing refers to any more")

    def upload_missing(self, also: Collection[str] = ()) -> int:
        """Upload the missing blobs, verified part by part, and return their number. Raises StoreError.

        `also` holds digests of blobs that are present and known to be damaged.
        """
        manifest, start = self.inputs.manifest, self.clock.monotonic()
        # The store may not show a new bucket everywhere at once.
        missing = when_there(self._begin, self.clock, self.report_progress, self.inputs.bucket)
        known = {file.sha256 for file in missing}
        spoilt = {file.sha256: file for file in manifest.files if file.sha256 in {*also} - known}
        missing += spoilt.values()
        total = sum(file.size for file in missing)
        progress = _Progress(manifest.name, total, self.report_progress, self.clock.monotonic)
        for file in missing:
            # The store answered before, so that trouble may pass. Parts that arrived are not sent again.
            through_trouble(
                partial(self._upload, file, progress),
                self.clock,
                self.report_progress,
                self.inputs.bucket,
                lambda: progress.furthest,
            )
        if missing:
            self._abort_stale()
        blobs = len({file.sha256 for file in manifest.files})
        self.report_progress(
            f"upload {manifest.name}  {size(progress.total)} in {self.clock.monotonic() - start:.1f} s, {blobs} blobs, "
            f"{blobs - len(missing)} were there{KIT_TOLD if manifest.name == KIT else ''}"
        )
        return len(missing)

    def _begin(self) -> list[File]:
        if self.inputs.owner:
            with explain_errors(self.inputs.endpoint, self.inputs.bucket):
                References(self.s3, self.inputs.bucket).write(self.inputs.owner, self.inputs.manifest)
        return self.missing()

    def _upload(self, file: File, progress: "_Progress") -> None:
        progress.begin()
        with explain_errors(self.inputs.endpoint, self.inputs.bucket):
            upload(self.s3, self.inputs.bucket, file, self.inputs.source / file.path, progress.sent)
        progress.end()

    def _abort_stale(self) -> None:
        """Abort uploads that broke days ago, for stores that do not do so themselves. Errors are ignored."""
        before = datetime.fromtimestamp(self.clock.time(), UTC) - timedelta(days=ABORT_UPLOADS_AFTER_DAYS)
        with suppress(BotoCoreError, ClientError):
            for page in self.s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.inputs.bucket, Prefix=PREFIX
            ):
                for row in page.get("Uploads", []):
                    if row["Initiated"] < before:
                        place = {"Bucket": self.inputs.bucket, "Key": row["Key"], "UploadId": row["UploadId"]}
                        self.s3.abort_multipart_upload(**place)


class _Progress:
    """Count uploaded bytes over threads and report them every SECONDS_BETWEEN_LINES, so that a long upload looks alive."""

    def __init__(self, name: str, total: int, report_progress: ReportLine, monotonic: Callable[[], float]) -> None:
        self.total = total
        self._name, self._report_progress, self._monotonic = name, report_progress, monotonic
        self._lock = threading.Lock()
        self._arrived = self._of_this_try = 0
        self._reported_at = monotonic()
        self.furthest = 0  # over all tries: bytes that are sent again are no progress

    def begin(self) -> None:
        """Start a file, or start it again."""
        self._of_this_try = 0

    def end(self) -> None:
        """Count a file that arrived whole."""
        self._arrived += self._of_this_try
        self._of_this_try = 0

    def sent(self, count: int) -> None:
        with self._lock:
            self._of_this_try += count
            arrived = self._arrived + self._of_this_try
            self.furthest = max(self.furthest, arrived)
            if arrived < self.total and self._monotonic() - self._reported_at >= SECONDS_BETWEEN_LINES:
                self._reported_at = self._monotonic()
                self._report_progress(f"upload {self._name}  {size(arrived)} of {size(self.total)}")
