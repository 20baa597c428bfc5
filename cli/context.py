"""The context of a command: a stack, its config as Pulumi's command line tells it, and its account on the market.

Keys and market come from the stack's config. If that cannot be read, they come from VAST_API_KEY and VAST_URL.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.stacks import chosen
from components.models import load_manifests
from components.requirements import arguments_of, disk_gb, requirements_of
from config.base import PROJECT
from config.fleets import FleetConfig
from config.messages import ConfigError
from config.reading import find_secret_leaves, load, own_values, structured
from config.secret_leaves import NONE, SecretLeaves, stack_sections
from config.stack import StackConfig
from config.store import StoreConfig
from providers.engine_watch import UnwatchedClock
from providers.ledger.bucket_ledger import BucketLedger, open_ledger
from providers.ledger.folder_ledger import FolderLedger
from providers.store.client import Keys
from providers.vast.api.breaker import Breaker
from providers.vast.api.client import VastClient
from providers.vast.limits import Limits
from providers.vast.pulumi_state import BackendError, Run, run_pulumi, stack_config
from providers.vast.search.image_needs import needs_of
from providers.vast.search.memory_fit import Fit
from providers.vast.search.requirements import Requirements
from providers.vast.settings import GB, RequirementSettings
from providers.vast.stack_market import open_market


@dataclass(frozen=True)
class CommandContext:
    """A stack, its config as far as it can be read, and its account on the market."""

    stack: str
    config: Mapping[str, Any]
    scale: float  # market seconds in one of ours
    market: VastClient
    clock: UnwatchedClock
    breaker: Breaker
    limits: Limits
    secret_leaves: SecretLeaves = NONE  # the secret leaves of its config
    folder: Path = Path()  # what all processes of this computer share of the account


def open_context(
    stack: str,
    environ: Mapping[str, str],
    own_key: str | None = None,
    run: Run = run_pulumi,
    project: Path = Path(),
) -> CommandContext:
    """Reach the stack's account, with the caller's own key if it has one. Raises CommandError if no key is known.

    `project`: the folder of the stack's file, which tells the leaves that are secret.
    """
    trouble = ""
    secret: frozenset[str] = frozenset()
    try:
        config, secret = stack_config(run, stack)
    except BackendError as error:
        config, trouble = {}, f" The config of stack {stack} cannot be read: {error}."
    context = _context(stack, config, environ, own_key, trouble)
    own = f"{PROJECT}:"
    hidden = {key.removeprefix(own) for key in secret if key.startswith(own)}
    file = stack_sections(project, stack.rpartition("/")[2], PROJECT)
    return replace(context, secret_leaves=find_secret_leaves(own_values(config), hidden, file))


def open_selected(stack: str | None, own_key: str | None = None) -> CommandContext:
    """Reach the account of that stack, or of the selected one. Raises CommandError."""
    return open_context(chosen(stack), os.environ, own_key)


def _context(
    stack: str, config: Mapping[str, Any], environ: Mapping[str, str], own_key: str | None, trouble: str
) -> CommandContext:
    try:
        market = open_market(stack, config, environ, own_key, trouble)
    except ConfigError as error:
        raise CommandError(str(error)) from None
    return CommandContext(
        stack,
        config,
        market.scale,
        market.client,
        market.clock,
        market.breaker,
        market.limits,
        folder=market.folder,
    )


def read_config(context: CommandContext, project: Path | None = Path()) -> StackConfig:
    """Return the stack's config as the program reads it; without a project, manifests need not be there.

    Raises ConfigError.
    """
    return load(own_values(context.config), project, context.secret_leaves)


def requirements_for(stack: StackConfig, fleet: FleetConfig) -> Requirements:
    """Return a fleet's requirements in the market's units."""
    model = load_manifests(stack, Path())[fleet.model]
    settings = RequirementSettings.model_validate(requirements_of(fleet))
    fit = Fit.of(model.about, arguments_of(fleet, model.about), fleet.environment)
    needs = needs_of(fleet.image, fleet.vllm_arguments, model.about, fleet.min_cuda)
    hours, weights_gb = stack.limits.expected_hours, model.total_bytes / GB
    instances = max(fleet.most, 1)
    requirements = settings.to_requirements(
        disk_gb(fleet, model), weights_gb, hours, fit, fleet.image, needs, instances
    )
    scale = stack.market.time_scale
    return replace(requirements, min_seconds=settings.min_seconds(scale), time_scale=scale)


def ledger_of(context: CommandContext, stack: StackConfig) -> BucketLedger | FolderLedger:
    """Open the stack's ledger."""
    return _ledger_at(context, stack.store)


def ledger_alone(context: CommandContext) -> BucketLedger | FolderLedger:
    """Open the stack's ledger by the section `store` alone, for a config that is wrong elsewhere. Raises ConfigError."""
    try:
        store = StoreConfig.model_validate(structured(own_values(context.config).get("store")))
    except ValueError:  # its text may hold a secret
        raise ConfigError(f"{PROJECT}:store of stack {context.stack} cannot be read.") from None
    return _ledger_at(context, store)


def _ledger_at(context: CommandContext, store: StoreConfig) -> BucketLedger | FolderLedger:
    return open_ledger(store.endpoint, store.region, store.bucket, store_keys(context), context.clock)


def store_keys(context: CommandContext) -> Keys:
    """Return the stack's keys at the object store; empty if config has none."""
    access, secret = (str(context.config.get(f"{PROJECT}:{key}") or "") for key in ("storeAccessKey", "storeSecretKey"))
    return Keys(access, secret)
