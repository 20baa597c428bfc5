import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, SSLError
from hypothesis import given
from hypothesis import strategies as st

from providers.store.errors import (
    BucketDenied,
    BucketMissing,
    KeysRefused,
    StoreError,
    StoreUnreachable,
    explain_errors,
)

PLACE = "https://s3.example"


def raised(error: Exception) -> StoreError:
    with pytest.raises(StoreError) as caught, explain_errors(PLACE, "models"):
        raise error
    return caught.value


def refusal(code: str, status: int, message: str = "") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "X"
    )


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (refusal("InvalidAccessKeyId", 403), KeysRefused, "gpu-fleet:storeAccessKey"),
        (refusal("SignatureDoesNotMatch", 403), KeysRefused, "pulumi config set --secret"),
        (refusal("NoSuchBucket", 404), BucketMissing, "pulumi refresh"),
        (refusal("AccessDenied", 403), BucketDenied, "choose another gpu-fleet:store.bucket"),
        (refusal("BucketAlreadyExists", 409), BucketDenied, "belongs to somebody else"),
        (refusal("InternalError", 500), StoreUnreachable, "later"),
        (refusal("SlowDown", 503), StoreUnreachable, "later"),
        (refusal("QuotaExceeded", 403), StoreError, "quota"),
        (refusal("RequestTimeTooSkewed", 403), StoreError, "clock"),
        (refusal("Odd", 418), StoreError, "418 Odd"),
        (EndpointConnectionError(endpoint_url=PLACE), StoreUnreachable, "gpu-fleet:store.endpoint"),
        (ConnectTimeoutError(endpoint_url=PLACE), StoreUnreachable, "gpu-fleet:store.endpoint"),
        (SSLError(endpoint_url=PLACE, error="x"), StoreUnreachable, "AWS_CA_BUNDLE"),
    ],
)
def test_each_failure_is_of_its_kind_and_says_what_to_do(error, kind, advice):
    found = raised(error)
    assert type(found) is kind
    assert advice in str(found)
    assert PLACE in str(found)


@given(st.sampled_from(["SignatureDoesNotMatch", "AccessDenied", "InternalError", "Odd"]), st.integers(400, 599))
def test_what_the_store_quotes_never_reaches_a_message(code, status):
    found = raised(refusal(code, status, "StringToSign ... key-of-the-account ... X-Amz-Signature=abc"))
    assert "key-of-the-account" not in str(found)
    assert "Signature=" not in str(found)
    assert found.__suppress_context__


def test_an_answer_that_only_looks_like_absence_is_not_a_missing_bucket():
    assert not isinstance(raised(refusal("404", 404)), BucketMissing)
    assert not isinstance(raised(refusal("", 404)), BucketMissing)


def test_what_is_not_the_stores_doing_passes_through():
    with pytest.raises(ZeroDivisionError), explain_errors(PLACE, "models"):
        _ = 1 / 0
