"""What a plain S3 client sees of the store's faults, on both of its ports, and that nothing stands between else."""

from __future__ import annotations

import hashlib
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from sandbox.faults import Faults, FaultUnknown
from sandbox.services.child import ServiceError
from sandbox.services.object_store import ADMIN, REGION, ObjectStore
from sandbox.services.store_faults import REFUSALS, Manners
from sandbox.services.store_front import StoreFront
from sandbox.services.store_manners import LateBuckets, SharedLine
from tests.doubles.until import until

pytestmark = pytest.mark.service

CONTENT = os.urandom(3_000_000)
KEY = "blobs/sha256/x"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("store")) as running:
        s3 = client(running.endpoint)
        s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key=KEY, Body=CONTENT)
        yield running


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def manners() -> Manners:
    return Manners(slow_seconds=1.0, silent_seconds=1.0, line=SharedLine(2_000_000), late=LateBuckets(1.0))


@pytest.fixture
def front(store: ObjectStore, faults: Faults, manners: Manners) -> Iterator[StoreFront]:
    standing = StoreFront(store, faults, manners=manners)
    yield standing
    standing.stop()


def client(endpoint: str, **config: Any) -> Any:
    keys = {"aws_access_key_id": ADMIN.access_key, "aws_secret_access_key": ADMIN.secret_key}
    plain = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **config}
    return boto3.client("s3", endpoint_url=endpoint, region_name=REGION, config=Config(**plain), **keys)


def get(s3: Any) -> bytes:
    return s3.get_object(Bucket="models", Key=KEY)["Body"].read()


@pytest.mark.parametrize(("fault", "expected"), REFUSALS.items())
def test_a_refusal_once_on_a_connection_that_is_open_already(front, faults, fault, expected):
    s3 = client(front.endpoint)
    assert get(s3) == CONTENT
    faults.arm(fault)
    with pytest.raises(ClientError) as raised:
        get(s3)
    answer = raised.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == expected[:2]
    assert get(s3) == CONTENT
    assert faults.report()[0]["struck"] == 1


def test_a_patient_client_outlasts_refusals(front, faults):
    s3 = client(front.endpoint, retries={"total_max_attempts": 5})
    faults.arm("store-slow-down", 2)
    assert get(s3) == CONTENT


def test_the_connection_breaks_in_the_middle_of_an_object(front, faults):
    s3 = client(front.endpoint)
    faults.arm("store-truncated")
    body = s3.get_object(Bucket="models", Key=KEY)["Body"]
    with pytest.raises((HTTPClientError, ResponseStreamingError)):
        body.read()
    assert get(s3) == CONTENT


def test_one_byte_changes_on_the_way(front, faults):
    s3 = client(front.endpoint, response_checksum_validation="when_required")
    faults.arm("store-flipped")
    damaged = get(s3)
    assert len(damaged) == len(CONTENT)
    assert sum(one != other for one, other in zip(damaged, CONTENT, strict=True)) == 1
    assert get(s3) == CONTENT


def test_a_slow_answer_is_too_slow_for_an_impatient_client(front, faults):
    faults.arm("store-slow", 2)
    with pytest.raises(ReadTimeoutError):
        get(client(front.endpoint, read_timeout=0.2))
    began = time.monotonic()
    assert get(client(front.endpoint)) == CONTENT
    assert time.monotonic() - began > 0.9


def test_uploads_and_ranges_pass_whole_while_a_fault_waits_for_other_calls(front, faults, store):
    faults.arm("store-error", call="delete")
    s3 = client(front.endpoint)
    s3.put_object(Bucket="models", Key="other/with space+plus", Body=CONTENT)
    part = s3.get_object(Bucket="models", Key="other/with space+plus", Range="bytes=10-19")
    assert (part["ResponseMetadata"]["HTTPStatusCode"], part["Body"].read()) == (206, CONTENT[10:20])
    assert s3.head_object(Bucket="models", Key=KEY)["ContentLength"] == len(CONTENT)
    listed = s3.list_objects_v2(Bucket="models", Prefix="other/")
    assert [one["Size"] for one in listed["Contents"]] == [len(CONTENT)]
    with pytest.raises(ClientError, match="InternalError"):
        s3.delete_object(Bucket="models", Key="other/with space+plus")
    s3.delete_object(Bucket="models", Key="other/with space+plus")
    assert get(client(store.endpoint)) == CONTENT


def test_hosts_meet_the_faults_behind_tls(front, faults, store):
    trusted = ssl.create_default_context(cadata=store.ca_pem)
    trusted.check_hostname = False
    url = client(f"https://127.0.0.1:{front.https_port}").generate_presigned_url(
        "get_object", {"Bucket": "models", "Key": KEY}
    )

    def fetched() -> bytes:
        with urllib.request.urlopen(url, timeout=10, context=trusted) as answer:
            return answer.read()

    whole = hashlib.sha256(CONTENT).digest()
    assert hashlib.sha256(fetched()).digest() == whole
    faults.arm("store-flipped")
    faults.arm("store-throttled", nth=2)
    assert hashlib.sha256(fetched()).digest() != whole
    with pytest.raises(urllib.error.HTTPError, match="429"):
        fetched()
    assert hashlib.sha256(fetched()).digest() == whole


def test_a_transfer_under_way_goes_on_when_a_fault_is_armed(front, faults):
    s3 = client(front.endpoint)
    body = s3.get_object(Bucket="models", Key=KEY)["Body"]
    first = body.read(1000)
    faults.arm("store-error", call="delete")
    assert first + body.read() == CONTENT


def test_the_store_does_not_know_instances(faults):
    with pytest.raises(FaultUnknown, match="cannot tell one instance from another"):
        faults.arm("store-error", instance="chat-0")


def test_a_port_in_use_is_said_to_be_taken(store, faults):
    first = StoreFront(store, faults)
    try:
        with pytest.raises(ServiceError, match="--store-port"):
            StoreFront(store, Faults(), first.http_port)
    finally:
        first.stop()


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    return raised.value.response["Error"]["Code"]


@pytest.mark.parametrize("armed", [None, "store-error"])
def test_tags_are_not_implemented_and_the_connection_after_it_is_whole(front, faults, armed):
    if armed:
        faults.arm(armed, call="delete")
    s3 = client(front.endpoint)
    assert get(s3) == CONTENT
    tagging = {"TagSet": [{"Key": "a", "Value": "b" * 100}]}
    for _ in range(3):
        assert code(lambda: s3.get_bucket_tagging(Bucket="models")) == "NotImplemented"
        assert code(lambda: s3.put_bucket_tagging(Bucket="models", Tagging=tagging)) == "NotImplemented"
        assert code(lambda: s3.get_object_tagging(Bucket="models", Key=KEY)) == "NotImplemented"
    assert get(s3) == CONTENT


def test_a_store_of_old_takes_tags(front, faults):
    faults.arm("store-has-tags")
    s3 = client(front.endpoint)
    s3.put_bucket_tagging(Bucket="models", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_tagging(Bucket="models")["TagSet"] == [{"Key": "a", "Value": "b"}]
    faults.disarm("store-has-tags")
    assert code(lambda: s3.get_bucket_tagging(Bucket="models")) == "NotImplemented"


def test_a_bucket_comes_late_and_then_for_good(front, faults, manners):
    s3 = client(front.endpoint)
    faults.arm("store-bucket-late")
    s3.create_bucket(Bucket="late")
    assert code(lambda: s3.put_object(Bucket="late", Key="a", Body=b"1")) == "NoSuchBucket"
    assert get(s3) == CONTENT
    until(lambda: not manners.late.hides("late"))
    s3.put_object(Bucket="late", Key="a", Body=b"1")
    assert s3.get_object(Bucket="late", Key="a")["Body"].read() == b"1"


def test_a_request_without_an_answer_ends_with_a_broken_connection(front, faults):
    faults.arm("store-times-out")
    began = time.monotonic()
    with pytest.raises(ConnectionClosedError):
        get(client(front.endpoint))
    assert time.monotonic() - began > 0.9
    assert get(client(front.endpoint)) == CONTENT


def test_all_who_read_share_one_slow_line(front, faults, store):
    faults.arm("store-slow-for-all")
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(get, client(front.endpoint)) for _ in range(2)]:
            assert one.result() == CONTENT
    assert time.monotonic() - began > 2.5  # 6 MB at 2 MB/s
    faults.disarm("store-slow-for-all")


def test_settings_want_their_md5(front, faults):
    faults.arm("store-wants-md5")
    s3 = client(front.endpoint)
    rule = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}
    rules = {"Rules": [rule]}
    assert code(lambda: s3.put_bucket_lifecycle_configuration(Bucket="models", LifecycleConfiguration=rules)) == (
        "InvalidRequest"
    )


def test_a_store_like_s3_lists_no_folder_that_was_emptied(store, faults):
    front = StoreFront(store, faults, like_s3=True)
    try:
        s3, plain = client(front.endpoint), client(store.endpoint)
        for key in ("locks/dev/one.json", "locks/dev/two.json"):
            s3.put_object(Bucket="models", Key=key, Body=b"{}")
        assert names(s3) == ["locks/dev/one.json", "locks/dev/two.json"]
        for key in names(s3):
            s3.delete_object(Bucket="models", Key=key)

        assert names(plain) == ["locks/dev/"], "the store itself has learnt it: take the proxy's part out"
        assert names(s3) == []
        assert get(s3) == CONTENT
    finally:
        front.stop()


def names(s3: Any) -> list[str]:
    rows = s3.list_objects_v2(Bucket="models", Prefix="locks/dev/", Delimiter="/").get("Contents", [])
    return [row["Key"] for row in rows]
