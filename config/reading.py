"""Reads and validates stack config, once, from a plain mapping. Every mistake becomes a sentence of `messages`."""

import copy
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.base import PROJECT, path_of
from config.cluster_rules import cluster_mistakes, reporting
from config.controller import bucket_of
from config.masking import HIDDEN
from config.messages import ConfigError, describe_error, list_mistakes, unknown_key
from config.project_files import ProjectFiles, files_of
from config.secret_keys import ALL_SECRETS
from config.secret_leaves import NONE, SecretLeaves
from config.stack import StackConfig
from config.vllm_options import argument_problems, variable_problems

FLEET_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
UNSET = ("", "{}")  # the defaults of Pulumi.yaml


def own_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a stack gives to our keys, without namespace; `config` is its whole config."""
    own = f"{PROJECT}:"
    return {
        key.removeprefix(own): value for key, value in config.items() if key.startswith(own) and str(value) not in UNSET
    }


def structured(value: Any) -> Any:
    """Return a section's value: Pulumi hands it over as JSON text, a file as a mapping. Raises ValueError."""
    return json.loads(value) if isinstance(value, str) else value


def find_secret_leaves(
    values: Mapping[str, Any], secret_keys: Collection[str], file: Mapping[str, Any]
) -> SecretLeaves:
    """Find the secret leaves of all sections.

    `values`: by key without namespace; `secret_keys`: the keys that Pulumi marks as secret, likewise; `file`: the sections
    as the stack's file has them, which tells the leaves apart.
    """
    sections = {}
    for key in StackConfig.model_fields:
        if key in secret_keys and key in values:
            try:
                sections[key] = structured(values[key])
            except ValueError:
                sections[key] = values[key]
    return SecretLeaves.of(sections, file)


def load(
    values: Mapping[str, Any],
    project: Path | ProjectFiles | None,
    secret_leaves: SecretLeaves = NONE,
    *,
    lenient: bool = False,
) -> StackConfig:
    """Read and validate the whole stack config; without a project, manifests need not be there.

    `values` are those of our own keys, as `own_values` returns them: a misspelt key is refused. A `lenient` reader may be
    older than the config: it leaves unknown keys aside, and encrypted leaves that should be numbers. No message shows a
    secret. Raises ConfigError.
    """
    sections = set(StackConfig.model_fields)
    known = sections | set(ALL_SECRETS)
    mistakes = [] if lenient else [unknown_key(key, known) for key in sorted(values.keys() - known)]
    raw: dict[str, Any] = {}
    for key in sorted(sections & values.keys()):
        try:
            raw[key] = structured(values[key])
        except ValueError:
            shown = HIDDEN if key in secret_leaves.sections else repr(values[key])
            mistakes.append(f"{PROJECT}:{key} must be a structured value (YAML mapping), not {shown}.")
    try:
        config = _validated(raw, lenient)
    except ValidationError as error:
        mistakes += [
            describe_error(row, secret_leaves)
            for row in error.errors()
            if row["loc"][0] in raw or row["loc"][0] not in values  # else its text is told already
        ]
    else:
        mistakes += [*_contradictions(config, project), *_visible_arguments(secret_leaves)]
        # The exporter in a cluster reads neither of the sections that name the receiver.
        mistakes += [] if lenient else [*_without_list_price(config), *cluster_mistakes(config)]
    if mistakes:
        raise ConfigError(secret_leaves.clean(list_mistakes(mistakes)))
    return reporting(config)


def _validated(raw: dict[str, Any], lenient: bool) -> StackConfig:
    try:
        return StackConfig.model_validate(raw)
    except ValidationError as error:
        rows = [row for row in error.errors() if row["type"] == "extra_forbidden" or row["input"] == HIDDEN]
        extra = list(dict.fromkeys(row["loc"] for row in rows))
        if not lenient or not extra:
            raise
    raw = copy.deepcopy(raw)
    for place in extra:
        holder: Any = raw
        for part in place[:-1]:
            holder = holder[part]
        del holder[place[-1]]
    return StackConfig.model_validate(raw)


def _visible_arguments(secret_leaves: SecretLeaves) -> list[str]:
    return [
        f"{PROJECT}:{'.'.join(place)} is a secret, and every user of a host can see the arguments of a process. Give it to "
        f"vLLM as a variable: pulumi config set --secret --path '{PROJECT}:fleets.{place[1]}.environment.NAME'"
        for place in secret_leaves.places
        if secret_leaves.marked and place[0] == "fleets" and place[2:3] == ("vllmArguments",)
    ]


def _contradictions(config: StackConfig, project: Path | ProjectFiles | None) -> list[str]:
    mistakes = []
    files = files_of(project) if project else None
    for name, fleet in config.fleets.items():
        path = path_of("fleets", name)
        if not FLEET_NAME.match(name) or len(name) > 40:
            mistakes.append(f"{path}: a fleet's name is lower-case letters, digits and single dashes, at most 40.")
        if fleet.model not in config.models:
            known = ", ".join(sorted(config.models)) or "none yet"
            mistakes.append(
                f"{path}.model is {fleet.model!r}, which {PROJECT}:models does not name (known: {known}). "
                "Make a manifest with `gpu-fleet manifest FOLDER` and add it to models."
            )
        problems = [*argument_problems(fleet.vllm_arguments), *variable_problems(tuple(fleet.environment.items()))]
        mistakes += [f"{path}: {problem}" for problem in problems]
    mistakes += [
        f"{path_of('clients', name)}: a client's name is lower-case letters, digits and single dashes, at most 40."
        for name in config.clients
        if not FLEET_NAME.match(name) or len(name) > 40
    ]
    cluster, watching = config.controller.kubernetes, config.kubernetes
    if cluster and watching and cluster.namespace == watching.namespace:
        mistakes.append(
            f"{path_of('controller', 'kubernetes', 'namespace')} is {cluster.namespace!r}, which {PROJECT}:kubernetes has; "
            "choose another, because a user who may read Secrets of monitoring must not read the controller's."
        )
    if cluster and watching and watching.controller_address:
        mistakes.append(
            f"{path_of('kubernetes', 'controllerAddress')} names a controller outside the cluster, and "
            f"{PROJECT}:controller.kubernetes makes one in it; take one of the two out."
        )
    if config.store.on_destroy == "empty" and bucket_of(config.controller.backend) == config.store.bucket:
        mistakes.append(
            f"{path_of('controller', 'backend')} keeps the states of stacks in the bucket {config.store.bucket!r}, and "
            f"{path_of('store', 'onDestroy')} is 'empty', so that a destroy would delete all of them; give them a bucket of "
            "their own, or set onDestroy to keep."
        )
    for name, model in config.models.items():
        if files and not files.has(model.manifest):
            mistakes.append(
                f"{path_of('models', name, 'manifest')} is {model.manifest!r}, and there is no such file in the project. "
                "Make it with `gpu-fleet manifest FOLDER`."
            )
    return mistakes


def _without_list_price(config: StackConfig) -> list[str]:
    compared = [(name, other) for name, model in config.models.items() for other in model.compared_with]
    if not compared:
        return []
    from config.api_prices import problem_with  # noqa: PLC0415 -- half a second, and few stacks compare

    problems = [(path_of("models", name, "comparedWith"), other, problem_with(other)) for name, other in compared]
    return [f"{path}: {other!r} {problem}" for path, other, problem in problems if problem]
