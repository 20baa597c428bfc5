"""The bucket: make it or take it over, mark it, set it up, look at it, and give it up."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from providers.store.client import objects
from providers.store.errors import BucketMissing, StoreError, code_of, readable
from providers.store.inputs import BucketInputs
from providers.store.ownership import KEPT, TAG, Owner, owner, refusal
from providers.store.quantities import monthly_euros, size

Say = Callable[[str], None]
RULE = "gpu-fleet-abort-uploads"
VERSIONS = "versioning"
NOT_PUBLIC = "block-public-access"
NO_TAGS = {"NoSuchTagSet", "NoSuchTagSetError"}
NO_RULES = {"NoSuchLifecycleConfiguration"}
DELETES_AT_ONCE = 8
EMPTYING_ROUNDS = 3


@dataclass(frozen=True)
class Bucket:
    """One bucket through one boto3 client. Every method raises StoreError only; `say` takes one progress line."""

    s3: Any
    inputs: BucketInputs
    say: Say

    def mark(self) -> str | None:
        """Return the value of our tag, None where it has none. Raises BucketMissing on the store's own word."""
        return self._tags().get(TAG)

    def ensure(self, former_id: str = "") -> list[str]:
        """Make the bucket, or take over one that is ours or was given up, and set it up.

        `former_id` is the id with which state says that this very bucket is ours: then it may still carry that mark, or
        have lost it. Returns the settings that the store refused.
        Raises StoreError, having touched nothing, where the bucket is somebody else's.
        """
        try:
            mark = self.mark()
        except BucketMissing:
            self._make()
        else:
            found = owner(mark, self.inputs.stack_id)
            ours_by_state = bool(former_id) and mark in {former_id, None}
            if not found.may_take and not ours_by_state:
                raise StoreError(refusal(self.inputs.name, self.inputs.endpoint, found, mark))
            if found is not Owner.OURS:
                self._write_mark(self.inputs.stack_id)
            self.say(f"take over {self.inputs.name}: it was there already")
        return self._set_up()

    def drift(self, refused: list[str]) -> list[str]:
        """Return what is not as we left it, one sentence each; settings that the store had refused do not count."""
        mark = self.mark()
        found = []
        if owner(mark, self.inputs.stack_id) is not Owner.OURS:
            says = "is gone" if mark is None else f"says {mark}"
            found.append(f"The tag {TAG} of bucket {self.inputs.name} {says}; it should say {self.inputs.stack_id}.")
        if RULE not in refused and self._days() != self.inputs.abort_uploads_after_days:
            found.append(f"Bucket {self.inputs.name} no longer clears away broken uploads.")
        with self._readable():
            if VERSIONS not in refused and self._keeps_versions() != self.inputs.versioning:
                does = "does not keep" if self.inputs.versioning else "keeps"
                found.append(f"Bucket {self.inputs.name} {does} what is overwritten or deleted.")
        return found

    def give_up(self) -> None:
        """Do what `on_destroy` says, if the bucket is still ours; a bucket that is gone or not ours is left alone."""
        name = self.inputs.name
        try:
            mark = self.mark()
            if owner(mark, self.inputs.stack_id) is not Owner.OURS:
                self.say(f"keep {name}: its tag {TAG} says {mark or 'nothing'}, so it is not ours any more")
            elif self.inputs.on_destroy == "empty":
                self._empty_and_delete()
            else:
                self._keep()
        except BucketMissing:
            self.say(f"{name} is gone already")

    def _make(self) -> None:
        arguments: dict[str, Any] = {"Bucket": self.inputs.name}
        host = urlsplit(self.inputs.endpoint).hostname or ""
        if host.endswith(".amazonaws.com") and self.inputs.region != "us-east-1":
            # Only Amazon wants to be told; elsewhere the endpoint is the region and its name is refused.
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self.inputs.region}
        with self._readable():
            self.s3.create_bucket(**arguments)
        try:
            self._write_mark(self.inputs.stack_id)
        except StoreError:
            with self._readable():  # unmarked it would be nobody's, and the next up would refuse it
                self.s3.delete_bucket(Bucket=self.inputs.name)
            raise
        self.say(f"make {self.inputs.name} in {self.inputs.region}")

    def _set_up(self) -> list[str]:
        settings = (
            (
                RULE,
                self._clear_broken_uploads,
                "to clear away broken uploads by itself, which may leave parts that cost",
            ),
            (VERSIONS, self._set_versions, "to keep what is overwritten or deleted"),
            (NOT_PUBLIC, self._deny_public, "to rule out public access, which nothing of ours allows"),
        )
        refused = []
        for name, setting, what in settings:
            try:
                setting()
            except StoreError as error:
                self.say(f"the store refused {what}: {error}")
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

    def _keep(self) -> None:
        objects, count = self._usage()
        self._write_mark(KEPT)
        self.say(
            f"keep {self.inputs.name}: {objects} objects, {size(count)}, go on costing about {monthly_euros(count)} EUR a "
            "month at Hetzner's price. The next up takes them over; gpu-fleet:store.onDestroy=empty deletes them."
        )

    def _empty_and_delete(self) -> None:
        objects, count = self._usage()
        for _ in range(EMPTYING_ROUNDS):
            with self._readable(), ThreadPoolExecutor(DELETES_AT_ONCE) as pool:
                list(pool.map(lambda each: self.s3.delete_object(Bucket=self.inputs.name, **each), self._versions()))
                list(
                    pool.map(
                        lambda each: self.s3.abort_multipart_upload(Bucket=self.inputs.name, **each), self._uploads()
                    )
                )
            try:
                self.s3.delete_bucket(Bucket=self.inputs.name)
            except ClientError as error:
                if code_of(error) == "BucketNotEmpty":
                    continue  # somebody was still writing
                with self._readable():
                    raise
            self.say(f"empty and delete {self.inputs.name}: {objects} objects, {size(count)}")
            return
        raise StoreError(
            f"Bucket {self.inputs.name!r} is still not empty after {EMPTYING_ROUNDS} rounds of deleting: objects are locked, "
            "or somebody goes on writing. End that, then run `pulumi destroy` again."
        )

    def _usage(self) -> tuple[int, int]:
        with self._readable():
            sizes = [row["Size"] for row in objects(self.s3, self.inputs.name)]
        return len(sizes), sum(sizes)

    def _versions(self) -> Iterator[dict[str, str]]:
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.inputs.name):
            for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                yield {"Key": row["Key"], "VersionId": row["VersionId"]}

    def _uploads(self) -> Iterator[dict[str, str]]:
        for page in self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.inputs.name):
            for row in page.get("Uploads", []):
                yield {"Key": row["Key"], "UploadId": row["UploadId"]}

    def _tags(self) -> dict[str, str]:
        with self._readable():
            try:
                answer = self.s3.get_bucket_tagging(Bucket=self.inputs.name)
            except ClientError as error:
                if code_of(error) in NO_TAGS:
                    return {}
                raise
        return {row["Key"]: row["Value"] for row in answer["TagSet"]}

    def _write_mark(self, mark: str) -> None:
        tags = {**self._tags(), TAG: mark}
        with self._readable():
            rows = [{"Key": key, "Value": value} for key, value in tags.items()]
            self.s3.put_bucket_tagging(Bucket=self.inputs.name, Tagging={"TagSet": rows})

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
        return readable(self.inputs.endpoint, self.inputs.name)
