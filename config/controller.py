"""The section `controller` of stack config."""

from pydantic import Field

from config.base import Section


class ControllerConfig(Section):
    """The process that owns the count of elastic fleets."""

    backend: str = Field(
        "",
        pattern=r"^((s3|gs|azblob|https|file)://[^\s@]+)?$",
        description="URL of the state backend that people and the controller share, such as `s3://BUCKET/PREFIX`. "
        "It has no key in it: keys come from the environment. Default: the backend of the shell that starts the controller.",
    )
