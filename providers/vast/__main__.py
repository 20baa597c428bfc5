"""What is rented, by whom, and why: python -m providers.vast sweep|adopt|explain|why-not|renew|pin, in the project's folder.

The stack is the selected one, or --stack. Keys and market come from its config; where that cannot be read, the key from
VAST_API_KEY and the market from VAST_URL. Nothing is changed but by `sweep --destroy`, and by `adopt` and `renew` through
Pulumi.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from components.config import PROJECT, ConfigError
from components.desk import Desk, Refused, ledger_of, open_desk, read_config, wishes_for
from providers.store.errors import StoreError
from providers.vast import label, renewing, sweep, verdict
from providers.vast.backend import BackendError, deployment_of, outputs_of, run_pulumi, selected_stack, states
from providers.vast.belonging import sort_out
from providers.vast.closing import SWEPT, row_ended
from providers.vast.errors import AccountUnknown, VastError
from providers.vast.explanation import explained
from providers.vast.instances import Instance, all_known
from providers.vast.ledger import NoLedger
from providers.vast.pinning import pins_file, with_pin

EXAMPLES = """\
  python -m providers.vast sweep                        what is rented on the account, and which of it no state knows
  python -m providers.vast sweep --destroy              give back what carries this stack's id and no state knows
  python -m providers.vast adopt gpu-fleet/ID/chat-0    have `pulumi up` take over an instance that no state knows
  python -m providers.vast explain chat-0               which offers were tried for it, and what became of each
  python -m providers.vast why-not 1234567 chat         which wishes of the fleet chat an offer fails
  python -m providers.vast renew                        renew certificates that end within a month, and nothing else
  python -m providers.vast pin chat-0                   let any machine start with what this instance's machine compiled
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0 done; 1 impossible, or something may still cost money; 2 `sweep` found what no state knows."""
    options = parser().parse_args(arguments)
    try:
        desk = open_desk(options.stack or selected_stack(run_pulumi), os.environ)
        command: Callable[[Desk, argparse.Namespace], int] = options.run
        return command(desk, options)
    except (Refused, BackendError, VastError, ConfigError, StoreError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m providers.vast",
        description=(__doc__ or "").partition(":")[0] + ".",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = top.add_subparsers(dest="command", required=True)
    one = words.add_parser(
        "sweep",
        help="compare the account's instances with the states of the backend",
        description="Lists every instance of the account as known, ours-but-unknown, ours-being-created, another-stack or "
        "foreign, with what it costs. Only ours-but-unknown is ever given back, only with --destroy. Exit status 2: there is "
        "something that no state knows.",
    )
    one.add_argument(
        "--destroy",
        action="store_true",
        help="give back what is ours-but-unknown, and have it confirmed; without --stack-id only if all states can be read",
    )
    one.add_argument(
        "--interrupted",
        action="store_true",
        help="with --destroy: also ours-being-created; only when no update of the stack is running",
    )
    one.add_argument("--stack-id", metavar="ID", help="treat this stack id as ours: for a state that is lost or broken")
    one.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    one.set_defaults(run=run_sweep)
    one.add_argument("--close-breaker", action="store_true", help="let renting go on that the breaker has stopped")
    two = words.add_parser(
        "adopt",
        help="have `pulumi up` take over an instance that no state knows",
        description="Says whether an instance under a label of this stack would be taken over by the next `pulumi up`, and "
        "then runs that, which shows its preview and asks.",
    )
    two.add_argument("label", help="the instance's label, as sweep prints it: gpu-fleet/ID/NAME")
    two.add_argument("--yes", action="store_true", help="do not ask")
    two.set_defaults(run=run_adopt)
    three = words.add_parser(
        "explain", help="tell what became of each offer that was tried for an instance in the last 14 days"
    )
    three.add_argument("name", help="the instance, such as chat-0")
    three.add_argument("--json", action="store_true", help="the ledger's events as JSON lines")
    three.set_defaults(run=run_explain)
    four = words.add_parser("why-not", help="tell which wishes of a fleet an offer fails")
    four.add_argument("offer", type=int, help="the offer's number, as the market shows it")
    four.add_argument("fleet", help="the fleet, such as chat")
    four.set_defaults(run=run_why_not)
    five = words.add_parser(
        "pin",
        help="let any machine start a model with what this instance's machine compiled",
        description="A compile cache is code. It is brought only to the machine that made it, unless its digest is pinned in "
        "a committed file. Pin what a machine made that you trust: the digest is written beside the model's manifest.",
    )
    five.add_argument("name", help="the instance, such as chat-0; its fleet has warmStart")
    five.set_defaults(run=run_pin)
    six = words.add_parser(
        "renew",
        help="renew certificates that end within a month, and nothing else",
        description="For a schedule. Has Pulumi renew the certificates that end within a month, and the CA's in its last "
        "half year, for those instances alone. Refuses if the config of this checkout would do more than that.",
    )
    six.set_defaults(run=run_renew)
    for command in (one, two, three, four, five, six):
        command.add_argument("--stack", help="the stack (default: the selected one)")
    return top


def run_sweep(desk: Desk, options: argparse.Namespace) -> int:
    """Compare, tell, and give back what was asked for."""
    # In this order: an instance that is rented after the list was read is not in it, and one that is in it was known, or
    # being created, by the time at which the states are read.
    listed = all_known(desk.market.instances())
    known = states(run_pulumi, desk.stack)
    own = sweep.own_ids(known, options.stack_id)
    try:
        sweep.confirm_account(desk.market, known, options.stack_id)
    except AccountUnknown as doubt:
        if options.destroy:
            raise
        print(f"sweep: {doubt}", file=sys.stderr)
    found = sort_out(listed, known, own, desk.clock.time(), desk.limits)
    refusal = sweep.doubt(known, options.stack_id) if options.destroy else None
    doomed = sweep.condemned(found, options.interrupted) if options.destroy and not refusal else []
    for instance in doomed:
        desk.breaker.destroyed(instance.id, desk.clock.monotonic())
    ended = sweep.give_back_each(desk.market, desk.clock, desk.limits, doomed)
    _tell_ledger(desk, [one for one in doomed if ended[one.id] is None])
    report = verdict.report(found, known, ended)
    print(json.dumps(report, indent=2) if options.json else verdict.told(report, options.destroy))
    if refusal:
        raise Refused(refusal)
    if options.close_breaker:
        desk.breaker.close()
    if any(error is not None for error in ended.values()):
        return 1
    return 2 if sweep.condemned([finding for finding in found if finding.instance.id not in ended], True) else 0


def _tell_ledger(desk: Desk, ended: Sequence[Instance]) -> None:
    with suppress(Refused, ConfigError, BackendError, StoreError):  # a sweep works where config cannot be read
        ledger = ledger_of(desk, read_config(desk)) if ended else NoLedger()
        for instance in ended:
            row_ended(ledger, desk.clock.time(), instance, SWEPT)


def run_adopt(desk: Desk, options: argparse.Namespace) -> int:
    """Look whether `up` would take the instance over, and have it do so."""
    mark = label.parse(options.label)
    if mark is None:
        raise Refused(
            f"{options.label!r} is no label of gpu-fleet's (gpu-fleet/<stack id>/<name>); `sweep` prints them"
        )
    own = states(run_pulumi, desk.stack)[0]
    if own.trouble:
        raise Refused(f"the state of stack {desk.stack} cannot be read, so nothing can be taken into it: {own.trouble}")
    if mark.stack_id != own.stack_id:
        raise Refused(
            f"stack {desk.stack} has the id {own.stack_id or 'of none yet'}, and that instance is of {mark.stack_id}: its "
            "SSH key is in the state that it was made from, and nowhere else. Take it over there, or give it back with "
            f"`sweep --destroy --stack-id {mark.stack_id}`."
        )
    if mark.name in own.instances:
        raise Refused(
            f"the state has {mark.name} already; what else carries its label is surplus, and `sweep` gives it back"
        )
    sweep.confirm_account(desk.market, [own])
    fleet_name, _, index = mark.name.rpartition("-")
    stack = read_config(desk)
    fleet = stack.fleets.get(fleet_name)
    if fleet is None or not index.isdigit() or int(index) not in fleet.indexes:
        path = f"{PROJECT}:fleets.{fleet_name}"
        edit = (
            f"take {index} out of {path}.without"
            if fleet and index in map(str, fleet.without)
            else f"raise {path}.replicas"
        )
        raise Refused(
            f"the stack's config has no instance {mark.name}; {edit}, or give the instance back: sweep --destroy"
        )
    wishes = wishes_for(stack, fleet)
    told = verdict.would_adopt(desk.market.instances(options.label), fleet.image, wishes)
    if not told.adopts:
        raise Refused(told.text)
    print(told.text, flush=True)
    return subprocess.run(
        ["pulumi", "up", "--stack", desk.stack, *(["--yes"] if options.yes else [])], check=False
    ).returncode


def run_explain(desk: Desk, options: argparse.Namespace) -> int:
    """Tell what the ledger says of one instance."""
    stack_id = states(run_pulumi, desk.stack)[0].stack_id
    ledger = ledger_of(desk, read_config(desk))
    events = ledger.events(stack_id, options.name)
    if options.json:
        print("".join(f"{event.model_dump_json(exclude_none=True)}\n" for event in events), end="")
    else:
        print("\n".join(explained(options.name, events, ledger.records(), desk.clock.time(), ledger.log)))
    return 0


def run_why_not(desk: Desk, options: argparse.Namespace) -> int:
    """Tell which wishes an offer fails."""
    stack = read_config(desk)
    if options.fleet not in stack.fleets:
        raise Refused(f"there is no fleet {options.fleet}; the stack has {', '.join(sorted(stack.fleets)) or 'none'}")
    wishes, records = wishes_for(stack, stack.fleets[options.fleet]), ledger_of(desk, stack).records()
    lines = verdict.why_not(desk.market, options.offer, options.fleet, wishes, records, desk.clock.time())
    print("\n".join(lines))
    return 0


def run_renew(desk: Desk, _options: argparse.Namespace) -> int:
    """Renew what ends soon, by an update of those instances alone."""
    found = renewing.due(deployment_of(run_pulumi, desk.stack), desk.clock.time())
    print(found.told(), flush=True)
    if not found.urns:
        return 0
    targets = [word for urn in found.urns for word in ("--target", urn)]
    steps = json.loads(run_pulumi(["preview", "--json", "--stack", desk.stack, *targets]))["steps"]
    if beyond := renewing.beyond(steps):
        raise Refused(
            f"this checkout would do more than renew ({'; '.join(beyond)}), and nothing was done. Bring that to the fleet "
            f"first, by `pulumi up --stack {desk.stack}`, or run this in the checkout that is deployed."
        )
    words = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", desk.stack, *targets]
    return subprocess.run(words, check=False).returncode


def run_pin(desk: Desk, options: argparse.Namespace) -> int:
    """Write the digest of what an instance's machine compiled into the committed file of its model."""
    outputs, stack = outputs_of(run_pulumi, desk.stack, options.name), read_config(desk)
    fleet = stack.fleets.get(options.name.rpartition("-")[0])
    if outputs is None or fleet is None:
        raise Refused(f"stack {desk.stack} has no instance {options.name}")
    warm = outputs.get("warm")
    if not warm:
        raise Refused(
            f"nothing is kept of what {options.name} compiled: its fleet needs warmStart, and a start since then"
        )
    file = pins_file(Path(stack.models[fleet.model].manifest))
    file.write_text(with_pin(file.read_text() if file.exists() else "", warm))
    machine = int((outputs.get("machine") or {}).get("id") or 0)
    print(
        f"{file}: {warm['sha256'][:12]}, made on machine {machine}. Commit it if you trust that machine with every other."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
