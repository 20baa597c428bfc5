import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.store.bucket import Bucket
from providers.store.bucket_owner import KEPT, OWNER_KEY, TAG
from providers.store.client import connect
from providers.store.errors import StoreError
from providers.store.inputs import BucketInputs
from tests.doubles.buckets import Lines, make, mark, tags
from tests.doubles.clock import FakeClock

OTHER_STACK = "b" * 16


@pytest.mark.parametrize("tag", ["a" * 16, OTHER_STACK, KEPT])
def test_the_tag_of_an_older_version_says_whose_bucket_it_is(s3, faults, bucket_props, name, tag):
    faults.arm("store-has-tags")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "team", "Value": "x"}, {"Key": TAG, "Value": tag}]})
    bucket, _ = make(s3, bucket_props)
    if tag == OTHER_STACK:
        with pytest.raises(StoreError, match="belongs to another stack"):
            bucket.ensure()
        assert tags(s3, name)[TAG] == OTHER_STACK
        return
    assert f"The object {OWNER_KEY} of bucket {name} is missing" in bucket.drift([])[0]
    bucket.ensure()
    assert mark(s3, name) == bucket_props["stackId"]
    assert tags(s3, name) == {"team": "x", TAG: bucket_props["stackId"]}
    assert bucket.drift([]) == []


@pytest.mark.parametrize("conditions", [True, False])
def test_of_two_stacks_that_create_at_once_one_gets_the_bucket(store, keys, bucket_props, name, conditions):
    clients = [connect(store.endpoint, "sandbox", keys) for _ in range(2)]
    meet = threading.Barrier(2, timeout=10)
    for client in clients:
        if not conditions:  # as Ceph ignores them

            def ignore(params, **_):
                params["headers"].pop("If-None-Match", None)
                params["headers"].pop("If-Match", None)

            client.meta.events.register("before-call.s3.PutObject", ignore)

    class Pause(FakeClock):
        def sleep(self, seconds: float) -> None:
            meet.wait()  # both have written when either reads again

    def create(client, stack_id):
        inputs = BucketInputs.from_props({**bucket_props, "stackId": stack_id})
        try:
            Bucket(client, inputs, Lines(), Pause()).ensure()
        except StoreError as error:
            return str(error)
        return stack_id

    clients[0].create_bucket(Bucket=name)
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(create, clients, ["a" * 16, OTHER_STACK]))
    owner = mark(clients[0], name)
    assert [end for end in ends if end == owner] == [owner]
    assert [end for end in ends if f"belongs to another stack of gpu-fleet (id {owner})" in end]
