"""List the objects of a bucket, and remove those that `unneeded` found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from providers.store.client import objects
from providers.store.errors import code_of, explain_errors
from providers.store.owner_object import NO_OBJECT
from providers.store.references import PREFIX as REFERENCES
from providers.store.unneeded import Judged, Reference, Stored, digests_in, kind_of
from providers.store.warm_cache import PREFIX as CACHES
from weights.manifest import blob_key


@dataclass(frozen=True)
class BucketGarbage:
    """One bucket through one boto3 client. Every method raises StoreError."""

    s3: Any
    endpoint: str
    bucket: str

    def stored(self) -> list[Stored]:
        """Return every object that may be unneeded one day."""
        with explain_errors(self.endpoint, self.bucket):
            rows = [
                row for prefix in (blob_key(""), CACHES, REFERENCES) for row in objects(self.s3, self.bucket, prefix)
            ]
        return [Stored(str(row["Key"]), int(row["Size"]), row["LastModified"].timestamp()) for row in rows]

    def references(self, stored: Iterable[Stored]) -> list[Reference]:
        """Read the references among the objects. One that was removed since needs nothing."""
        found = []
        for one in stored:
            kind, owner = kind_of(one.key)
            if kind == "reference" and (text := self._text(one.key)) is not None:
                found.append(Reference(one, owner, digests_in(text)))
        return found

    def remove(self, judged: Iterable[Judged]) -> list[Stored]:
        """Remove objects, and return those that are gone. One that changed since it was listed stays."""
        gone = []
        for one in judged:
            with explain_errors(self.endpoint, self.bucket):
                if not self._is_as_listed(one.stored):
                    continue
                self.s3.delete_object(Bucket=self.bucket, Key=one.stored.key)
            gone.append(one.stored)
        return gone

    def _text(self, key: str) -> str | None:
        with explain_errors(self.endpoint, self.bucket):
            try:
                body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if code_of(error) in NO_OBJECT:
                    return None
                raise
        return body.decode(errors="replace")

    def _is_as_listed(self, one: Stored) -> bool:
        try:
            row = self.s3.head_object(Bucket=self.bucket, Key=one.key)
        except ClientError as error:
            if code_of(error) in NO_OBJECT:
                return False
            raise
        # A listing may have fractions of a second, and the head of an object has none.
        return int(row["LastModified"].timestamp()) == int(one.modified)
