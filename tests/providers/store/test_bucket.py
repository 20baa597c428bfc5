from typing import Any

import pytest
from botocore.exceptions import ClientError

from providers.store.bucket import NOT_PUBLIC, RULE, Bucket
from providers.store.client import Keys, connect
from providers.store.errors import BucketDenied, BucketMissing, StoreError
from providers.store.inputs import BucketInputs
from providers.store.ownership import KEPT, TAG

OTHER_STACK = "b" * 16
HERE_REFUSED = [NOT_PUBLIC]  # SeaweedFS has no such setting


class Lines(list[str]):
    """Progress lines; called with one."""

    def __call__(self, text: str) -> None:
        self.append(text)


def make(s3: Any, props: dict[str, Any], **changes: Any) -> tuple[Bucket, Lines]:
    said = Lines()
    return Bucket(s3, BucketInputs.from_props({**props, **changes}), said), said


def tags(s3: Any, name: str) -> dict[str, str]:
    return {row["Key"]: row["Value"] for row in s3.get_bucket_tagging(Bucket=name)["TagSet"]}


def exists(s3: Any, name: str) -> bool:
    return name in {row["Name"] for row in s3.list_buckets()["Buckets"]}


def test_a_new_bucket_is_ours_and_clears_away_broken_uploads(s3, bucket_props, name):
    bucket, said = make(s3, bucket_props)
    assert bucket.ensure() == HERE_REFUSED
    assert tags(s3, name) == {TAG: bucket_props["stackId"]}
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert [(rule["ID"], rule["AbortIncompleteMultipartUpload"]) for rule in rules] == [
        (RULE, {"DaysAfterInitiation": 2})
    ]
    assert said[0] == f"make {name} in sandbox"
    assert len(said) == 2
    assert said[1].startswith("the store refused to rule out public access")
    assert bucket.drift([]) == []


def test_our_own_bucket_is_taken_over_with_what_is_in_it(s3, bucket_props, name):
    bucket, _ = make(s3, bucket_props)
    bucket.ensure()
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    bucket, said = make(s3, bucket_props)
    bucket.ensure()
    assert said[0] == f"take over {name}: it was there already"
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"1"


@pytest.mark.parametrize("mark", [None, OTHER_STACK])
def test_a_bucket_that_is_not_ours_is_refused_and_not_touched(s3, bucket_props, name, mark):
    s3.create_bucket(Bucket=name)
    theirs = [{"Key": "team", "Value": "other"}] + ([{"Key": TAG, "Value": mark}] if mark else [])
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": theirs})
    bucket, said = make(s3, bucket_props)
    with pytest.raises(StoreError, match="not touched"):
        bucket.ensure()
    assert tags(s3, name) == {row["Key"]: row["Value"] for row in theirs}
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=name)
    assert said == []


def test_a_name_that_another_account_has_is_one_sentence(store, s3, strangers_keys, bucket_props, name):
    s3.create_bucket(Bucket=name)
    bucket, _ = make(connect(store.endpoint, "sandbox", strangers_keys), bucket_props)
    with pytest.raises(BucketDenied, match="belongs to somebody else"):
        bucket.ensure()


def test_other_tags_and_rules_survive_our_own(s3, bucket_props, name):
    s3.create_bucket(Bucket=name)
    row = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [row]})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "team", "Value": "x"}, {"Key": TAG, "Value": KEPT}]})
    make(s3, bucket_props)[0].ensure()
    assert tags(s3, name) == {"team": "x", TAG: bucket_props["stackId"]}
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert {rule["ID"] for rule in rules} == {"theirs", RULE}


def test_keep_leaves_everything_says_its_price_and_lets_the_next_stack_in(s3, bucket_props, name):
    bucket, said = make(s3, bucket_props)
    bucket.ensure()
    s3.put_object(Bucket=name, Key="a", Body=bytes(2_000_000))
    bucket.give_up()
    assert "1 objects, 2.0 MB, go on costing about 5 EUR a month" in said[-1]
    assert tags(s3, name)[TAG] == KEPT
    heir, _ = make(s3, bucket_props, stackId=OTHER_STACK)
    heir.ensure()
    assert tags(s3, name)[TAG] == OTHER_STACK
    assert s3.head_object(Bucket=name, Key="a")["ContentLength"] == 2_000_000


def test_empty_deletes_objects_versions_and_broken_uploads_and_the_bucket(s3, bucket_props, name):
    bucket, said = make(s3, bucket_props, onDestroy="empty")
    bucket.ensure()
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"1", b"22"):
        s3.put_object(Bucket=name, Key="a/b", Body=content)
    s3.delete_object(Bucket=name, Key="a/b")
    s3.put_object(Bucket=name, Key="c", Body=b"3")
    s3.create_multipart_upload(Bucket=name, Key="broken")
    bucket.give_up()
    assert not exists(s3, name)
    assert said[-1].startswith(f"empty and delete {name}: 1 objects")


@pytest.mark.parametrize("mark", [OTHER_STACK, KEPT])
def test_empty_does_not_touch_a_bucket_that_is_not_ours_any_more(s3, bucket_props, name, mark):
    bucket, said = make(s3, bucket_props, onDestroy="empty")
    bucket.ensure()
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": TAG, "Value": mark}]})
    bucket.give_up()
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"1"
    assert "not ours any more" in said[-1]


@pytest.mark.parametrize("on_destroy", ["keep", "empty"])
def test_giving_up_what_is_gone_is_done(s3, bucket_props, on_destroy):
    bucket, said = make(s3, bucket_props, onDestroy=on_destroy)
    bucket.give_up()
    assert said[-1].endswith("is gone already")


def test_a_setting_that_the_store_refuses_is_said_and_is_no_drift_later(s3, bucket_props, name):
    def refuse(**_: Any) -> None:
        answer = {"Error": {"Code": "NotImplemented"}, "ResponseMetadata": {"HTTPStatusCode": 501}}
        raise ClientError(answer, "PutBucketLifecycleConfiguration")

    s3.meta.events.register("before-call.s3.PutBucketLifecycleConfiguration", refuse)
    bucket, said = make(s3, bucket_props)
    assert bucket.ensure() == [RULE, *HERE_REFUSED]
    assert any("refused to clear away broken uploads" in line for line in said)
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
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    s3.delete_bucket_lifecycle(Bucket=name)
    tag, rule = bucket.drift([])
    assert "is gone" in tag
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
        answer = {"Error": {"Code": "NotImplemented"}, "ResponseMetadata": {"HTTPStatusCode": 501}}
        raise ClientError(answer, "PutBucketTagging")

    s3.meta.events.register("before-call.s3.PutBucketTagging", refuse)
    with pytest.raises(StoreError, match="NotImplemented"):
        make(s3, bucket_props)[0].ensure()
    assert not exists(s3, name)
