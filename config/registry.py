"""A fleet's section `registry`."""

from typing import Any

from pydantic import Field, SecretStr, field_validator

from config.base import Section

NO_BLANKS = r"^[^\s-][^\s]*$"


class RegistryConfig(Section):
    """Login of the registry of a private image. The landlord of every rented machine sees it: let it read, and no more."""

    server: str = Field(pattern=NO_BLANKS, description="Host of the registry, such as `ghcr.io`.")
    user: str = Field(pattern=NO_BLANKS, description="User name.")
    # Readers of the stack's file without Pulumi do not see it. The instance's inputs require it.
    password: SecretStr = Field(
        SecretStr(""),
        validate_default=True,
        description="Password or token, a secret of the stack: set it with `--secret`.",
    )

    @field_validator("password", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # `pulumi config set` makes numbers of digits.
        return str(value) if isinstance(value, int) else value
