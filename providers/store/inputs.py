"""Validate the inputs of Bucket and Blobs: the engine sends numbers as floats and drops keys with None."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from config.store import BucketName, Endpoint, OnDestroy, Verify
from providers import old_state
from providers.store.errors import StoreError
from weights.manifest import Manifest

ABORT_UPLOADS_AFTER_DAYS = 2  # longer than any upload takes; until then the parts of a broken one cost little


class _Inputs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    endpoint: Endpoint
    region: Annotated[str, StringConstraints(min_length=1, max_length=64)]

    @classmethod
    def from_props(cls, props: dict[str, Any]) -> Self:
        """Read the engine's property map, which another version may have written, without our own outputs.

        Raises StoreError naming every bad field.
        """
        return cls._read(props, lambda inputs: old_state.read_state(cls, inputs)[0])

    @classmethod
    def _read(cls, props: dict[str, Any], read: Callable[[dict[str, Any]], Self]) -> Self:
        try:
            return read({key: value for key, value in props.items() if key in cls.names()})
        except ValidationError as error:
            rows = [f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False)]
            raise StoreError(f"{cls.__name__.removesuffix('Inputs')} inputs are wrong. {'; '.join(rows)}") from None

    @classmethod
    def checked(cls, news: dict[str, Any]) -> Self:
        """Read a program's inputs, in which an unknown key is a mistake. Raises StoreError."""
        unknown = sorted(news.keys() - cls.names() - {"__provider"})
        if unknown:
            known = ", ".join(sorted(cls.names()))
            raise StoreError(
                f"{cls.__name__.removesuffix('Inputs')} has no input {', '.join(unknown)}; known: {known}."
            )
        return cls._read(news, cls.model_validate)

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of all inputs as the engine knows them."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())

    def to_props(self) -> dict[str, Any]:
        """Return a new property map with every input."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class BucketInputs(_Inputs):
    """Describe one bucket. `stack_id` marks it as ours; `on_destroy` says whether destroy keeps or empties it."""

    name: BucketName
    stack_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{4,64}$")] = Field(alias="stackId")
    on_destroy: OnDestroy = Field("keep", alias="onDestroy")
    versioning: bool = False
    abort_uploads_after_days: int = Field(ABORT_UPLOADS_AFTER_DAYS, alias="abortUploadsAfterDays", ge=1, le=365)


class BlobsInputs(_Inputs):
    """Describe the blobs of one manifest. `source` is the folder with the files; other machines may lack it.

    `owner` names the reference to them, unique in the bucket. `verify` says how much a refresh reads. `on_destroy` says
    whether the end of the resource also deletes blobs without any reference.
    """

    bucket: BucketName
    owner: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{0,100}$")] = ""
    manifest: Manifest
    source: Path
    verify: Verify = "sample"
    on_destroy: OnDestroy = Field("keep", alias="onDestroy")
