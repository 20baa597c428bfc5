"""The section `models` of stack config."""

from pydantic import Field

from config.base import Section


class ModelConfig(Section):
    """Weights by manifest."""

    manifest: str = Field(description="Path of the committed manifest, relative to the project.")
    source: str | None = Field(
        None,
        description="Folder with the files, from which missing blobs are uploaded. Default: beside the manifest.",
    )
