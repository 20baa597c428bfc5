"""Make a bucket or take it over, mark it, set it up, report its drift, and give it up."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from bootstrap.clock import Clock, SystemClock
from providers.store.bucket_owner import KEPT, OWNER_KEY, Owner, owner, refusal
from providers.store.client import objects
from providers.store.errors import BucketMissing, StoreError, code_of, explain_errors
from providers.store.inputs import BucketInputs
from providers.store.owner_object import Marking, Seen
from providers.store.retry import LATE_SECONDS, when_there
from weights.quantities import monthly_euros, size

ReportLine = Callable[[str], None]  # takes one line for people
RULE = "gpu-fleet-abort-uploads"
VERSIONS = "versioning"
NOT_PUBLIC = "block-public-access"
OURS_ALREADY = {"BucketAlreadyOwnedByYou"}
YOUNG = timedelta(hours=1)
NO_RULES = {"NoSuchLifecycleConfiguration"}
DELETES_AT_ONCE = 8
EMPTYING_ROUNDS = 3


def is_listed(s3: Any, endpoint: str, name: str) -> bool:
    """Return whether the account's list of buckets names this one, whatever the bucket itself answers."""
    with suppress(StoreError), explain_errors(endpoint, name):
        return any(row["Name"] == name for row in s3.list_buckets().get("Buckets", []))
    return False


@dataclass(frozen=True)
class Bucket:
    """Manage one bucket through one boto3 client. Every method raises StoreError only; `report_progress` takes one line."""

    s3: Any
    inputs: BucketInputs
    report_progress: ReportLine
    clock: Clock = field(default_factory=SystemClock)

    def refusal(self, stack_id: str) -> str:
        """Return why a stack may not have this bucket; empty if it may. Raises BucketMissing if the store says so."""
        mark = self._marking.read().mark
        found = owner(mark, stack_id)
        if found.may_take or (found is Owner.UNMARKED and self._left_unmarked()):
            return ""
        return refusal(self.inputs.name, self.inputs.endpoint, found, mark)

    def ensure(self, former_id: str = "") -> list[str]:
        """Make the bucket, or take over one that is ours or was given up, and set it up.

        `former_id` is the stack id with which state claims this bucket. The bucket may then still have that mark, or none.
        Returns the settings that the store refused. Raises StoreError without any change if the bucket is another's.
        """
        try:
            seen: Seen | None = self._marking.read()
        except BucketMissing:
            seen = self._make()
        if seen is not None:
            found = owner(seen.mark, self.inputs.stack_id)
            ours_by_state = bool(former_id) and seen.mark in {former_id, None}
            if not found.may_take and not ours_by_state and (reason := self.refusal(self.inputs.stack_id)):
                raise StoreError(reason)
            if found is not Owner.OURS or not seen.etag:
                mark = self.inputs.stack_id
                when_there(lambda: self._marking.write(mark, seen), self.clock, self.report_progress, self.inputs.name)
            self.report_progress(f"take over {self.inputs.name}: it was there already")
        return self._set_up()

    def drift(self, refused: list[str]) -> list[str]:
        """Return one sentence for each change since we set it up; settings that the store refused do not count."""
        seen = self._marking.read()
        found = []
        if owner(seen.mark, self.inputs.stack_id) is not Owner.OURS or not seen.etag:
            says = f"says {seen.mark}" if seen.etag else "is missing"
            found.append(
                f"The object {OWNER_KEY} of bucket {self.inputs.name} {says}; it should say {self.inputs.stack_id}."
            )
        if RULE not in refused and self._days() != self.inputs.abort_uploads_after_days:
            found.append(f"Bucket {self.inputs.name} no longer clears away broken uploads.")
        with self._readable():
            if VERSIONS not in refused and self._keeps_versions() != self.inputs.versioning:
                does = "does not keep" if self.inputs.versioning else "keeps"
                found.append(f"Bucket {self.inputs.name} {does} what is overwritten or deleted.")
        return found

    def is_ours(self) -> bool:
        """Return whether the mark names our stack. Raises BucketMissing if the store says that there is no bucket."""
        return owner(self._marking.read().mark, self.inputs.stack_id) is Owner.OURS

    def give_up(self) -> None:
        """Keep or delete the bucket as `on_destroy` says, if it is still ours. Leave a missing or foreign one alone."""
        name = self.inputs.name
        try:
            seen = self._marking.read()
            if owner(seen.mark, self.inputs.stack_id) is not Owner.OURS:
                self.report_progress(f"keep {name}: its mark says {seen.mark or 'nothing'}, so it is not ours any more")
            elif self.inputs.on_destroy == "empty":
                self._empty_and_delete()
            else:
                self._keep(seen)
        except BucketMissing:
            self.report_progress(f"{name} is gone already")

    def _make(self) -> Seen | None:
        """Make the bucket and mark it. Returns its mark instead if it existed before."""
        made = self._create()
        if made:
            self.report_progress(f"make {self.inputs.name} in {self.inputs.region}")
        try:
            return when_there(lambda: self._mark_fresh(made), self.clock, self.report_progress, self.inputs.name)
        except BucketMissing:
            raise StoreError(
                f"The store at {self.inputs.endpoint} made bucket {self.inputs.name!r} and has said for {LATE_SECONDS:.0f} s "
                "that there is none. Run `pulumi up` again in some minutes: it takes the bucket over."
            ) from None
        except StoreError:
            # Delete the bucket again, because it has no mark. The store keeps one that is not empty, so another's.
            if made:
                with suppress(StoreError), self._readable():
                    self.s3.delete_bucket(Bucket=self.inputs.name)
            raise

    def _create(self) -> bool:
        """Ask the store to make the bucket; return whether it says that it made it now."""
        arguments: dict[str, Any] = {"Bucket": self.inputs.name}
        host = urlsplit(self.inputs.endpoint).hostname or ""
        if host.endswith(".amazonaws.com") and self.inputs.region != "us-east-1":
            # Only Amazon wants the region; other stores take it from the endpoint and refuse its name.
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self.inputs.region}
        with self._readable():
            try:
                self.s3.create_bucket(**arguments)
            except ClientError as error:
                if code_of(error) not in OURS_ALREADY:  # made before, but the store does not show it yet
                    raise
                return False
        return True

    def _mark_fresh(self, made: bool) -> Seen | None:
        """Mark a bucket that was made just now; return another one's mark. Some stores "make" an existing bucket."""
        seen = self._marking.read()
        if not made or seen.mark is not None or not self._is_empty():
            return seen
        self._marking.write(self.inputs.stack_id, Seen(None))
        return None

    def _is_empty(self) -> bool:
        with self._readable():
            return next(self._versions(), None) is None

    def _left_unmarked(self) -> bool:
        """Return whether an interrupted create left this bucket: empty, and made by this account within the hour."""
        with suppress(StoreError, KeyError, ValueError), self._readable():
            answer = self.s3.list_buckets()
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            made = {row["Name"]: row["CreationDate"] for row in answer["Buckets"]}[self.inputs.name]
            return now - made < YOUNG and self._is_empty()
        return False

    def _set_up(self) -> list[str]:
        settings = (
            (
                RULE,
                self._clear_broken_uploads,
                "to clear away broken uploads by itself, which may leave parts that cost",
            ),
            (VERSIONS, self._set_versions, "to keep what is overwritten or deleted"),
            (
                NOT_PUBLIC,
                self._deny_public,
                "to forbid public access to the bucket by itself; nothing of ours allows any",
            ),
        )
        refused = []
        for name, setting, what in settings:
            try:
                when_there(setting, self.clock, self.report_progress, self.inputs.name)
            except StoreError as error:
                self.report_progress(f"the store refused {what}: {error}")
                refused.append(name)
        return refused

    def _clear_broken_uploads(self) -> None:
        rule = {
            "ID": RULE,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": self.inputs.abort_uploads_after_days},
        }
        with self._readable():
            others = [other for other in self._rules() if other.get("ID") != RULE]
            self.s3.put_bucket_lifecycle_configuration(
                Bucket=self.inputs.name, LifecycleConfiguration={"Rules": [*others, rule]}
            )

    def _set_versions(self) -> None:
        with self._readable():
            if self._keeps_versions() != self.inputs.versioning:
                status = "Enabled" if self.inputs.versioning else "Suspended"
                self.s3.put_bucket_versioning(Bucket=self.inputs.name, VersioningConfiguration={"Status": status})

    def _keeps_versions(self) -> bool:
        return bool(self.s3.get_bucket_versioning(Bucket=self.inputs.name).get("Status") == "Enabled")

    def _deny_public(self) -> None:
        everything = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        )
        with self._readable():
            self.s3.put_public_access_block(Bucket=self.inputs.name, PublicAccessBlockConfiguration=everything)

    def _keep(self, seen: Seen) -> None:
        objects, count = self._usage()
        self._marking.write(KEPT, seen)
        self.report_progress(
            f"keep {self.inputs.name}: {objects} objects, {size(count)}, go on costing about {monthly_euros(count)} EUR a "
            "month at Hetzner's price. The next up takes them over; gpu-fleet:store.onDestroy=empty deletes them."
        )

    def _empty_and_delete(self) -> None:
        objects, count = self._usage()
        for _ in range(EMPTYING_ROUNDS):
            with self._readable():
                self._delete([row for row in self._versions() if row["Key"] != OWNER_KEY])
                for each in self._uploads():
                    self.s3.abort_multipart_upload(Bucket=self.inputs.name, **each)
                left = list(self._versions())
                if any(row["Key"] != OWNER_KEY for row in left):
                    continue  # others were still writing
                self._delete(left)  # last: until then the bucket names its owner
            try:
                self.s3.delete_bucket(Bucket=self.inputs.name)
            except ClientError as error:
                self._marking.write(self.inputs.stack_id, Seen(None))
                if code_of(error) == "BucketNotEmpty":
                    continue
                with self._readable():
                    raise
            self.report_progress(f"empty and delete {self.inputs.name}: {objects} objects, {size(count)}")
            return
        raise StoreError(
            f"Bucket {self.inputs.name!r} is still not empty after {EMPTYING_ROUNDS} rounds of deleting: objects are locked, "
            "or somebody goes on writing. End that, then run `pulumi destroy` again."
        )

    def _delete(self, rows: list[dict[str, str]]) -> None:
        with ThreadPoolExecutor(DELETES_AT_ONCE) as pool:
            list(pool.map(lambda each: self.s3.delete_object(Bucket=self.inputs.name, **each), rows))

    def _usage(self) -> tuple[int, int]:
        with self._readable():
            sizes = [row["Size"] for row in objects(self.s3, self.inputs.name) if row["Key"] != OWNER_KEY]
        return len(sizes), sum(sizes)

    def _versions(self) -> Iterator[dict[str, str]]:
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.inputs.name):
            for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                yield {"Key": row["Key"], "VersionId": row["VersionId"]}

    def _uploads(self) -> Iterator[dict[str, str]]:
        for page in self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.inputs.name):
            for row in page.get("Uploads", []):
                yield {"Key": row["Key"], "UploadId": row["UploadId"]}

    @property
    def _marking(self) -> Marking:
        return Marking(self.s3, self.inputs.endpoint, self.inputs.name, self.clock.sleep)

    def _rules(self) -> list[dict[str, Any]]:
        try:
            rules: list[dict[str, Any]] = self.s3.get_bucket_lifecycle_configuration(Bucket=self.inputs.name)["Rules"]
        except ClientError as error:
            if code_of(error) in NO_RULES:
                return []
            raise
        return rules

    def _days(self) -> int:
        with self._readable():
            for rule in self._rules():
                if rule.get("ID") == RULE and rule.get("Status") == "Enabled":
                    return int(rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0))
        return 0

    def _readable(self) -> Any:
        return explain_errors(self.inputs.endpoint, self.inputs.name)
