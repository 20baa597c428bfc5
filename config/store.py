"""The section `store` of stack config."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from config.base import Section

BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Endpoint = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#\s@]+/?$")]
OnDestroy = Literal["keep", "empty"]
Verify = Literal["sizes", "sample", "full"]


class StorePlace(Section):
    """The bucket and its region: keys that the section and the inputs of an instance have in common."""

    region: str = Field(description="Region of the bucket, for example fsn1, nbg1 or hel1.")
    bucket: BucketName = Field(description="Name of the bucket; unique in the whole store.")
    reference_url: str = Field(
        "",
        alias="referenceUrl",
        pattern=r"^(https?://[^\s@]+)?$",
        description="URL of a file of 10 MB or more, not in the store and near it. A host whose download is slow fetches "
        "a part of it: a good rate says that the store is slow, and the host is kept. Default: the host is compared with "
        "this machine.",
    )


class StoreConfig(StorePlace):
    """The bucket that holds weights, kit and ledger."""

    endpoint: Endpoint = Field(description="URL of the S3 API as this machine reaches it.")
    host_endpoint: Endpoint | None = Field(
        None,
        alias="hostEndpoint",
        description="URL of the same store as the hosts reach it; presigned URLs are signed for it. Default: `endpoint`.",
    )
    on_destroy: OnDestroy = Field(
        "keep",
        alias="onDestroy",
        description="`keep` leaves bucket and blobs when the stack is destroyed (they go on costing); `empty` deletes "
        "them, and those of a model that is taken out of config.",
    )
    verify: Verify = Field(
        "sample",
        description="What a refresh reads of the blobs: their sizes, one part of 64 MiB at random, or everything (egress).",
    )
    versioning: bool = Field(
        False, description="Whether the bucket keeps what was overwritten or deleted; it goes on costing."
    )
