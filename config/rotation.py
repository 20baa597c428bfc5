"""The section `rotation` of stack config."""

from pydantic import Field

from config.base import Section


class RotationConfig(Section):
    """Counters. A higher number renews the tokens, keys or certificates that it names, in place."""

    tokens: int = Field(0, ge=0, description="Bearer tokens of all instances.")
    ssh: int = Field(0, ge=0, description="The stack's SSH key; the `up` after it locks the old one out.")
    certificates: int = Field(0, ge=0, description="Leaf certificates of all instances.")
    ca: int = Field(
        0,
        ge=0,
        description="Certificate of the stack's CA, under the same key: clients with the old one go on until it ends. In its "
        "last half year any update renews it.",
    )
