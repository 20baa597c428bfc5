"""Record which manifests refer to which blobs: one small object for each owner, written before its blobs.

Manifests with the same file share its blob, so that only all references together tell which blobs are needed. If one
reference cannot be read, nothing is deleted.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from providers.store.client import objects
from providers.store.errors import StoreError
from weights.manifest import Manifest, blob_key

PREFIX = "manifests/"


@dataclass(frozen=True)
class References:
    """Read and write the references in one bucket through one boto3 client; boto3's own errors pass through."""

    s3: Any
    bucket: str

    def write(self, owner: str, manifest: Manifest) -> None:
        """Record that `owner` needs the blobs of this manifest, and of no other."""
        self.s3.put_object(Bucket=self.bucket, Key=f"{PREFIX}{owner}.json", Body=manifest.to_json().encode())

    def remove(self, owner: str) -> None:
        """Record that `owner` needs no blob any more."""
        self.s3.delete_object(Bucket=self.bucket, Key=f"{PREFIX}{owner}.json")

    def needed(self) -> set[str]:
        """Return the keys of all blobs with a reference. Raises StoreError if a reference cannot be read."""
        found: set[str] = set()
        for key in self._keys(PREFIX):
            try:
                text = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except self.s3.exceptions.NoSuchKey:
                continue  # its owner removed it since the listing, so it needs nothing
            try:
                manifest = Manifest.from_json(text.decode())
            except (ValidationError, UnicodeDecodeError):
                raise StoreError(
                    f"{key} in bucket {self.bucket!r} is not a manifest, so its blobs are unknown, and none was "
                    "deleted. Delete that object if it is not wanted, then run the command again."
                ) from None
            found |= {blob_key(file.sha256) for file in manifest.files}
        return found

    def delete_unneeded(self) -> int:
        """Delete every blob without a reference, and return their number. Raises StoreError as `needed` does."""
        needed = self.needed()
        unneeded = [key for key in self._keys(blob_key("")) if key not in needed]
        for key in unneeded:
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        return len(unneeded)

    def _keys(self, prefix: str) -> list[str]:
        return [str(row["Key"]) for row in objects(self.s3, self.bucket, prefix)]
