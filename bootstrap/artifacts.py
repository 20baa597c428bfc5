"""Sign URLs by which a host gets a blob without ever seeing a key of the store.

Signing is offline. The signature covers the URL's host name and port, so that `endpoint` must be the store's URL as
*hosts* reach it; this machine need not reach it. A presigned URL is a secret until it expires: it goes to the host on
stdin and appears in no argument list, log or message.
"""

import functools
import os
import threading
from typing import Any
from urllib.parse import urlsplit

from weights.manifest import blob_key

LONGEST_SECONDS = 7 * 24 * 3600  # the longest that signature version 4 allows
_making = threading.Lock()  # a session makes one client at a time


class Artifacts:
    """Sign URLs of one bucket: to fetch a blob, or to write one object. Anybody may use them until they expire.

    Raises ValueError if the endpoint is not an http(s) URL or a key is empty.
    """

    def __init__(self, endpoint: str, region: str, bucket: str, access_key: str, secret_key: str) -> None:
        self._bucket = bucket
        self._client = s3_client(endpoint, region, access_key, secret_key)

    def presign(self, sha256: str, seconds: int) -> str:
        """Return a URL that serves the blob with this digest for `seconds`: 1 s to 7 days, else ValueError."""
        return self._signed("get_object", seconds, Key=blob_key(sha256))

    def presign_write(self, key: str, length: int, seconds: int) -> str:
        """Return a URL that takes `length` bytes, no more and no less, as the object `key`. `seconds` as in presign."""
        return self._signed("put_object", seconds, Key=key, ContentLength=length)

    def _signed(self, does: str, seconds: int, **what: Any) -> str:
        if not 1 <= seconds <= LONGEST_SECONDS:
            raise ValueError(f"A presigned URL lasts 1 to {LONGEST_SECONDS} seconds, not {seconds}.")
        parameters = {"Bucket": self._bucket, **what}
        url: str = self._client.generate_presigned_url(does, Params=parameters, ExpiresIn=seconds)
        return url


def s3_client(endpoint: str, region: str, access_key: str, secret_key: str, **settings: Any) -> Any:
    """Return a boto3 S3 client: version 4 signatures, path style, checksums only if the protocol asks for them.

    `settings` are further botocore Config settings. The client ignores the operator's own AWS profile, so that it never
    uses another account's keys, region or endpoint. Raises ValueError as Artifacts does.
    """
    from botocore.config import Config  # noqa: PLC0415 -- as in _session

    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise ValueError(f"The store's endpoint {endpoint!r} is not a URL such as https://fsn1.your-objectstorage.com.")
    if not access_key or not secret_key:
        raise ValueError("The object store needs both an access key and a secret key, and one is empty.")
    with _making:
        return _session().client(
            "s3",
            endpoint_url=endpoint.rstrip("/"),
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                signature_version="s3v4",
                # Stores other than Amazon's refuse the checksum trailers that boto3 sends by default.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path", "payload_signing_enabled": True},
                **settings,
            ),
        )


@functools.lru_cache(maxsize=1)
def _session() -> Any:
    """Return the process's session for all clients: reading S3's description from disk takes a fifth of a second."""
    # Imported here: it takes a third of a provider process's start-up. A preview starts one for every four instances and
    # never needs S3.
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415

    nothing = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=nothing))
