"""Turn the store's failures into sentences that end in the next step. None holds a key or a signed URL.

boto3's own messages are left out, because a store may quote the key and the signed text in them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, SSLError

from config.masking import masked

KEYS = "gpu-fleet:storeAccessKey and gpu-fleet:storeSecretKey"
WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId", "TokenRefreshRequired", "401"}
NO_BUCKET = {"NoSuchBucket"}
TAKEN = {"BucketAlreadyExists"}
DENIED = {"AccessDenied", "AllAccessDisabled", "403"}
FULL = {"QuotaExceeded", "InsufficientStorage", "TooManyBuckets", "507"}
SKEWED = {"RequestTimeTooSkewed"}


class StoreError(Exception):
    """The store cannot carry out a request; the message is a sentence for the operator."""

    def __str__(self) -> str:
        """Return the message with passwords in URLs masked."""
        return masked(super().__str__())


class KeysRefused(StoreError):
    """The store does not know these keys."""


class BucketMissing(StoreError):
    """The store answered valid keys that there is no such bucket."""


class BucketDenied(StoreError):
    """The keys are valid, but the bucket belongs to another account."""


class StoreUnreachable(StoreError):
    """The store gave no usable answer, so that its content is unknown."""


@contextmanager
def explain_errors(endpoint: str, bucket: str) -> Iterator[None]:
    """Turn every failure of the calls inside into a StoreError about this bucket."""
    try:
        yield
    except ClientError as error:
        raise _refusal(_code(error), _status(error), endpoint, bucket) from None
    except SSLError:
        raise StoreUnreachable(
            f"The store at {endpoint} shows a certificate that this machine does not trust. Check the URL; for a store "
            "with a CA of its own, set AWS_CA_BUNDLE to that CA's file."
        ) from None
    except BotoCoreError as error:
        raise StoreUnreachable(
            f"The store at {endpoint} does not answer ({type(error).__name__}). Nothing was changed for this call. Check "
            "gpu-fleet:store.endpoint and the network, then run the command again."
        ) from None


def code_of(error: ClientError) -> str:
    """Return the store's word for the refusal, such as NoSuchBucket."""
    return _code(error)


def _refusal(code: str, status: int, endpoint: str, bucket: str) -> StoreError:
    where = f"bucket {bucket!r} at {endpoint}"
    if code in WRONG_KEYS:
        return KeysRefused(
            f"The store at {endpoint} refuses the keys ({code}). Set {KEYS} to a pair of this project, with "
            "`pulumi config set --secret`."
        )
    if code in NO_BUCKET:
        return BucketMissing(f"There is no {where}. Run `pulumi refresh`, then `pulumi up` makes it again.")
    if code in TAKEN or code in DENIED:
        return BucketDenied(
            f"The {where} belongs to somebody else, or these keys may not use it ({code}). Bucket names are shared by "
            "all customers of a store: choose another gpu-fleet:store.bucket, or keys that own this one."
        )
    if code in FULL:
        return StoreError(f"The store at {endpoint} takes no more ({code}). Raise the project's quota, then run again.")
    if code in SKEWED:
        return StoreError(f"This machine's clock differs too much from the store's at {endpoint}. Set the clock.")
    if status == 501:
        return StoreError(f"The store at {endpoint} has no such feature ({code}).")
    if status >= 500 or status == 429:
        return StoreUnreachable(
            f"The store at {endpoint} is in trouble ({status} {code}). Run the command again later."
        )
    return StoreError(f"The store refused a request about {where}: {status} {code}.")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
