"""Compare blobs with their manifest by reading them from the store: one part at random, or all parts.

Reading costs egress, so that a sample is one part of 64 MiB at most. A right size does not prove the right content.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from weights.manifest import PART_BYTES, File, Manifest, blob_key

PARTS_AT_ONCE = 4
BLOCK = 2**20


@dataclass(frozen=True)
class Part:
    """Name one part of a blob."""

    file: File
    index: int


def parts_of(files: Iterable[File]) -> list[Part]:
    """Return the parts of some files, each blob once."""
    blobs = {file.sha256: file for file in files}
    return [Part(file, index) for file in blobs.values() for index in range(len(file.parts))]


def to_read(verify: str, manifest: Manifest, choose: Callable[[Sequence[Part]], Part]) -> list[Part]:
    """Return the parts that a refresh reads: none for `sizes`, all for `full`, else one, chosen by `choose`."""
    parts = parts_of(manifest.files)
    if verify == "sizes" or not parts:
        return []
    return parts if verify == "full" else [choose(parts)]


def damaged(s3: Any, bucket: str, parts: Sequence[Part]) -> list[Part]:
    """Return the parts whose content differs from the manifest; boto3's errors pass through."""
    with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
        good = pool.map(lambda part: _digest(s3, bucket, part) == part.file.parts[part.index], parts)
        return [part for part, fine in zip(parts, good, strict=True) if not fine]


def _digest(s3: Any, bucket: str, part: Part) -> str:
    start = part.index * PART_BYTES
    end = min(part.file.size, start + PART_BYTES) - 1
    checksum = hashlib.sha256()
    answer = s3.get_object(Bucket=bucket, Key=blob_key(part.file.sha256), Range=f"bytes={start}-{end}")
    for block in answer["Body"].iter_chunks(BLOCK):
        checksum.update(block)
    return checksum.hexdigest()
