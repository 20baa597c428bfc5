"""The login of the registry that a private image is pulled from: settings, and the form in which the market takes it."""

import shlex

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

NO_BLANKS = r"^[^\s-][^\s]*$"


class RegistrySettings(BaseModel):
    """User and password at a server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(pattern=NO_BLANKS)
    user: str = Field(pattern=NO_BLANKS)
    password: SecretStr

    @field_validator("password")
    @classmethod
    def _set(cls, password: SecretStr) -> SecretStr:
        if not password.get_secret_value():
            raise ValueError(
                "it is not set; set it with: pulumi config set --secret --path 'gpu-fleet:fleets.NAME.registry.password'"
            )
        return password

    @property
    def flags(self) -> str:
        """The login as the market takes it, in flags of `docker login`."""
        return shlex.join(["-u", self.user, "-p", self.password.get_secret_value(), self.server])
