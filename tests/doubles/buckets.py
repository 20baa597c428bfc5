"""One bucket as a test makes it and looks at it."""

from typing import Any

from providers.store.bucket import Bucket
from providers.store.bucket_owner import OWNER_KEY, from_text, to_text
from providers.store.inputs import BucketInputs
from tests.doubles.clock import FakeClock


class Lines(list[str]):
    """Progress lines; called with one."""

    def __call__(self, text: str) -> None:
        self.append(text)


def make(s3: Any, props: dict[str, Any], **changes: Any) -> tuple[Bucket, Lines]:
    reported = Lines()
    return Bucket(s3, BucketInputs.from_props({**props, **changes}), reported, FakeClock()), reported


def mark(s3: Any, name: str) -> str:
    return from_text(s3.get_object(Bucket=name, Key=OWNER_KEY)["Body"].read())


def set_mark(s3: Any, name: str, mark: str) -> None:
    s3.put_object(Bucket=name, Key=OWNER_KEY, Body=to_text(mark).encode())


def tags(s3: Any, name: str) -> dict[str, str]:
    return {row["Key"]: row["Value"] for row in s3.get_bucket_tagging(Bucket=name)["TagSet"]}


def exists(s3: Any, name: str) -> bool:
    return name in {row["Name"] for row in s3.list_buckets()["Buckets"]}
