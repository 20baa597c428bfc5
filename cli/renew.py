"""`gpu-fleet renew`: an update of the instances whose certificates end soon, and of nothing else."""

import json
import subprocess

from cli.command import command, stack_option
from cli.context import CommandContext, open_selected
from cli.errors import CommandError
from providers.vast import certificate_renewal
from providers.vast.api.errors import VastError
from providers.vast.pulumi_state import BackendError, deployment_of, run_pulumi


@command("renew", BackendError, VastError)
@stack_option
def renew(stack: str | None) -> int:
    """Renew certificates that end within a month, and nothing else.

    For a schedule. Pulumi renews the certificates that end within a month, and the CA's in its last half year, for those
    instances alone. The command refuses if the config of this checkout would change more than that.
    """
    return run_renew(open_selected(stack))


def run_renew(context: CommandContext) -> int:
    """Renew by a targeted update, and return Pulumi's exit status. Raises CommandError."""
    found = certificate_renewal.due(deployment_of(run_pulumi, context.stack), context.clock.time())
    print(found.describe(), flush=True)
    if not found.urns:
        return 0
    targets = [word for urn in found.urns for word in ("--target", urn)]
    steps = json.loads(run_pulumi(["preview", "--json", "--stack", context.stack, *targets]))["steps"]
    if beyond := certificate_renewal.beyond(steps):
        raise CommandError(
            f"this checkout would do more than renew ({'; '.join(beyond)}), and nothing was done. Bring that to the fleet "
            f"first, by `pulumi up --stack {context.stack}`, or run this in the checkout that is deployed."
        )
    words = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", context.stack, *targets]
    return subprocess.run(words, check=False).returncode
