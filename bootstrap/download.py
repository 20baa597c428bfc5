"""Download a manifest's files on a host, once: presigned URLs in, a verified folder out, or an error that names the fault."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError

from bootstrap.errors import BootstrapError, FetchFailed, PreflightFailed, WeightsMissing
from bootstrap.host import Host, Result
from bootstrap.remote_scripts import answer, python
from weights.manifest import PART_BYTES, Manifest, blob_key

# A store allows 256 requests a second for one address, and 750 for all of one bucket. Parts of 64 MiB need few.
# One connection over an ocean, 150 ms away, carries 100 Mb/s or less.
CONNECTIONS = 16
URLS_LAST_SECONDS = 3600
RENEWALS = 24
PAUSE_SECONDS = 0.25  # before the second try of a part; doubled from try to try
RATE_AFTER_SECONDS = 4.0
RATE_OVER_SECONDS = 15.0  # a line that becomes slow is noticed within 20 s
MEASURED_SECONDS = 1.0  # a shorter transfer measures round trips rather than the line
REFERENCE_CONNECTIONS = 4
REFERENCE_SECONDS = 5.0
REFERENCE_BYTES = 64 * 2**20
# Exit codes of scripts/fetch.py.
REFUSED, NO_SPACE, NETWORK, TOO_SLOW, EXPIRED = 4, 5, 6, 7, 8
KEYS_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidClientTokenId")
ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "NoSuchBucket", "IllegalLocationConstraintException")


@dataclass(frozen=True)
class Fetched:
    """Describe a finished download. `text` is for people; `mbps` in Mbit/s, None if too little came to measure a rate."""

    text: str
    mbps: float | None


def download(
    host: Host,
    name: str,
    manifest: Manifest,
    presign: Callable[[str, int], str],
    target: str,
    least_mbps: float,
    patience_seconds: float,
    rate_after_seconds: float = RATE_AFTER_SECONDS,
) -> Fetched:
    """Download a manifest's files into the folder `target` on the host.

    `presign` returns a URL for a file's SHA-256 that lasts some seconds; a longer download gets new URLs.
    `least_mbps` is in Mbit/s, 0 for no bound. `patience_seconds`: how long no byte may arrive.
    `rate_after_seconds`: how long the rate is not judged yet.
    Raises WeightsMissing, PreflightFailed (slow, disk) and FetchFailed.
    """
    request = {"target": target, "part_bytes": PART_BYTES, **fetch_settings(least_mbps, patience_seconds)}
    request["rate_after_seconds"] = rate_after_seconds
    came = 0
    for _renewal in range(RENEWALS):
        files = [
            {**file.model_dump(mode="json"), "url": presign(file.sha256, URLS_LAST_SECONDS)} for file in manifest.files
        ]
        result = python(host, "fetch.py", {**request, "files": files}, URLS_LAST_SECONDS + 600)
        if result.status == 0:
            break
        came += _bytes_before_failure(result)
        if result.status != EXPIRED:
            break
    if result.status != 0:
        raise _error(f"{name}: fetching {manifest.name}", result, manifest, came)
    done = answer(result, "the fetch's report")
    seconds = float(done["seconds"])
    kept = f", {_size(done['kept'])} were there" if done["kept"] else ""
    mbps = done["bytes"] * 8 / 1e6 / seconds if seconds >= MEASURED_SECONDS else None
    rate = "" if mbps is None else f" ({mbps:.0f} Mb/s)"
    return Fetched(f"{manifest.name}: {_size(done['bytes'])} in {seconds:.1f} s{rate}, sha256 ok{kept}", mbps)


def reference_mbps(host: Host, url: str) -> float | None:
    """Return the rate in Mb/s at which a host gets a file from elsewhere; None without a URL, or if nothing came."""
    if not url:
        return None
    request = {
        "url": url,
        "connections": REFERENCE_CONNECTIONS,
        "seconds": REFERENCE_SECONDS,
        "bytes": REFERENCE_BYTES,
    }
    result = python(host, "reference.py", request, REFERENCE_SECONDS + 30)
    rate = answer(result, "the reference's rate")["mbps"] if result.status == 0 else None
    return None if rate is None else float(rate)


def fetch_settings(least_mbps: float, patience_seconds: float) -> dict[str, float]:
    """Return the numbers of a request to scripts/fetch.py."""
    return {
        "connections": CONNECTIONS,
        "least_mbps": least_mbps,
        "pause_seconds": PAUSE_SECONDS,
        "patience_seconds": patience_seconds,
        "urls_last_seconds": URLS_LAST_SECONDS,
        "rate_after_seconds": RATE_AFTER_SECONDS,
        "rate_over_seconds": RATE_OVER_SECONDS,
    }


class _FailedDownload(BaseModel):
    """The bytes that a failed download got before."""

    bytes: int = Field(0, ge=0)


def _bytes_before_failure(result: Result) -> int:
    try:
        return _FailedDownload.model_validate_json(result.stdout).bytes
    except ValidationError:
        return 0  # a killed script prints nothing


def _error(what: str, result: Result, manifest: Manifest, came: int) -> BootstrapError:
    last_line = (result.stderr.strip().splitlines() or [f"it ended with status {result.status}"])[-1]
    if result.status == REFUSED:
        return WeightsMissing(f"{what} failed: {last_line}. {_advise_refused(last_line)}")
    if result.status == TOO_SLOW:
        measured = re.match(r"([\d.]+) Mb/s", last_line)
        mbps = float(measured[1]) if measured else None
        return PreflightFailed("slow", f"{what} is too slow: {last_line}", mbps, came)
    if result.status == NO_SPACE:
        return PreflightFailed("disk", f"{what} failed: {last_line}")
    return FetchFailed(
        f"{what} failed: {last_line}{_advise_damaged(last_line, manifest)}",
        line=result.status == NETWORK,
        store_said="the store answers" in last_line,
        came_bytes=came,
    )


def _advise_refused(message: str) -> str:
    """Return the advice about a blob that the store does not give out."""
    if "expired" in message:
        return (
            "It was signed a moment ago, so this machine's clock differs from the store's, or the bucket's clock is off: set "
            "the clock, then run `pulumi up` again."
        )
    if any(code in message for code in ELSEWHERE):
        return (
            "There is no such bucket here: are gpu-fleet:store.endpoint and gpu-fleet:store.region those of the bucket?"
        )
    if any(code in message for code in KEYS_REFUSED):
        return (
            "The store's keys are wrong or may not read: set gpu-fleet:storeAccessKey and gpu-fleet:storeSecretKey to a pair "
            "that may read this bucket. A key without the right to list is told this, too, of a blob that is missing."
        )
    return (
        "Was it uploaded to this bucket, and are the store's keys right? `pulumi refresh` says which blobs lack, `pulumi up` "
        "uploads them."
    )


def _advise_damaged(message: str, manifest: Manifest) -> str:
    """Return the advice about a blob that arrives damaged on every host; `message` begins with its file's path."""
    file = next((file for file in manifest.files if message.startswith(f"{file.path},")), None)
    if file is None or "SHA-256" not in message:
        return ""
    return (
        f". If other machines say so too, the bucket's copy is damaged: delete {blob_key(file.sha256)} from it, then "
        "`pulumi up --refresh` uploads it anew"
    )


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
