"""Stack config, read and validated once: every mistake is a sentence that names the key and what to do.

Secrets are no part of the models in `schema`: they are read apart, because one secure leaf would make its whole key secret.
"""

import copy
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from bootstrap.masking import HIDDEN
from bootstrap.spec import argument_problems, variable_problems
from components.confidential import NONE, Confidential
from components.schema import SECTIONS, StackConfig

PROJECT = "gpu-fleet"
PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")
FLEET_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


class ConfigError(Exception):
    """Stack config that cannot be used; the message names each key, what is wrong with it, and what to do."""


SECRETS = {
    "vastApiKey": "Key of the vast.ai account (scopes: misc, instance_read, instance_write, user_read).",
    "storeAccessKey": "Access key of the object store.",
    "storeSecretKey": "Secret key of the object store.",
}

OPTIONAL_SECRETS = {
    "metricsKey": "Key under which hosts get their credentials at the door; needed with `metrics` and `kubernetes`, "
    "16 characters or more.",
    "exporterMarketKey": "Key of the market for the exporter in the cluster (scopes: instance_read, billing_read); needed "
    "with `kubernetes` in mode plain.",
    "alertWebhook": "URL that Alertmanager in the cluster tells alerts to.",
    "watchdogWebhook": "URL that Alertmanager in the cluster tells once a minute that alerting lives.",
}


class Source(Protocol):
    """What is needed of `pulumi.Config`."""

    def get(self, key: str) -> str | None:
        """Return a plain value."""

    def get_object(self, key: str) -> Any:
        """Return a structured value."""


def load(
    source: Source,
    known: set[str],
    project: Path | None,
    confidential: Confidential = NONE,
    *,
    lenient: bool = False,
) -> StackConfig:
    """Read and validate the whole stack config; without a project, manifests need not be there.

    `known` are the project's own config keys that are set (without namespace), so that a misspelt one is refused. A `lenient`
    reader may be older than the config: it leaves unknown keys aside, and encrypted leaves that should be numbers. No message
    shows a secret. Raises ConfigError.
    """
    sections = set(StackConfig.model_fields)
    secrets = {*SECRETS, *OPTIONAL_SECRETS}
    unknown = [] if lenient else sorted(known - sections - secrets)
    mistakes = [_unknown(key, sections | secrets) for key in unknown]
    raw: dict[str, Any] = {}
    for key in sorted(sections & known):
        try:
            raw[key] = source.get_object(key)
        except Exception:  # noqa: BLE001 -- pulumi raises its own type, which this room's callers need not know
            shown = HIDDEN if key in confidential.sections else repr(source.get(key))
            mistakes.append(f"{PROJECT}:{key} must be a structured value (YAML mapping), not {shown}.")
    try:
        config = _validated(raw, lenient)
    except ValidationError as error:
        mistakes += [
            _mistake(row, confidential)
            for row in error.errors()
            if row["loc"][0] not in {m.split(":")[-1] for m in mistakes}
        ]
    else:
        mistakes += [*_contradictions(config, project), *_visible_arguments(confidential)]
    if mistakes:
        raise ConfigError(confidential.clean(_told(mistakes)))
    return config


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


def _visible_arguments(confidential: Confidential) -> list[str]:
    return [
        f"{PROJECT}:{'.'.join(place)} is a secret, and every user of a host can see the arguments of a process. Give it to "
        f"vLLM as a variable: pulumi config set --secret --path '{PROJECT}:fleets.{place[1]}.environment.NAME'"
        for place in confidential.places
        if confidential.marked and place[0] == "fleets" and place[2:3] == ("vllmArguments",)
    ]


def given_keys(config: Mapping[str, str]) -> set[str]:
    """Return which of our keys a stack gives a value, from its whole config by key, namespaces included."""
    own = f"{PROJECT}:"
    nothing = ("", "{}")  # the defaults of Pulumi.yaml
    return {key.removeprefix(own) for key, value in config.items() if key.startswith(own) and value not in nothing}


def needed_secrets(stack: StackConfig) -> list[str]:
    """Return which secrets the stack cannot do without."""
    watched, exports = stack.metrics or stack.kubernetes, stack.kubernetes and stack.kubernetes.mode == "plain"
    return [*SECRETS, *(["metricsKey"] if watched else []), *(["exporterMarketKey"] if exports else [])]


def refusals(present: set[str], needed: Iterable[str], market_url: str, passphrase: str | None) -> list[str]:
    """Return a sentence, with the exact command, for each secret that the stack lacks or that everybody knows."""
    found = [
        f"{PROJECT}:{key} is not set. {(SECRETS | OPTIONAL_SECRETS)[key]} "
        f"Set it with: pulumi config set --secret {PROJECT}:{key}"
        for key in needed
        if key not in present
    ]
    host = urlsplit(market_url).hostname or ""
    if passphrase == "sandbox" and host not in {"127.0.0.1", "localhost", "::1"}:  # noqa: S105 -- public by design
        found.append(
            "PULUMI_CONFIG_PASSPHRASE is the sandbox's, which everybody knows, and this stack rents on a real market. Choose "
            "one of your own: export PULUMI_CONFIG_PASSPHRASE=..., then pulumi stack change-secrets-provider passphrase"
        )
    return found


def path_of(*parts: str | int) -> str:
    """Return a key's path as `pulumi config set --path` takes it: a name such as `Qwen/Qwen2.5-7B` is quoted there."""
    first, *rest = map(str, parts)
    return f"{PROJECT}:{first}" + "".join(f".{one}" if PLAIN.match(one) else f'["{one}"]' for one in rest)


def _told(mistakes: list[str]) -> str:
    if len(mistakes) == 1:
        return f"Stack config: {mistakes[0]}"
    return "\n".join(["Stack config has mistakes:", *(f"  {mistake}" for mistake in mistakes)])


def _unknown(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {PROJECT}:{near[0]}?" if near else f"known keys are {', '.join(sorted(known))}."
    return f"{PROJECT}:{key} is not a known key; {hint}"


def _mistake(row: Any, confidential: Confidential) -> str:
    *parents, last = row["loc"]
    path = path_of(*row["loc"])
    if row["type"] == "extra_forbidden":
        model = _model_at([str(part) for part in parents])
        names = {field.alias or name for name, field in model.model_fields.items()} if model else set()
        near = difflib.get_close_matches(str(last), names, n=1, cutoff=0.5)
        return f"{path} is not a known key; " + (
            f"did you mean {near[0]}?" if near else f"known keys here are {', '.join(sorted(names))}."
        )
    if row["type"] == "missing":
        return f"{path} is missing; set it with: pulumi config set --path '{path}' VALUE"
    shown = row["input"] if isinstance(row["input"], str | int | float | bool) else type(row["input"]).__name__
    if confidential.holds(row["input"]):
        shown = HIDDEN
    return f"{path} is {shown!r}: {row['msg'][0].lower()}{row['msg'][1:]}."


def _model_at(path: list[str]) -> type[BaseModel] | None:
    if not path:
        return StackConfig
    named = [path[0], "<name>", *path[2:]] if path[0] in ("models", "fleets") else path
    return SECTIONS.get(".".join(named))


def _contradictions(config: StackConfig, project: Path | None) -> list[str]:
    mistakes = []
    for name, fleet in config.fleets.items():
        path = path_of("fleets", name)
        if not FLEET_NAME.match(name) or len(name) > 40:
            mistakes.append(f"{path}: a fleet's name is lower-case letters, digits and single dashes, at most 40.")
        if fleet.model not in config.models:
            known = ", ".join(sorted(config.models)) or "none yet"
            mistakes.append(
                f"{path}.model is {fleet.model!r}, which {PROJECT}:models does not name (known: {known}). "
                "Make a manifest with `python -m providers.store.manifest FOLDER` and add it to models."
            )
        problems = [*argument_problems(fleet.vllm_arguments), *variable_problems(tuple(fleet.environment.items()))]
        mistakes += [f"{path}: {problem}" for problem in problems]
    for name, model in config.models.items():
        if project and not (project / model.manifest).is_file():
            mistakes.append(
                f"{path_of('models', name, 'manifest')} is {model.manifest!r}, and there is no such file in the project. "
                "Make it with `python -m providers.store.manifest FOLDER`."
            )
    return mistakes
