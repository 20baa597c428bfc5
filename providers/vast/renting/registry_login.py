"""Login to a private image's registry, and the form that the market takes."""

import shlex

from pydantic import SecretStr, field_validator

from config.registry import RegistryConfig


class RegistryLogin(RegistryConfig):
    """A login with a password. Readers of the stack's file may do without the password; a rent cannot."""

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
        """Return the login as the market takes it, in flags of `docker login`."""
        return shlex.join(["-u", self.user, "-p", self.password.get_secret_value(), self.server])
