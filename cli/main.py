"""The root of the command line: which sub-commands there are, and what the list of them says."""

from collections.abc import Sequence

import click

from cli.command import LazyGroup

COMMANDS = {
    "up": ("cli.up", "up", "Start the sandbox and bring its stack up, to endpoints that answer."),
    "down": ("cli.down", "down", "Give everything back and stop the sandbox."),
    "sweep": ("cli.sweep", "sweep", "List what the account rents, and give back what no state knows."),
    "adopt": ("cli.adopt", "adopt", "Let `pulumi up` take over an instance that no state knows."),
    "explain": ("cli.explain", "explain", "Tell what became of each offer that was tried for an instance."),
    "why-not": ("cli.explain", "why_not", "Tell which requirements of a fleet an offer fails."),
    "renew": ("cli.renew", "renew", "Renew certificates that end within a month, and nothing else."),
    "pin": ("cli.pin", "pin", "Let any machine start with what this instance's machine compiled."),
    "review": ("cli.review", "review_command", "Say what an edit of stack config does, what it costs, and why not."),
    "standing": ("cli.standing", "standing", "Write what the stack runs, without any secret, for reviews."),
    "status": ("cli.status", "status", "Show the stack's instances and what they are charged."),
    "apply": ("cli.apply", "apply", "Carry out an edit that was reviewed and approved, or rent nothing."),
    "drift": ("cli.drift", "drift", "Tell what differs from the stack's record, without changing anything."),
    "budget": ("cli.budget", "budget", "Show what the budget has left, and when it is used up."),
    "key": ("cli.key", "key", "Print the API key of a client of the controller."),
    "ask": ("cli.ask", "ask", "Ask an endpoint for one completion."),
    "log": ("cli.log", "log", "Print the last lines of an instance's vLLM."),
    "manifest": ("cli.manifest", "manifest", "Make or check the manifest of a model's folder."),
    "store": ("cli.store", "store", "List what the bucket holds and nothing names, and remove it."),
    "report": ("cli.report", "report", "Write one HTML page of what Prometheus knows."),
    "criteria": ("cli.criteria", "criteria", "Judge provisioning, latency and cost against their bounds."),
    "worth": ("cli.worth", "worth_command", "Tell what the money bought, and what hosted APIs ask for the same."),
    "dashboards": ("cli.dashboards", "dashboards", "Write the dashboards as Grafana's JSON."),
    "exporter": ("cli.exporter", "exporter", "Serve the fleet's money, failures and times to Prometheus."),
    "receiver": ("cli.receiver", "receiver", "Serve the write-only receiver of the hosts' metrics."),
    "sandbox": ("sandbox.commands", "sandbox", "Run the emulated cloud on this machine, and break it on purpose."),
    "faults": ("sandbox.commands", "faults", "List what can be made to go wrong in the sandbox."),
    "fault": ("sandbox.commands", "fault", "Let something go wrong in the sandbox."),
    "completion": ("cli.completion", "completion", "Print the shell lines that complete this command's words."),
}


@click.group(
    "gpu-fleet",
    cls=LazyGroup,
    places=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
def root() -> None:
    """Run and look after a fleet of rented GPUs.

    Run it in the project's folder, in the environment that `eval "$(make -s env)"` gives a shell.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status; `arguments` are those of this process if None."""
    try:
        root.main(arguments, prog_name=root.name)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
