"""The context of the exporter: a stack's config, its account on the market and its keys at the object store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.base import PROJECT
from config.dialect import DialectError, read_yaml
from config.messages import ConfigError
from config.reading import load, own_values
from config.secret_leaves import is_ciphertext, readable
from config.stack import StackConfig
from providers.store.client import Keys
from providers.vast.stack_market import StackMarket, open_market

# The variable that gives a key of the store, by its key in stack config.
STORE_KEYS = {"storeAccessKey": "STORE_ACCESS_KEY", "storeSecretKey": "STORE_SECRET_KEY"}


@dataclass(frozen=True)
class ExporterAccount:
    """A stack as the exporter sees it."""

    stack: StackConfig
    market: StackMarket
    store_keys: Keys


def read_account(file: Path, environ: Mapping[str, str], own_key: str | None = None) -> ExporterAccount:
    """Read a stack's config file without Pulumi, as in a container. Encrypted values count as not set.

    The file may be newer than this version: unknown keys are ignored. STORE_ACCESS_KEY and STORE_SECRET_KEY give the
    store's keys if the file has none. `own_key` is the caller's own key of the market. Raises ConfigError.
    """
    try:
        config = dict(read_yaml(file.read_text())["config"])
    except (OSError, DialectError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{file} is no config file of a stack: {' '.join(str(error).split())}.") from None
    known = {key: readable(value) for key, value in config.items() if not is_ciphertext(value)}
    for key, variable in STORE_KEYS.items():
        if not known.get(f"{PROJECT}:{key}") and environ.get(variable):
            known[f"{PROJECT}:{key}"] = environ[variable]
    market = open_market(file.stem.removeprefix("Pulumi."), known, environ, own_key)
    access, secret = (str(known.get(f"{PROJECT}:{key}") or "") for key in STORE_KEYS)
    return ExporterAccount(load(own_values(known), None, lenient=True), market, Keys(access, secret))
