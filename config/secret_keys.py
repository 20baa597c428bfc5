"""Top-level keys of stack config that are secrets.

They are no part of the models: one secure leaf makes its whole top-level key secret, so each of them is a key of its own.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from config.base import PROJECT
from config.stack import StackConfig

SECRETS = {
    "vastApiKey": "Key of the vast.ai account (scopes: misc, instance_read, instance_write, user_read).",
    "storeAccessKey": "Access key of the object store.",
    "storeSecretKey": "Secret key of the object store.",
}

OPTIONAL_SECRETS = {
    "metricsKey": "Key under which hosts get their credentials at the receiver; needed with `metrics` and `kubernetes`, "
    "16 characters or more.",
    "exporterMarketKey": "Key of the market for the exporter in the cluster (scopes: instance_read, billing_read); needed "
    "with `kubernetes` in mode plain.",
    "alertWebhook": "URL that Alertmanager in the cluster tells alerts to.",
    "controllerDsn": "Connection string of a PostgreSQL of yours for the controller in the cluster; without it, the cluster "
    "gets one.",
    "hcloudToken": "Token of the Hetzner Cloud project that may read and write, 64 characters; needed with `cluster`.",
    "backupAccessKey": "Access key of the bucket for snapshots of the cluster; needed with `cluster.backups`.",
    "backupSecretKey": "Secret key of the bucket for snapshots of the cluster; needed with `cluster.backups`.",
    "watchdogWebhook": "URL that Alertmanager in the cluster tells once a minute that alerting lives.",
}
ALL_SECRETS = SECRETS | OPTIONAL_SECRETS


def needed_secrets(stack: StackConfig) -> list[str]:
    """Return which secrets the stack cannot do without."""
    watched, exports = stack.metrics or stack.kubernetes, stack.kubernetes and stack.kubernetes.mode == "plain"
    own, snapshots = stack.cluster, stack.cluster and stack.cluster.backups.enabled
    return [
        *SECRETS,
        *(["metricsKey"] if watched else []),
        *(["exporterMarketKey"] if exports else []),
        *(["hcloudToken"] if own else []),
        *(["backupAccessKey", "backupSecretKey"] if snapshots else []),
    ]


def refusals(present: Iterable[str], needed: Iterable[str], market_url: str, passphrase: str | None) -> list[str]:
    """Return a sentence, with the command that helps, for each needed secret that is not among the `present` keys.

    Another one refuses the sandbox's passphrase, which everybody knows, for a stack that rents on a real market.
    """
    lacking = set(needed) - set(present)
    found = [
        f"{PROJECT}:{key} is not set. {ALL_SECRETS[key]} Set it with: pulumi config set --secret {PROJECT}:{key}"
        for key in needed
        if key in lacking
    ]
    host = urlsplit(market_url).hostname or ""
    if passphrase == "sandbox" and host not in {"127.0.0.1", "localhost", "::1"}:  # noqa: S105 -- public by design
        found.append(
            "PULUMI_CONFIG_PASSPHRASE is the sandbox's, which everybody knows, and this stack rents on a real market. Choose "
            "one of your own: export PULUMI_CONFIG_PASSPHRASE=..., then pulumi stack change-secrets-provider passphrase"
        )
    return found
