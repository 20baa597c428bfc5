"""What a controller process is told by its environment. Secrets come from there alone."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from providers.elastic.applied import told

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
    boots_at_once: int = Field(10, ge=1, le=500, description="Slots that boot or are mended at once.")

    @property
    def address(self) -> tuple[str, int]:
        """Return the address and the port to listen at."""
        host, _, port = self.listen.rpartition(":")
        return host or "0.0.0.0", int(port)  # noqa: S104 -- the operator named no address


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


def _named(error: ValidationError) -> str:
    variables = {name: PREFIX + name.upper() for name in ControllerSettings.model_fields}
    text = told(error)
    for name, variable in variables.items():
        text = text.replace(f"{name}:", f"{variable}:")
    return text
