"""Files onto a host: presigned URLs in, a verified folder out, and whose fault it was where there is none."""

from dataclasses import dataclass

from bootstrap.errors import BootstrapError, FetchFailed, PreflightFailed, WeightsMissing
from bootstrap.host import Host, Result
from bootstrap.manifest import PART_BYTES, Manifest, blob_key
from bootstrap.scripting import answer, python

CONNECTIONS = 4
SECONDS = 3600.0
PAUSE_SECONDS = 0.25  # before the second try of a part; doubled from try to try
MEASURED_SECONDS = 1.0  # a shorter transfer says more of round trips than of the line
REFUSED, NO_SPACE, TOO_SLOW = 4, 5, 7  # numbers with which scripts/fetch.py ends


@dataclass(frozen=True)
class Fetched:
    """What a fetch took. `text` is for people; `mbps` in Mbit/s, None where too little came to measure a rate by."""

    text: str
    mbps: float | None


def fetch(host: Host, name: str, manifest: Manifest, urls: dict[str, str], target: str, least_mbps: float) -> Fetched:
    """Bring a manifest's files into the folder `target` on the host and return what it took.

    `urls` maps SHA-256 of a file to where it is fetched from; `least_mbps` is in Mbit/s, 0 for no bound. Raises
    WeightsMissing, PreflightFailed (slow, disk) and FetchFailed.
    """
    # A file of one part comes over one connection, which gets its share of the line and no more.
    streams = min(CONNECTIONS, sum(len(file.parts) for file in manifest.files))
    files = [{**file.model_dump(mode="json"), "url": urls[file.sha256]} for file in manifest.files]
    order = {
        "target": target,
        "files": files,
        "part_bytes": PART_BYTES,
        "connections": CONNECTIONS,
        "least_mbps": least_mbps * streams / CONNECTIONS,
        "pause_seconds": PAUSE_SECONDS,
    }
    result = python(host, "fetch.py", order, SECONDS)
    if result.status != 0:
        raise _error(f"{name}: fetching {manifest.name}", result, manifest)
    done = answer(result, "the fetch's report")
    seconds = float(done["seconds"])
    kept = f", {_size(done['kept'])} were there" if done["kept"] else ""
    mbps = done["bytes"] * 8 / 1e6 / seconds if seconds >= MEASURED_SECONDS else None
    rate = "" if mbps is None else f" ({mbps:.0f} Mb/s)"
    return Fetched(f"{manifest.name}: {_size(done['bytes'])} in {seconds:.1f} s{rate}, sha256 ok{kept}", mbps)


def _error(what: str, result: Result, manifest: Manifest) -> BootstrapError:
    said = (result.stderr.strip().splitlines() or [f"it ended with status {result.status}"])[-1]
    if result.status == REFUSED:
        return WeightsMissing(
            f"{what} failed: {said}. Was it uploaded to this bucket, and are the store's keys right? "
            "`pulumi refresh` says which blobs lack, `pulumi up` uploads them."
        )
    if result.status == TOO_SLOW:
        return PreflightFailed("slow", f"{what} is too slow: {said}")
    if result.status == NO_SPACE:
        return PreflightFailed("disk", f"{what} failed: {said}")
    return FetchFailed(f"{what} failed: {said}{_damaged(said, manifest)}")


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
