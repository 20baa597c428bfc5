from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from providers.store.bucket import NOT_PUBLIC, RULE, Bucket
from providers.store.bucket_owner import KEPT, OWNER_KEY
from providers.store.client import Keys, connect
from providers.store.errors import BucketDenied, BucketMissing, StoreError
from providers.store.inputs import BucketInputs
from tests.doubles.buckets import Lines, exists, make, mark, set_mark

pytestmark = pytest.mark.service
OTHER_STACK = "b" * 16
HERE_REFUSED = [NOT_PUBLIC]  # SeaweedFS has no such setting


def test_a_new_bucket_is_ours_and_clears_away_broken_uploads(s3, bucket_props, name):
    bucket, reported = make(s3, bucket_props)
    assert bucket.ensure() == HERE_REFUSED
    assert mark(s3, name) == bucket_props["stackId"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert [(rule["ID"], rule["AbortIncompleteMultipartUpload"]) for rule in rules] == [
        (RULE, {"DaysAfterInitiation": 2})
    ]
    assert reported[0] == f"make {name} in sandbox"
    assert len(reported) == 2
    assert reported[1].startswith("the store refused to forbid public access")
    assert bucket.drift([]) == []


def test_our_own_bucket_is_taken_over_with_what_is_in_it(s3, bucket_props, name):
    bucket, _ = make(s3, bucket_props)
    bucket.ensure()
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    bucket, reported = make(s3, bucket_props)
    bucket.ensure()
    assert reported[0] == f"take over {name}: it was there already"
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"1"


@pytest.mark.parametrize("theirs", [None, OTHER_STACK])
def test_a_bucket_that_is_not_ours_is_refused_and_not_touched(s3, bucket_props, name, theirs):
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    if theirs:
        set_mark(s3, name, theirs)
    before = s3.list_objects_v2(Bucket=name)["Contents"]
    bucket, reported = make(s3, bucket_props)
    with pytest.raises(StoreError, match="not touched"):
        bucket.ensure()
    assert s3.list_objects_v2(Bucket=name)["Contents"] == before
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=name)
    assert reported == []


CREATE_ANSWERS = {
    "ours already": ClientError({"Error": {"Code": "BucketAlreadyOwnedByYou"}}, "CreateBucket"),
    "made": (SimpleNamespace(status_code=200), {}),
}


def unseen_at_first(s3: Any, create: ClientError | tuple[Any, Any]) -> None:
    """The store says once that there is no bucket, and answers to its making as told."""
    first = [ClientError({"Error": {"Code": "NoSuchBucket"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "GetObject")]

    def missing(**_: Any) -> None:
        if first:
            raise first.pop()

    def made(**_: Any) -> Any:
        if isinstance(create, ClientError):
            raise create
        return create

    s3.meta.events.register("before-call.s3.GetObject", missing)
    s3.meta.events.register("before-call.s3.CreateBucket", made)


@pytest.mark.parametrize("create", CREATE_ANSWERS.values(), ids=CREATE_ANSWERS)
@pytest.mark.parametrize("theirs", [None, OTHER_STACK])
def test_a_bucket_that_is_not_ours_and_was_not_to_be_seen_is_not_touched(s3, bucket_props, name, create, theirs):
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    if theirs:
        set_mark(s3, name, theirs)
    before = s3.list_objects_v2(Bucket=name)["Contents"]
    unseen_at_first(s3, create)
    with pytest.raises(StoreError, match="not touched"):
        make(s3, bucket_props)[0].ensure()
    assert s3.list_objects_v2(Bucket=name)["Contents"] == before


def test_an_empty_bucket_of_before_is_not_deleted_when_it_cannot_be_marked(s3, bucket_props, name):
    def refuse(**_: Any) -> None:
        raise ClientError(
            {"Error": {"Code": "QuotaExceeded"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "PutObject"
        )

    s3.create_bucket(Bucket=name)
    unseen_at_first(s3, CREATE_ANSWERS["ours already"])
    s3.meta.events.register("before-call.s3.PutObject", refuse)
    with pytest.raises(StoreError, match="QuotaExceeded"):
        make(s3, bucket_props)[0].ensure()
    assert exists(s3, name)


@pytest.mark.parametrize("create", CREATE_ANSWERS.values(), ids=CREATE_ANSWERS)
@pytest.mark.parametrize("owner", [None, "a" * 16])
def test_what_an_interrupted_create_left_is_taken_up_though_it_was_not_to_be_seen(
    s3, bucket_props, name, create, owner
):
    s3.create_bucket(Bucket=name)
    if owner:
        set_mark(s3, name, owner)
    unseen_at_first(s3, create)
    make(s3, {**bucket_props, "stackId": "a" * 16})[0].ensure()
    assert mark(s3, name) == "a" * 16


def test_an_owner_object_that_says_nothing_is_refused_and_not_touched(s3, bucket_props, name):
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=OWNER_KEY, Body=b"hello")
    with pytest.raises(StoreError, match=r"does not say whose .*hand it over: `echo"):
        make(s3, bucket_props)[0].ensure()
    assert s3.get_object(Bucket=name, Key=OWNER_KEY)["Body"].read() == b"hello"


def test_what_an_interrupted_create_left_is_taken_up(s3, bucket_props, name):
    s3.create_bucket(Bucket=name)
    bucket, _ = make(s3, bucket_props)
    assert bucket.refusal(bucket_props["stackId"]) == ""
    bucket.ensure()
    assert mark(s3, name) == bucket_props["stackId"]


def test_a_create_survives_a_bucket_that_is_not_to_be_seen_at_once(s3, faults, bucket_props, name):
    faults.arm("store-bucket-late")
    reported = Lines()
    bucket = Bucket(s3, BucketInputs.from_props(bucket_props), reported)
    assert bucket.ensure() == HERE_REFUSED
    assert mark(s3, name) == bucket_props["stackId"]
    assert any(f"the store does not show bucket {name} yet: trying again for up to 300 s" in line for line in reported)


def test_a_bucket_that_never_shows_is_left_for_the_next_run(s3, bucket_props, name):
    def missing(**_: Any) -> None:
        answer = {"Error": {"Code": "NoSuchBucket"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise ClientError(answer, "PutObject")

    s3.meta.events.register("before-call.s3.PutObject", missing)
    bucket, _ = make(s3, bucket_props)
    with pytest.raises(StoreError, match=r"has said for 300 s that there is none. Run `pulumi up` again") as caught:
        bucket.ensure()
    assert not isinstance(caught.value, BucketMissing)
    s3.meta.events.unregister("before-call.s3.PutObject", missing)
    bucket.ensure()
    assert mark(s3, name) == bucket_props["stackId"]


def test_a_store_that_wants_md5_gets_it(s3, faults, bucket_props, name):
    faults.arm("store-wants-md5")
    bucket, _ = make(s3, bucket_props, versioning=True)
    assert bucket.ensure() == HERE_REFUSED
    assert bucket.drift(HERE_REFUSED) == []


def test_a_name_that_another_account_has_is_one_sentence(store, s3, strangers_keys, bucket_props, name):
    s3.create_bucket(Bucket=name)
    bucket, _ = make(connect(store.endpoint, "sandbox", strangers_keys), bucket_props)
    with pytest.raises(BucketDenied, match="belongs to somebody else"):
        bucket.ensure()


def test_other_rules_survive_our_own(s3, bucket_props, name):
    s3.create_bucket(Bucket=name)
    row = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [row]})
    set_mark(s3, name, KEPT)
    make(s3, bucket_props)[0].ensure()
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert {rule["ID"] for rule in rules} == {"theirs", RULE}


def test_keep_leaves_everything_says_its_price_and_lets_the_next_stack_in(s3, bucket_props, name):
    bucket, reported = make(s3, bucket_props)
    bucket.ensure()
    s3.put_object(Bucket=name, Key="a", Body=bytes(2_000_000))
    bucket.give_up()
    assert "1 objects, 2.0 MB, go on costing about 5 EUR a month" in reported[-1]
    assert mark(s3, name) == KEPT
    heir, _ = make(s3, bucket_props, stackId=OTHER_STACK)
    heir.ensure()
    assert mark(s3, name) == OTHER_STACK
    assert s3.head_object(Bucket=name, Key="a")["ContentLength"] == 2_000_000


def test_empty_deletes_objects_versions_and_broken_uploads_and_the_bucket(s3, bucket_props, name):
    bucket, reported = make(s3, bucket_props, onDestroy="empty")
    bucket.ensure()
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"1", b"22"):
        s3.put_object(Bucket=name, Key="a/b", Body=content)
    s3.delete_object(Bucket=name, Key="a/b")
    s3.put_object(Bucket=name, Key="c", Body=b"3")
    s3.create_multipart_upload(Bucket=name, Key="broken")
    bucket.give_up()
    assert not exists(s3, name)
    assert reported[-1].startswith(f"empty and delete {name}: 1 objects")


@pytest.mark.parametrize("theirs", [OTHER_STACK, KEPT])
def test_empty_does_not_touch_a_bucket_that_is_not_ours_any_more(s3, bucket_props, name, theirs):
    bucket, reported = make(s3, bucket_props, onDestroy="empty")
    bucket.ensure()
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    set_mark(s3, name, theirs)
    bucket.give_up()
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"1"
    assert "not ours any more" in reported[-1]


@pytest.mark.parametrize("on_destroy", ["keep", "empty"])
def test_giving_up_what_is_gone_is_done(s3, bucket_props, on_destroy):
    bucket, reported = make(s3, bucket_props, onDestroy=on_destroy)
    bucket.give_up()
    assert reported[-1].endswith("is gone already")


def test_a_setting_that_the_store_refuses_is_said_and_is_no_drift_later(s3, bucket_props, name):
    def refuse(**_: Any) -> None:
        answer = {"Error": {"Code": "NotImplemented"}, "ResponseMetadata": {"HTTPStatusCode": 501}}
        raise ClientError(answer, "PutBucketLifecycleConfiguration")

    s3.meta.events.register("before-call.s3.PutBucketLifecycleConfiguration", refuse)
    bucket, reported = make(s3, bucket_props)
    assert bucket.ensure() == [RULE, *HERE_REFUSED]
    assert any("refused to clear away broken uploads" in line for line in reported)
    assert bucket.drift([RULE]) == []
    assert len(bucket.drift([])) == 1


def test_versions_are_kept_where_config_says_so_and_drift_of_it_is_named(s3, bucket_props, name):
    bucket, _ = make(s3, bucket_props, versioning=True)
    assert bucket.ensure() == HERE_REFUSED
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert bucket.drift(HERE_REFUSED) == []
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    assert bucket.drift(HERE_REFUSED) == [f"Bucket {name} does not keep what is overwritten or deleted."]
    bucket.ensure()
    make(s3, bucket_props)[0].ensure()
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Suspended"


def test_drift_is_named(s3, bucket_props, name):
    bucket, _ = make(s3, bucket_props)
    bucket.ensure()
    s3.delete_object(Bucket=name, Key=OWNER_KEY)
    s3.delete_bucket_lifecycle(Bucket=name)
    owner, rule = bucket.drift([])
    assert "is missing" in owner
    assert "broken uploads" in rule


def test_only_the_stores_own_word_makes_a_bucket_gone(store, s3, bucket_props):
    with pytest.raises(BucketMissing):
        make(s3, bucket_props)[0].drift([])
    for keys in (Keys("sandbox", "wrong"), Keys("nobody", "x")):
        with pytest.raises(StoreError) as caught:
            make(connect(store.endpoint, "sandbox", keys), bucket_props)[0].drift([])
        assert not isinstance(caught.value, BucketMissing)
    with pytest.raises(StoreError) as caught:
        make(connect("http://127.0.0.1:1", "sandbox", Keys("a", "b"), tries=1), bucket_props)[0].drift([])
    assert not isinstance(caught.value, BucketMissing)


def test_a_bucket_that_cannot_be_marked_is_not_left_behind(s3, bucket_props, name):
    def refuse(**_: Any) -> None:
        answer = {"Error": {"Code": "QuotaExceeded"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, "PutObject")

    s3.meta.events.register("before-call.s3.PutObject", refuse)
    with pytest.raises(StoreError, match="QuotaExceeded"):
        make(s3, bucket_props)[0].ensure()
    assert not exists(s3, name)


def test_the_owner_object_goes_last(s3, bucket_props, name):
    bucket, _ = make(s3, bucket_props, onDestroy="empty", versioning=True)
    bucket.ensure()
    for number in range(5):
        s3.put_object(Bucket=name, Key=f"{number}", Body=b"1")
    deleted: list[str] = []
    s3.meta.events.register("before-parameter-build.s3.DeleteObject", lambda params, **_: deleted.append(params["Key"]))
    bucket.give_up()
    assert deleted[-1] == OWNER_KEY
    assert sorted(deleted)[:5] == ["0", "1", "2", "3", "4"]
    assert not exists(s3, name)
