"""Reads stack config from Pulumi for the program, and seals secret leaves in every resource's inputs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.models import Model, load_models
from components.sealing import sealed
from config.base import PROJECT
from config.messages import ConfigError
from config.reading import find_secret_leaves, load, own_values
from config.secret_keys import needed_secrets, refusals
from config.secret_leaves import SecretLeaves, stack_sections
from config.stack import StackConfig


@dataclass(frozen=True)
class ProgramConfig:
    """The stack's validated config. `values`: Pulumi's texts by key; `project`: the program's folder."""

    source: pulumi.Config
    values: Mapping[str, str]
    project: Path
    stack: StackConfig
    models: Mapping[str, Model]
    secret_leaves: SecretLeaves


def read_program_config() -> ProgramConfig:
    """Read stack config and the models that it names. Raises pulumi.RunError with sentences for the operator."""
    project = Path(pulumi.runtime.get_root_directory() or ".")
    values = own_values({**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()})
    secret_keys = [key for key in StackConfig.model_fields if pulumi.runtime.is_config_secret(f"{PROJECT}:{key}")]
    file = stack_sections(project, pulumi.get_stack(), PROJECT) if secret_keys else {}
    secret_leaves = find_secret_leaves(values, secret_keys, file)
    try:
        stack = load(values, project, secret_leaves)
        models = load_models(stack, project)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    passphrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if refused := refusals(values, needed_secrets(stack), stack.market.url, passphrase):
        raise pulumi.RunError("\n".join(refused))
    return ProgramConfig(pulumi.Config(PROJECT), values, project, stack, models, secret_leaves)


def seal_inputs(secret_leaves: SecretLeaves) -> None:
    """Make every resource pass its secret leaves to the engine as secrets."""
    pulumi.runtime.register_stack_transformation(
        lambda args: pulumi.ResourceTransformationResult(sealed(args.props, secret_leaves), args.opts)
    )


def stack_name() -> str:
    """Return the stack's qualified name at the backend."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
