"""Upload one file as one blob, so that the blob under a digest has that digest.

Each part of 64 MiB is read once, compared with the manifest, and sent with two digests for the store to compare: its
SHA-256, signed, and its MD5, because not every store compares the first. The blob appears only if the whole file's digest
fits too. So neither a file that changes during the upload nor a flipped bit leaves a wrong blob under a right name.

An interrupted upload stays in the store, and the next one sends only the missing parts. After some days the bucket deletes
an upload that was not resumed.
"""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from providers.store.errors import StoreError
from weights.manifest import PART_BYTES, File, blob_key

PARTS_AT_ONCE = 4  # each holds 64 MiB of memory


def upload(s3: Any, bucket: str, file: File, path: Path, sent: Callable[[int], None]) -> None:
    """Upload `path` as the blob that `file` describes; `sent` gets the bytes of each part that arrived.

    Raises StoreError if the content differs from the manifest, and boto3's errors.
    """
    target = {"Bucket": bucket, "Key": blob_key(file.sha256)}
    if file.size <= PART_BYTES:
        content = b"".join(_parts(file, path))
        s3.put_object(**target, **_body(content))
        sent(len(content))
        return
    begun = _begun(s3, target)
    furthest = max(begun, key=lambda upload_id: len(begun[upload_id]), default=None)
    started = {**target, "UploadId": furthest or s3.create_multipart_upload(**target)["UploadId"]}
    try:
        done = _send_parts(s3, started, _parts(file, path), begun.get(furthest or "", {}), sent)
        s3.complete_multipart_upload(**started, MultipartUpload={"Parts": done})
    except StoreError:
        # The folder differs from the reviewed manifest, so that the parts that were sent are useless.
        _abort(s3, target, started["UploadId"])
        raise
    for other in begun.keys() - {furthest}:
        _abort(s3, target, other)


def _begun(s3: Any, target: Mapping[str, str]) -> dict[str, dict[int, str]]:
    """Return the unfinished uploads of this blob, each with the parts that arrived."""
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=target["Bucket"], Prefix=target["Key"])
    rows = [row for page in pages for row in page.get("Uploads", []) if row["Key"] == target["Key"]]
    return {str(row["UploadId"]): _there(s3, {**target, "UploadId": row["UploadId"]}) for row in rows}


def _there(s3: Any, started: Mapping[str, str]) -> dict[int, str]:
    """Return the MD5 of the parts that arrived, by number. A store that does not list them gets all parts again."""
    with contextlib.suppress(ClientError):
        pages = s3.get_paginator("list_parts").paginate(**started)
        return {int(row["PartNumber"]): str(row["ETag"]).strip('"') for page in pages for row in page.get("Parts", [])}
    return {}


def _abort(s3: Any, target: Mapping[str, str], upload_id: str) -> None:
    with contextlib.suppress(BotoCoreError, ClientError):
        s3.abort_multipart_upload(**target, UploadId=upload_id)


def _send_parts(
    s3: Any,
    started: Mapping[str, str],
    parts: Iterator[bytes],
    there: Mapping[int, str],
    sent: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Send parts as they are read, a few at once, and return their list for completing the upload."""

    def send(number: int, part: bytes) -> dict[str, Any]:
        digest = hashlib.md5(part, usedforsecurity=False)
        if there.get(number) == digest.hexdigest():
            tag = f'"{digest.hexdigest()}"'
        else:
            tag = s3.upload_part(**started, PartNumber=number, **_body(part, digest.digest()))["ETag"]
        sent(len(part))
        return {"PartNumber": number, "ETag": tag}

    done: list[dict[str, Any]] = []
    running: set[Future[dict[str, Any]]] = set()
    with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
        for number, part in enumerate(parts, start=1):
            running.add(pool.submit(send, number, part))
            if len(running) == PARTS_AT_ONCE:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                done += [future.result() for future in finished]
        done += [future.result() for future in running]
    return sorted(done, key=lambda part: int(part["PartNumber"]))


def _body(content: bytes, md5: bytes | None = None) -> dict[str, Any]:
    digest = md5 or hashlib.md5(content, usedforsecurity=False).digest()
    return {"Body": content, "ContentMD5": base64.b64encode(digest).decode()}


def _parts(file: File, path: Path) -> Iterator[bytes]:
    """Yield the file's parts, each checked against its digest, and the last one only if the whole file's digest fits."""
    whole = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for index, expected in enumerate(file.parts):
                part = stream.read(PART_BYTES)
                whole.update(part)
                last = index == len(file.parts) - 1
                ends_right = not last or (whole.hexdigest() == file.sha256 and not stream.read(1))
                if hashlib.sha256(part).hexdigest() != expected or not ends_right:
                    raise StoreError(
                        f"{path} is not what the manifest says ({file.size} bytes, digest {file.sha256[:12]}), so it was "
                        "not uploaded. Restore the file, or make the manifest anew and have it reviewed."
                    )
                yield part
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}), and the store does not have its blob yet. Put the model's files "
            "into that folder, or name their folder as `source` of the model in stack config."
        ) from None
