"""One small object that several computers change, each only if no other one changed it since it was read.

That needs a store with conditional writes. Amazon's has them, and SeaweedFS. Ceph, which Hetzner runs, has had such
conditions of its own for long, and ignored them in reports of 2026. OVH's refused them with NotImplemented in 2024. So
`obeys_conditions` asks the store itself: it tries all that a change relies on.
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from providers.store.client import LateClient
from providers.store.conditional_writes import LOST, NO_CONDITIONS
from providers.store.errors import code_of, explain_errors

NO_OBJECT = {"NoSuchKey", "404"}
NEVER = '"00000000000000000000000000000000"'  # no object has this ETag


class SharedObject:
    """One object by its key. `connect` makes the boto3 client at the first use. Every method raises StoreError only."""

    def __init__(self, connect: Callable[[], Any], bucket: str, key: str) -> None:
        self._client, self._bucket, self._key = LateClient(connect), bucket, key

    def read(self) -> tuple[bytes | None, str]:
        """Return content and version; None and an empty version if there is no object."""
        s3 = self._client()
        with explain_errors(s3.meta.endpoint_url, self._bucket):
            try:
                answer = s3.get_object(Bucket=self._bucket, Key=self._key)
            except ClientError as error:
                if code_of(error) in NO_OBJECT:
                    return None, ""
                raise
            return bytes(answer["Body"].read()), str(answer["ETag"])

    def write(self, content: bytes, version: str) -> bool:
        """Replace the version that was read; False if another writer was faster."""
        return self._put(self._key, content, **({"IfMatch": version} if version else {"IfNoneMatch": "*"}))

    def obeys_conditions(self) -> bool:
        """Say whether the store obeys the conditions of writes. Tries them on an object beside this one."""
        key, s3 = f"{self._key}.probe", self._client()
        try:
            self._put(key, b"{}\n", IfNoneMatch="*")
            if self._put(key, b"{}\n", IfNoneMatch="*") or self._put(key, b"{}\n", IfMatch=NEVER):
                return False
            with explain_errors(s3.meta.endpoint_url, self._bucket):
                version = str(s3.head_object(Bucket=self._bucket, Key=key)["ETag"])
            return self._put(key, b"{}\n", IfMatch=version)
        except _NoConditions:
            return False

    def _put(self, key: str, content: bytes, **condition: str) -> bool:
        s3 = self._client()
        with explain_errors(s3.meta.endpoint_url, self._bucket):
            try:
                s3.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/json", **condition)
            except ClientError as error:
                if code_of(error) in LOST or (code_of(error) in NO_OBJECT and "IfMatch" in condition):
                    return False
                if code_of(error) in NO_CONDITIONS:
                    raise _NoConditions from None
                raise
        return True


class _NoConditions(Exception):
    """The store refuses conditions as such."""
