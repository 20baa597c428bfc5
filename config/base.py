"""The base of every section of stack config, and how its keys are named to the operator."""

import re

from pydantic import BaseModel, ConfigDict

PROJECT = "gpu-fleet"  # the namespace of our keys
PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")


class Section(BaseModel):
    """A part of stack config. It is frozen, and it refuses keys that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, strict=False, coerce_numbers_to_str=True
    )


def path_of(*parts: str | int) -> str:
    """Return a key's path as `pulumi config set --path` takes it, with quotes around a name such as `Qwen/Qwen2.5-7B`."""
    first, *rest = map(str, parts)
    return f"{PROJECT}:{first}" + "".join(f".{one}" if PLAIN.match(one) else f'["{one}"]' for one in rest)
