"""One file into one blob, so that what lies under a digest has that digest.

Each part of 64 MiB is read once, compared with the manifest, and sent with two digests that the store compares with what
arrived: its SHA-256, signed, and its MD5, because not every store compares the first. The blob appears only
when the whole file's digest fits too: a file that changes while it is read, or a line that flips a bit, never
leaves a wrong blob under a right name.
"""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bootstrap.manifest import PART_BYTES, File, blob_key
from providers.store.errors import StoreError

PARTS_AT_ONCE = 4  # each holds 64 MiB of memory


def upload(s3: Any, bucket: str, file: File, path: Path, sent: Callable[[int], None]) -> None:
    """Upload `path` as the blob that `file` describes; `sent` is told the bytes of each part that has arrived.

    Raises StoreError where the content is not what the manifest says, and whatever boto3 raises.
    """
    target = {"Bucket": bucket, "Key": blob_key(file.sha256)}
    if file.size <= PART_BYTES:
        content = b"".join(_parts(file, path))
        s3.put_object(**target, **_body(content))
        sent(len(content))
        return
    started = {**target, "UploadId": s3.create_multipart_upload(**target)["UploadId"]}
    try:
        done = _send_parts(s3, started, _parts(file, path), sent)
        s3.complete_multipart_upload(**started, MultipartUpload={"Parts": done})
    except BaseException:
        # The first failure is the one to report; what this leaves behind the bucket clears away after days.
        with contextlib.suppress(BotoCoreError, ClientError):
            s3.abort_multipart_upload(**started)
        raise


def _send_parts(
    s3: Any, started: dict[str, str], parts: Iterator[bytes], sent: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Send parts as they are read, a few at once, and return what completing the upload wants to know."""

    def send(number: int, part: bytes) -> dict[str, Any]:
        answer = s3.upload_part(**started, PartNumber=number, **_body(part))
        sent(len(part))
        return {"PartNumber": number, "ETag": answer["ETag"]}

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


def _body(content: bytes) -> dict[str, Any]:
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return {"Body": content, "ContentMD5": base64.b64encode(digest).decode()}


def _parts(file: File, path: Path) -> Iterator[bytes]:
    """Yield the file's parts, each of them proven; the last is yielded only when the whole file is."""
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
