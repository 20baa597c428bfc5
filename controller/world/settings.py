"""The settings of a controller process, from its environment. Secrets come from there alone."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from controller.api.serving import Outside
from providers.elastic.applied import describe_errors

PREFIX = "GPU_FLEET_"
IN_KUBERNETES = "KUBERNETES_SERVICE_HOST"


class SettingsError(Exception):
    """The environment is not complete, or does not fit. The message names variables, and no value."""


class ControllerSettings(BaseModel):
    """Settings of one controller process; each is the environment variable `GPU_FLEET_<NAME>`."""

    model_config = ConfigDict(frozen=True)

    stack: str = Field(min_length=1, description="The main stack.")
    dsn: SecretStr = Field(description="Connection string of PostgreSQL.")
    backend: str = Field(min_length=1, description="State backend; PULUMI_BACKEND_URL if it is not set.")
    project: Path = Field(description="Folder of the program; the current one if it is not set.")
    work: Path = Field(description="Folder for work folders that only this user may read.")
    listen: str = Field("127.0.0.1:8300", pattern=r"^[^\s:]*:\d{1,5}$", description="Address and port of the API.")
    tls: Path | None = Field(None, description="Folder of tls.crt and tls.key, for `tls_listen`.")
    tls_listen: str = Field(
        "", pattern=r"^([^\s:]*:\d{1,5})?$", description="Address and port of the API over TLS; none if it is not set."
    )
    boots_at_once: int = Field(10, ge=1, le=500, description="Slots that boot or are mended at once.")

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "ControllerSettings":
        if bool(self.tls_listen) != (self.tls is not None):
            raise ValueError(f"{PREFIX}TLS and {PREFIX}TLS_LISTEN belong together; set both or none")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Return the address and the port to listen at."""
        return _address(self.listen)

    @property
    def outside(self) -> Outside | None:
        """Return where the API is served over TLS; None if it is not."""
        return Outside(_address(self.tls_listen), self.tls) if self.tls is not None else None


def read_settings(environ: Mapping[str, str]) -> ControllerSettings:
    """Read the environment. Raises SettingsError."""
    known: dict[str, Any] = {
        "project": Path.cwd(),
        "work": Path(tempfile.gettempdir()) / f"gpu-fleet-{os.getuid()}" / "controller",
        "backend": environ.get("PULUMI_BACKEND_URL", ""),
    }
    for name in ControllerSettings.model_fields:
        if given := environ.get(PREFIX + name.upper()):
            known[name] = given
    try:
        found = ControllerSettings.model_validate(known)
    except ValidationError as error:
        raise SettingsError(f"the environment does not fit: {_named(error)}") from None
    if found.backend.startswith("file://") and environ.get(IN_KUBERNETES):
        raise SettingsError(
            f"{PREFIX}BACKEND is a file:// backend. In Kubernetes nobody else could reach it, and it would be lost with the "
            "pod; name one that people and the controller share, such as s3://BUCKET/PREFIX"
        )
    return found


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "0.0.0.0", int(port)  # noqa: S104 -- the operator named no address


def _named(error: ValidationError) -> str:
    variables = {name: PREFIX + name.upper() for name in ControllerSettings.model_fields}
    text = describe_errors(error)
    for name, variable in variables.items():
        text = text.replace(f"{name}:", f"{variable}:")
    return text
