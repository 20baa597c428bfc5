"""Define the store's resources: `Bucket`, and `Blobs` for the blobs of one manifest.

The provider classes are pickled by reference into every stack's state: a rename of this module or of them is a
migration. They keep nothing but the account's keys, which `configure` reads from the provider's args.
"""

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

from providers.engine_watch import EngineWatch
from providers.provider_process import take_over
from providers.store.blobs import Blobs as BlobsOfManifest
from providers.store.bucket import Bucket as OneBucket
from providers.store.bucket import is_listed
from providers.store.client import Keys, connect
from providers.store.errors import BucketMissing, StoreError
from providers.store.inputs import BlobsInputs, BucketInputs
from weights.manifest import mismatches

GONE = ReadResult("", {})
CHECK_TRIES = 2  # a preview should not wait long for a store that is not there


class _StoreProvider(ResourceProvider):
    serialize_as_secret_always = False
    _keys: Keys | None = None

    def configure(self, req: ConfigureRequest) -> None:
        """Take the account's keys from the provider's args."""
        self._keys = Keys(req.config.get("storeAccessKey") or "", req.config.get("storeSecretKey") or "")
        # An upload whose engine has gone may be cut: the next one resumes it.
        take_over(EngineWatch.of_this_process(), lambda: False)

    def _confirm_gone(self, inputs: BucketInputs | BlobsInputs, name: str) -> None:
        """Raise StoreError if the store lists a bucket but says that it does not exist."""
        if is_listed(connect(inputs.endpoint, inputs.region, self._keys), inputs.endpoint, name):
            raise StoreError(
                f"The store says that there is no bucket {name!r}, and lists it. The store may hide a new bucket for some "
                "minutes. Wait, then run the command again."
            )


class BucketProvider(_StoreProvider):
    """Make one bucket, or take over one that is ours; never touch another's."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate; before the first create also ask the store, so that wrong keys and a taken name show in preview."""
        try:
            # A stack id that is not made yet marks no bucket; any valid text may stand for it.
            unknown = _has_unknown(news.get("stackId"))
            known = BucketInputs.checked({**news, "stackId": "unknown"} if unknown else news)
            if not olds:
                self._look(known, "" if unknown else known.stack_id)
        except StoreError as error:
            return CheckResult(dict(news), [CheckFailure("name", str(error))])
        return CheckResult({**known.to_props(), "stackId": news["stackId"]}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Replace for another name or region; set everything else on the existing bucket."""
        keys = BucketInputs.names()
        changed = sorted(key for key in keys if olds.get(key) != news.get(key))
        replaces = [key for key in changed if key in {"name", "region"}]
        return DiffResult(changes=bool(changed or olds.get("drift")), replaces=replaces, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the bucket or take it over. Raises StoreError if it is another's."""
        inputs = BucketInputs.from_props(props)
        return CreateResult(inputs.name, _bucket_outs(inputs, self._bucket(inputs).ensure()))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Report drift. A bucket is gone only if the store says so to valid keys; every other failure raises."""
        inputs = BucketInputs.from_props(props)
        refused = list(props.get("refused") or [])
        try:
            drift = self._bucket(inputs).drift(refused)
        except BucketMissing:
            self._confirm_gone(inputs, inputs.name)
            return GONE
        return ReadResult(id_, {**_bucket_outs(inputs, refused), "drift": drift}, inputs.to_props())

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Mark the bucket and set it up again after drift or change. Raises StoreError if another stack has taken it."""
        inputs = BucketInputs.from_props(news)
        # State's id counts only for the same endpoint: another store's bucket of that name is another bucket.
        former_id = str(olds.get("stackId") or "") if olds.get("endpoint") == inputs.endpoint else ""
        return UpdateResult(_bucket_outs(inputs, self._bucket(inputs).ensure(former_id)))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Keep the bucket for the next up, or empty and delete it, as `onDestroy` says."""
        self._bucket(BucketInputs.from_props(props)).give_up()

    def _bucket(self, inputs: BucketInputs) -> OneBucket:
        return OneBucket(connect(inputs.endpoint, inputs.region, self._keys), inputs, _report_progress)

    def _look(self, inputs: BucketInputs, stack_id: str) -> None:
        client = connect(inputs.endpoint, inputs.region, self._keys, tries=CHECK_TRIES)
        with contextlib.suppress(BucketMissing):
            if reason := OneBucket(client, inputs, _report_progress).refusal(stack_id):
                raise StoreError(reason)


class BlobsProvider(_StoreProvider):
    """Upload the blobs of one manifest into the bucket."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate, and compare the folder's names and sizes with the manifest, if this machine has the folder.

        The digests are compared when a blob is uploaded: hashing 100 GB in every preview would make previews useless.
        """
        if _has_unknown(news):
            return CheckResult(dict(news), [])
        try:
            inputs = BlobsInputs.checked(news)
        except StoreError as error:
            return CheckResult(dict(news), [CheckFailure("", str(error))])
        found = mismatches(inputs.manifest, inputs.source, contents=False) if inputs.source.is_dir() else []
        advice = "Restore the folder, or make the manifest anew: gpu-fleet manifest"
        failures = [CheckFailure("source", f"{' '.join(found[:5])} {advice} {inputs.source}")] if found else []
        return CheckResult(inputs.to_props(), failures)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Upload in place for other content or another bucket; another folder of the files is no difference."""
        keys = BlobsInputs.names() - {"source"}  # `damaged` is not compared, because `drift` covers it
        changed = any(olds.get(key) != news.get(key) for key in keys)
        return DiffResult(changes=changed or bool(olds.get("drift")), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Upload the missing blobs. Raises StoreError, which names the file and the next step."""
        inputs = BlobsInputs.from_props(props)
        uploaded = self._blobs(inputs).upload_missing()
        return CreateResult(f"{inputs.bucket}/{inputs.manifest.name}", _blobs_outs(inputs, uploaded))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Report missing and damaged blobs as drift. Without their bucket, all blobs are gone."""
        inputs = BlobsInputs.from_props(props)
        try:
            blobs = self._blobs(inputs)
            missing = blobs.missing()
            damaged = blobs.damaged(missing)
        except BucketMissing:
            self._confirm_gone(inputs, inputs.bucket)
            return GONE
        drift = [f"The blob of {file.path} ({file.sha256[:12]}) is missing or of another size." for file in missing]
        drift += [f"The blob of {file.path} ({file.sha256[:12]}) holds something else." for file in damaged]
        for sentence in drift:
            _report_progress(f"drift {inputs.manifest.name}  {sentence} The next `pulumi up` uploads it anew.")
        outs = {
            **_blobs_outs(inputs, int(props.get("uploaded") or 0)),
            "drift": drift,
            "damaged": [file.sha256 for file in damaged],
        }
        return ReadResult(id_, outs, inputs.to_props())

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Upload the new manifest's missing blobs and the damaged ones; the old manifest's blobs stay."""
        inputs = BlobsInputs.from_props(news)
        damaged = [str(digest) for digest in olds.get("damaged") or []]
        return UpdateResult(_blobs_outs(inputs, self._blobs(inputs).upload_missing(damaged)))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Delete the blobs without another reference if `onDestroy` is `empty`; else keep all."""
        inputs = BlobsInputs.from_props(props)
        if inputs.on_destroy == "keep" or not inputs.owner:
            _report_progress(
                f"keep the blobs of {inputs.manifest.name}: they stay as long as bucket {inputs.bucket} does"
            )
            return
        with contextlib.suppress(BucketMissing):
            self._blobs(inputs).delete_unneeded()

    def _blobs(self, inputs: BlobsInputs) -> BlobsOfManifest:
        client = connect(inputs.endpoint, inputs.region, self._keys)
        return BlobsOfManifest(client, inputs, _report_progress)


class Bucket(Resource, module="store", name="Bucket"):
    """Manage one bucket.

    Inputs: endpoint, region, name, stackId, onDestroy (keep or empty), versioning, abortUploadsAfterDays.
    `drift`: the last refresh's sentences. `refused`: settings that the store refused.
    """

    drift: pulumi.Output[list[str]]
    refused: pulumi.Output[list[str]]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        # In the options, so that `--replace` obeys too. Otherwise the new resource takes the bucket over, and the end of the
        # old one empties it.
        forced = pulumi.ResourceOptions(delete_before_replace=True)
        props = {**inputs, "drift": None, "refused": None}
        super().__init__(BucketProvider(), name, props, pulumi.ResourceOptions.merge(opts, forced))


class Blobs(Resource, module="store", name="Blobs"):
    """Manage the blobs of one manifest. Inputs: those of BlobsInputs.

    `digest` is the manifest's, `bytes` its size, `uploaded` the number of blobs in the last upload.
    """

    digest: pulumi.Output[str]
    bytes: pulumi.Output[int]
    uploaded: pulumi.Output[int]
    drift: pulumi.Output[list[str]]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = dict.fromkeys(("digest", "bytes", "uploaded", "drift", "damaged"))
        super().__init__(BlobsProvider(), name, {**inputs, **outputs}, opts)


def _bucket_outs(inputs: BucketInputs, refused: list[str]) -> dict[str, Any]:
    return {**inputs.to_props(), "refused": refused, "drift": []}


def _blobs_outs(inputs: BlobsInputs, uploaded: int) -> dict[str, Any]:
    manifest = inputs.manifest
    return {
        **inputs.to_props(),
        "digest": manifest.digest,
        "bytes": manifest.total_bytes,
        "uploaded": uploaded,
        "drift": [],
        "damaged": [],
    }


def _has_unknown(value: Any) -> bool:
    """Return whether a value holds unknowns, as the engine sends them in a preview."""
    if isinstance(value, dict):
        return any(_has_unknown(each) for each in value.values())
    return any(map(_has_unknown, value)) if isinstance(value, list) else isinstance(value, Unknown)


def _report_progress(text: str) -> None:
    # The engine shows the lines that a provider process prints; one write a line, because four calls print at once.
    sys.stdout.write(f"store  {text}\n")
    sys.stdout.flush()
