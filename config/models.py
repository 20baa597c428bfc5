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
    compared_with: tuple[str, ...] = Field(
        (),
        alias="comparedWith",
        description="Hosted models, as `provider/model`, with whose list prices `gpu-fleet worth` compares this one, such "
        "as `openai/gpt-4o-mini`.",
    )
