"""Read and write a bucket's mark in the store, so that one of two stacks wins. The mark is an object or an old tag.

The program writes the mark with a condition. A second write shows whether the store obeys conditions. If it does not, the
program reads the mark again after a pause: the last writer has won, and every other stack sees that.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from providers.store.bucket_owner import KEPT, OWNER_KEY, TAG, from_text, owner, refusal, to_text, unreadable
from providers.store.conditional_writes import SETTLE_SECONDS, put_if
from providers.store.errors import StoreError, code_of, explain_errors

NO_OBJECT = {"NoSuchKey", "404"}
NO_TAGS = {"NoSuchTagSet", "NoSuchTagSetError", "NotImplemented", "MethodNotAllowed", "501"}


@dataclass(frozen=True)
class Seen:
    """Hold a bucket's mark, None if it has none, and the owner object's ETag, empty if the mark is a tag."""

    mark: str | None
    etag: str = ""


@dataclass(frozen=True)
class Marking:
    """Read and write the mark of one bucket through one boto3 client. Every method raises StoreError only."""

    s3: Any
    endpoint: str
    bucket: str
    sleep: Callable[[float], None]

    def read(self) -> Seen:
        """Return the bucket's mark. Raises BucketMissing if the store says that there is no bucket."""
        with explain_errors(self.endpoint, self.bucket):
            try:
                answer = self.s3.get_object(Bucket=self.bucket, Key=OWNER_KEY)
                text: bytes = answer["Body"].read()
            except ClientError as error:
                if code_of(error) not in NO_OBJECT:
                    raise
                return Seen(self._tags().get(TAG))
        try:
            return Seen(from_text(text), str(answer["ETag"]))
        except ValueError:
            raise StoreError(unreadable(self.bucket, self.endpoint)) from None

    def write(self, mark: str, seen: Seen) -> None:
        """Replace the mark that was read. Raises StoreError if another stack has marked the bucket meanwhile."""
        with explain_errors(self.endpoint, self.bucket):
            if not self._put(mark, **({"IfMatch": seen.etag} if seen.etag else {"IfNoneMatch": "*"})):
                self._demand(mark)
            elif mark != KEPT and self._put(mark, IfNoneMatch="*"):  # the store ignores conditions
                self.sleep(SETTLE_SECONDS)
                self._demand(mark)
            self._update_tag(mark)

    def _demand(self, mark: str) -> None:
        """Read the mark. Raises StoreError if it is another one."""
        found = self.read().mark
        if found != mark:
            raise StoreError(refusal(self.bucket, self.endpoint, owner(found, mark), found))

    def _put(self, mark: str, **condition: str) -> bool:
        """Write the object and return whether the condition held."""
        arguments = {
            "Bucket": self.bucket,
            "Key": OWNER_KEY,
            "Body": to_text(mark).encode(),
            "ContentType": "application/json",
        }
        return put_if(self.s3, arguments, **condition)

    def _update_tag(self, mark: str) -> None:
        """Update our tag if the bucket has it, because older versions of this program read nothing else."""
        with suppress(ClientError):
            tags = self._tags()
            if TAG in tags and tags[TAG] != mark:
                rows = [{"Key": key, "Value": value} for key, value in {**tags, TAG: mark}.items()]
                self.s3.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": rows})

    def _tags(self) -> dict[str, str]:
        try:
            answer = self.s3.get_bucket_tagging(Bucket=self.bucket)
        except ClientError as error:
            if code_of(error) in NO_TAGS or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 501:
                return {}
            raise
        return {row["Key"]: row["Value"] for row in answer["TagSet"]}
