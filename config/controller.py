"""The section `controller` of stack config."""

from urllib.parse import urlsplit

from pydantic import Field, model_validator

from config.base import Section
from config.controller_kubernetes import ControllerKubernetesConfig


def bucket_of(backend: str) -> str:
    """Return the bucket of a state backend; empty for one that is no bucket of S3.

    >>> bucket_of("s3://states/fleet?region=fsn1")
    'states'
    """
    parts = urlsplit(backend)
    return parts.netloc if parts.scheme == "s3" else ""


class ControllerConfig(Section):
    """The process that owns the count of elastic fleets."""

    backend: str = Field(
        "",
        pattern=r"^((s3|gs|azblob|https|file)://[^\s@]+)?$",
        description="URL of the state backend that people and the controller share, such as `s3://BUCKET/PREFIX`. "
        "It has no key in it: keys come from the environment. Default: the backend of the shell that starts the controller.",
    )
    kubernetes: ControllerKubernetesConfig | None = Field(
        None, description="Run the controller in a cluster. Default: you run it elsewhere."
    )

    @model_validator(mode="after")
    def _the_cluster_reaches_the_backend(self) -> "ControllerConfig":
        if self.kubernetes is None:
            return self
        if not self.backend:
            raise ValueError(
                "a controller in a cluster needs `backend`, the URL of the state backend that you and it share, such as "
                "s3://BUCKET/PREFIX"
            )
        if self.backend.startswith("file://"):
            raise ValueError(
                f"a controller in a cluster cannot reach {self.backend}, which is a folder of one machine; move the stack's "
                "state to a bucket that you and it share, such as s3://BUCKET/PREFIX, and name that"
            )
        return self
