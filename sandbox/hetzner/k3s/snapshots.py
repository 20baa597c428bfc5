"""etcd's snapshots: taken, listed, thinned out, and brought back."""

from __future__ import annotations

import datetime as dt
import io
import shutil
import tempfile
import time
import zipfile
from pathlib import Path

from sandbox.hetzner.k3s import bootstrap, etcd
from sandbox.hetzner.k3s.config import Mistake, Settings
from sandbox.hetzner.k3s.programs import say
from sandbox.hetzner.k3s.s3 import Bucket

ON_DEMAND, SCHEDULED = "on-demand", "etcd-snapshot"
LATEST = 59  # the largest number of any field
RESET = "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now."


def save(settings: Settings, name: str) -> str:
    """Take a snapshot of the running etcd, bring it to the bucket, and return its name. Raises Mistake."""
    settings.snapshots.mkdir(parents=True, exist_ok=True, mode=0o700)
    prefix = f"{name}-{settings.node}"
    plain = settings.snapshots / f"{prefix}-{int(time.time())}"
    try:
        etcd.snapshot(plain)
    except OSError as error:
        plain.unlink(missing_ok=True)
        raise Mistake(f"see server log for details: etcd does not answer ({error})") from None
    taken = _compressed(plain) if settings.on("etcd-snapshot-compress") else plain
    bucket = Bucket.of(settings)
    if bucket:
        bucket.put(taken.name, taken.read_bytes())
    say(f"Snapshot {taken.name} saved.")
    thin_out(settings, prefix, bucket)
    return taken.name


def thin_out(settings: Settings, prefix: str, bucket: Bucket | None) -> None:
    """Remove the oldest snapshots of a name until as many are left as the retention says."""
    most = int(settings.text("etcd-snapshot-retention", "5"))
    local = sorted((file for file in settings.snapshots.iterdir() if file.name.startswith(f"{prefix}-")), key=_moment)
    for file in local[: max(0, len(local) - most)]:
        file.unlink()
    stored = (
        sorted((one.name for one in bucket.each() if one.name.startswith(f"{prefix}-")), key=_taken) if bucket else []
    )
    for name in stored[: max(0, len(stored) - most)]:
        assert bucket is not None
        bucket.remove(name)


def table(settings: Settings) -> str:
    """Return the snapshots on the server and in the bucket, as a table."""
    rows = [("Name", "Location", "Size", "Created")]
    for file in sorted(settings.snapshots.glob("*")):
        written = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
        rows.append((file.name, f"file://{file}", str(file.stat().st_size), written.strftime("%Y-%m-%dT%H:%M:%SZ")))
    if bucket := Bucket.of(settings):
        place = f"s3://{bucket.name}/{bucket.folder}".rstrip("/")
        rows += [(one.name, f"{place}/{one.name}", str(one.size), one.modified) for one in bucket.each()]
    return "\n".join(" ".join(row) for row in rows)


def restore(settings: Settings, wanted: str) -> None:
    """Bring the cluster back from a snapshot on the server or, with etcd-s3, in the bucket. Raises Mistake."""
    bucket = Bucket.of(settings)
    with tempfile.TemporaryDirectory() as folder:
        found = Path(wanted)
        if bucket:
            found = Path(folder, Path(wanted).name)
            found.write_bytes(bucket.get(found.name))
        if not found.is_file():
            raise Mistake(f"etcd: snapshot path does not exist: {wanted}")
        plain = _plain(found, Path(folder))
        if settings.etcd.exists():
            shutil.move(settings.etcd, settings.etcd.with_name(f"etcd-old-{int(time.time())}"))
        etcd.restore(settings, plain)
    reset(settings)


def reset(settings: Settings) -> None:
    """Start etcd alone once, so that it and the cluster's secrets are this server's. Raises Mistake."""
    shutil.rmtree(settings.data / "server" / "tls", ignore_errors=True)
    child = etcd.start(settings)
    try:
        bootstrap.ensure(settings)
    finally:
        child.stop()
    (settings.data / "server" / "db" / "reset-flag").touch()
    say(RESET)


def is_due(cron: str, moment: time.struct_time) -> bool:
    """Say whether a schedule of five fields names a minute. Fields have *, numbers, ranges, steps of them, and lists."""
    fields = (moment.tm_min, moment.tm_hour, moment.tm_mday, moment.tm_mon, (moment.tm_wday + 1) % 7)
    return all(
        any(_fits(part, now) for part in word.split(",")) for word, now in zip(cron.split(), fields, strict=True)
    )


def _fits(part: str, now: int) -> bool:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    if span == "*":
        return now % int(step or 1) == 0
    end = int(last) if last else LATEST if step else int(first)
    return int(first) <= now <= end and (now - int(first)) % int(step or 1) == 0


def _compressed(plain: Path) -> Path:
    target = plain.with_name(f"{plain.name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, plain.name)
    target.chmod(0o600)
    plain.unlink()
    return target


def _plain(found: Path, folder: Path) -> Path:
    if not zipfile.is_zipfile(found):
        return found
    with zipfile.ZipFile(io.BytesIO(found.read_bytes())) as archive:
        target = folder / "snapshot"
        target.write_bytes(archive.read(archive.namelist()[0]))
    return target


def _moment(file: Path) -> int:
    return _taken(file.name)


def _taken(name: str) -> int:
    last = name.removesuffix(".zip").rpartition("-")[2]
    return int(last) if last.isdigit() else 0
