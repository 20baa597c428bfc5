"""Start and stop the service that ends a host at its limits, and tell the host at each visit the facts for its end."""

import json

from bootstrap.context import STOP_SECONDS, HostContext
from bootstrap.errors import BootstrapError
from bootstrap.host import Host
from bootstrap.remote_scripts import ETC, KIT, RUN
from bootstrap.rendered_config import self_destruct_text

SERVICE = "self-destruct"
VISIT = f"{ETC}/{SERVICE}.visit"


def arm(context: HostContext) -> None:
    """Write the limits, (re)start the service and wait until it runs.

    Raises StepFailed, because a host without it costs money for ever.
    """
    assert context.spec.self_destruct is not None
    context.host.put(
        self_destruct_text(context.spec, context.spec.self_destruct).encode(), f"{ETC}/{SERVICE}.wanted", 0o600
    )
    context.restart(SERVICE)
    # A supervisor that has just seen this service for the first time started it too early, and pauses before the next try.
    context.shell(f"{KIT}/started.sh {SERVICE}", "the service that ends the host does not start")


def disarm(context: HostContext) -> None:
    """Stop the service and remove its files; the host then lives until the program or an operator gives it back."""
    context.shell(
        f"export PATH={KIT}/bin:$PATH; touch /opt/gpu-fleet/service/{SERVICE}/down; "
        f"{KIT}/stop.sh {SERVICE} {STOP_SECONDS} || exit 1; rm -f {ETC}/{SERVICE}.* {RUN}/{SERVICE}.*",
        "the service that ends the host could not be stopped",
    )


def renew_lease(host: Host, age_seconds: float, word_url: str) -> str:
    """Renew the host's lease and tell it its age and the URL for its last word; return why that failed, or nothing.

    The URL is a secret until it expires: it travels on stdin.
    """
    try:
        host.put(json.dumps({"age": round(age_seconds, 1), "word": word_url}).encode(), VISIT, 0o600)
    except BootstrapError as error:
        return str(error)
    return ""
