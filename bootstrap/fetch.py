"""Files onto a host: presigned URLs in, a verified folder out, and whose fault it was where there is none."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError

from bootstrap.errors import BootstrapError, FetchFailed, PreflightFailed, WeightsMissing
from bootstrap.host import Host, Result
from bootstrap.remote_scripts import answer, python
from weights.manifest import PART_BYTES, Manifest, blob_key

# A store lets one address have 256, and all of one bucket 750 requests a second: parts of 64 MiB need few. One
# connection over an ocean, 150 ms away, carries 100 Mb/s or less.
CONNECTIONS = 16
URLS_LAST_SECONDS = 3600
RENEWALS = 24
PAUSE_SECONDS = 0.25  # before the second try of a part; doubled from try to try
RATE_AFTER_SECONDS = 4.0
RATE_OVER_SECONDS = 15.0  # a line that goes slow is noticed within 20 s
MEASURED_SECONDS = 1.0  # a shorter transfer says more of round trips than of the line
REFERENCE_CONNECTIONS = 4
REFERENCE_SECONDS = 5.0
REFERENCE_BYTES = 64 * 2**20
# Numbers with which scripts/fetch.py ends.
REFUSED, NO_SPACE, NETWORK, TOO_SLOW, EXPIRED = 4, 5, 6, 7, 8
KEYS_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidClientTokenId")
ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "NoSuchBucket", "IllegalLocationConstraintException")


@dataclass(frozen=True)
class Fetched:
    """What a fetch took. `text` is for people; `mbps` in Mbit/s, None where too little came to measure a rate by."""

    text: str
    mbps: float | None


def fetch(
    host: Host,
    name: str,
    manifest: Manifest,
    presign: Callable[[str, int], str],
    target: str,
    least_mbps: float,
    patience_seconds: float,
    rate_after_seconds: float = RATE_AFTER_SECONDS,
) -> Fetched:
    """Bring a manifest's files into the folder `target` on the host and return what it took.

    `presign` returns a URL for the SHA-256 of a file that lasts some seconds; a download that takes longer gets new ones.
    `least_mbps` is in Mbit/s, 0 for no bound; `patience_seconds` is how long no byte may arrive;
    `rate_after_seconds` from when on the rate is judged. Raises WeightsMissing, PreflightFailed (slow, disk) and FetchFailed.
    """
    order = {"target": target, "part_bytes": PART_BYTES, **order_of(least_mbps, patience_seconds)}
    order["rate_after_seconds"] = rate_after_seconds
    came = 0
    for _renewal in range(RENEWALS):
        files = [
            {**file.model_dump(mode="json"), "url": presign(file.sha256, URLS_LAST_SECONDS)} for file in manifest.files
        ]
        result = python(host, "fetch.py", {**order, "files": files}, URLS_LAST_SECONDS + 600)
        if result.status == 0:
            break
        came += _came(result)
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
    """Return the rate in Mb/s at which a host gets a file from elsewhere; None without a URL, or where nothing came."""
    if not url:
        return None
    order = {
        "url": url,
        "connections": REFERENCE_CONNECTIONS,
        "seconds": REFERENCE_SECONDS,
        "bytes": REFERENCE_BYTES,
    }
    result = python(host, "reference.py", order, REFERENCE_SECONDS + 30)
    rate = answer(result, "the reference's rate")["mbps"] if result.status == 0 else None
    return None if rate is None else float(rate)


def order_of(least_mbps: float, patience_seconds: float) -> dict[str, float]:
    """Return how scripts/fetch.py is to go about it."""
    return {
        "connections": CONNECTIONS,
        "least_mbps": least_mbps,
        "pause_seconds": PAUSE_SECONDS,
        "patience_seconds": patience_seconds,
        "urls_last_seconds": URLS_LAST_SECONDS,
        "rate_after_seconds": RATE_AFTER_SECONDS,
        "rate_over_seconds": RATE_OVER_SECONDS,
    }


class _Came(BaseModel):
    """What a fetch that failed got before."""

    bytes: int = Field(0, ge=0)


def _came(result: Result) -> int:
    try:
        return _Came.model_validate_json(result.stdout).bytes
    except ValidationError:
        return 0  # a script that was killed says nothing


def _error(what: str, result: Result, manifest: Manifest, came: int) -> BootstrapError:
    said = (result.stderr.strip().splitlines() or [f"it ended with status {result.status}"])[-1]
    if result.status == REFUSED:
        return WeightsMissing(f"{what} failed: {said}. {_refused(said)}")
    if result.status == TOO_SLOW:
        measured = re.match(r"([\d.]+) Mb/s", said)
        return PreflightFailed("slow", f"{what} is too slow: {said}", float(measured[1]) if measured else None, came)
    if result.status == NO_SPACE:
        return PreflightFailed("disk", f"{what} failed: {said}")
    return FetchFailed(
        f"{what} failed: {said}{_damaged(said, manifest)}",
        line=result.status == NETWORK,
        store_said="the store answers" in said,
        came_bytes=came,
    )


def _refused(said: str) -> str:
    """Say what to do about a blob that the store does not give out."""
    if "expired" in said:
        return (
            "It was signed a moment ago, so this machine's clock differs from the store's, or the bucket's clock is off: set "
            "the clock, then run `pulumi up` again."
        )
    if any(code in said for code in ELSEWHERE):
        return (
            "There is no such bucket here: are gpu-fleet:store.endpoint and gpu-fleet:store.region those of the bucket?"
        )
    if any(code in said for code in KEYS_REFUSED):
        return (
            "The store's keys are wrong or may not read: set gpu-fleet:storeAccessKey and gpu-fleet:storeSecretKey to a pair "
            "that may read this bucket. A key without the right to list is told this, too, of a blob that is missing."
        )
    return (
        "Was it uploaded to this bucket, and are the store's keys right? `pulumi refresh` says which blobs lack, `pulumi up` "
        "uploads them."
    )


def _damaged(said: str, manifest: Manifest) -> str:
    """Say what to do about a blob that arrives damaged wherever it goes; which one it is, `said` begins with."""
    file = next((file for file in manifest.files if said.startswith(f"{file.path},")), None)
    if file is None or "SHA-256" not in said:
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
