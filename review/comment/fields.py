"""Say which keys of stack config a comment shows with old and new value: an allow-list, so that no new key leaks. Pure."""

import re

from config.masking import HIDDEN
from review.comment.quote import code, is_plain, prose
from review.report import Cause

# Keys below a fleet, and keys of the stack. A key that is not here, such as environment.NAME, is shown by name only.
SHOWN = frozenset(
    {
        *("replicas", "replicas.min", "replicas.max", "replicas.requestsPerInstance", "replicas.downSeconds"),
        *("replicas.idleSeconds", "replicas.maxRequestMinutes", "without", "rollout.maxUnavailable"),
        *("model", "gpu.name", "gpu.count", "gpu.ramGb", "maxUsdPerHour", "overCeiling", "image", "vllmArguments"),
        *("warmStart", "reliability", "downloadMbps", "minCuda", "hosting", "cpuCores", "memoryGb", "regions"),
        *("verified", "minDays", "diskGb", "idleMinutes", "maxHours", "lease.minutes"),
        *("preflight.cpuCores", "preflight.memoryGb", "preflight.diskMbps", "preflight.clockSeconds"),
        "preflight.gpuCelsius",
        *("limits.attempts", "limits.bootMinutes", "limits.connectMinutes", "limits.totalMinutes"),
        *("limits.expectedHours", "limits.downMinutes", "limits.rentsPerHour"),
        *("rotation.tokens", "rotation.ssh", "rotation.certificates", "rotation.ca"),
        *("store.region", "store.bucket", "store.onDestroy", "store.verify", "store.versioning"),
        *("budget.usdPerDay", "budget.usdPerMonth", "metrics.intervalSeconds", "market.timeScale"),
        *("program (kit)", "not as on the base branch"),
    }
)
_KEY = re.compile(r"[A-Za-z]{1,30}(\.[A-Za-z]{1,30}){0,3}\Z")
_MANIFEST = re.compile(r"models\..{1,200}\.manifest\Z", re.DOTALL)
REASONS = frozenset({"drift"})  # no key: the new value says why
VALUE_LETTERS = 44


def cause(one: Cause) -> str:
    """Return a cause as Markdown: its key, and old and new value if the comment may show them."""
    if one.key in REASONS:
        return f"{one.key}: {prose(one.new, 80)}" if one.new else one.key
    key = one.key if _KEY.match(one.key) and is_plain(one.key) else code(one.key)
    if one.key not in SHOWN and not _MANIFEST.match(one.key):
        if HIDDEN in (one.old, one.new):
            return f"{key} {code(HIDDEN)}"
        return f"{key} {_by_name(one)}".rstrip()
    if one.old is None and one.new is None:
        return key
    return f"{key} {_value(one.old)} → {_value(one.new)}"


def _by_name(one: Cause) -> str:
    if one.old is None and one.new is None:
        return ""
    return "added" if one.old is None else "removed" if one.new is None else "changed"


def _value(text: str | None) -> str:
    return "unset" if text is None else code(text, VALUE_LETTERS)
