"""`gpu-fleet apply`: carry out an edit that was reviewed and approved, as it was shown, or rent nothing.

Looks again, compares, plans, compares the plan, and only then updates. All of it is one process, because a plan holds what
must not be kept.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from rich.console import Console

from cli.command import command, json_option, stack_option
from cli.context import open_selected
from cli.engine_run import Engine, call_engine, errors_of
from cli.errors import CommandError
from cli.own_kit import kit_size
from cli.stacks import chosen
from cli.standing import standing_now
from cli.tables import columns, money
from cli.update_view import UpdateView
from providers.engine_events import Event, Step, Trouble
from providers.vast.pulumi_state import INSTANCE, BackendError
from review.applying import Rented, differences, rented_of, unplanned
from review.approved import Approved, UnreadableReview, read_approved
from review.prospects import Look
from review.report import Exit, Review
from review.reviewing import Asked, base_of, review
from review.tree import WORK_TREE, UsageError, open_tree

# How the engine words an update that leaves its plan (pkg/resource/deploy/step_generator.go and plan.go).
VIOLATED = re.compile(r"violates plan|expected resource operations for")
TITLES = ("rented", "market id", "charged $/h", "shown $/h", "ceiling $/h")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
NOTHING = "Nothing was rented, and nothing was changed."
DONE = {"update": "changed", "delete": "given back", "create": "rented", "create-replacement": "on another machine"}


@dataclass
class EngineEvents:
    """Keeps what the engine did and what troubled it."""

    steps: list[Step] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    def take(self, event: Event | None) -> None:
        """Keep an event."""
        if isinstance(event, Step):
            self.steps.append(event)
        elif isinstance(event, Trouble) and event not in self.troubles:
            self.troubles.append(event)


@dataclass(frozen=True)
class Outcome:
    """How an apply ended: the exit status, sentences, the rented instances, and the number of instances by change."""

    status: int
    sentences: tuple[str, ...] = ()
    rented: tuple[Rented, ...] = ()
    done: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Applying:
    """An apply and its inputs. `look` reviews again, `publish` then writes what runs, `now` is in unix seconds."""

    stack: str
    approved: Approved
    look: Callable[[], Review]
    publish: Callable[[], None]
    engine: Engine = call_engine
    now: Callable[[], float] = time.time
    console: Console = field(default_factory=lambda: Console(highlight=False))

    def run(self) -> Outcome:
        """Apply. Whatever is worse than approved ends it before anything is rented."""
        fresh = self.look()
        if found := differences(self.approved, fresh, self.now()):
            return Outcome(Exit.NOT_AS_REVIEWED, (*found, NOTHING))
        with tempfile.TemporaryDirectory(prefix="gpu-fleet-plan-") as folder:  # readable by this user alone
            plan = str(Path(folder) / "plan.json")
            planned = EngineEvents()
            status, complained = self.engine(["preview", "--stack", self.stack, "--save-plan", plan], planned.take)
            if status:
                return Outcome(Exit.REFUSED, (*errors_of(planned.troubles, complained), NOTHING))
            if found := unplanned(fresh, planned.steps):
                return Outcome(Exit.NOT_AS_REVIEWED, (*found, NOTHING))
            return self._update(plan)

    def _update(self, plan: str) -> Outcome:
        view, done = UpdateView(self.console), EngineEvents()

        def take(event: Event | None) -> None:
            view.take(event)
            done.take(event)

        words = ["up", "--stack", self.stack, "--plan", plan, "--yes", "--skip-preview"]
        with view:
            status, complained = self.engine(words, take)
        rented, counts = rented_of(done.steps, self.approved), counted(done.steps)
        self.publish()
        if not status:
            return Outcome(Exit.FINE, (), rented, counts)
        errors = errors_of(done.troubles, complained)
        left = any(VIOLATED.search(one) for one in errors)
        ends = Exit.NOT_AS_REVIEWED if left else Exit.REFUSED
        why = "The update left its plan and ended midway." if left else "The update failed."
        return Outcome(ends, (*errors, f"{why} {midway(rented)}"), rented, counts)


def counted(steps: Sequence[Step]) -> tuple[tuple[str, int], ...]:
    """Count the instances by change."""
    words = [
        DONE[step.operation] for step in steps if step.type == INSTANCE and not step.failed and step.operation in DONE
    ]
    return tuple((word, words.count(word)) for word in dict.fromkeys(words))


def midway(rented: Sequence[Rented]) -> str:
    """Say what costs after an update that did not come to its end."""
    if not rented:
        return "It rented no instance that serves; `gpu-fleet sweep` says what the account rents."
    names = ", ".join(one.name for one in rented)
    known = [one.charged for one in rented if one.charged is not None]
    costs = f"{money(sum(known))}/h together" if len(known) == len(rented) else "at a price that is not known"
    return f"It rented {names}, {costs}: they serve and stay. `gpu-fleet sweep` says what else the account rents."


@command("apply", BackendError)
@click.option(
    "--reviewed",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The JSON of the approved review.",
)
@click.option(
    "--standing", metavar="FILE", type=click.Path(path_type=Path), help="Write what runs afterwards, for later reviews."
)
@click.option("--summary", metavar="FILE", type=click.Path(path_type=Path), help="Append the summary in Markdown, too.")
@json_option
@stack_option
def apply(reviewed: Path, standing: Path | None, summary: Path | None, as_json: bool, stack: str | None) -> int:
    """Carry out an edit that was reviewed and approved, in the work tree of its merge commit.

    It reviews again and compares with FILE. If anything is worse, it says what, rents nothing and ends with 3. Exit status:
    0 applied, 1 failed, 3 no longer as reviewed, 64 for a file that is no review.
    """
    try:
        approved = read_approved(reviewed.read_bytes())
    except (UnreadableReview, OSError) as error:
        raise CommandError(f"{reviewed} is no approved review: {error}", int(Exit.USAGE)) from None
    name = chosen(stack)
    # Ctrl-C is for Pulumi, which then ends in good order. A handler, because commands would inherit "ignore".
    signal.signal(signal.SIGINT, lambda *_: None)
    out = Console(highlight=False, file=sys.stderr if as_json else sys.stdout)
    outcome = Applying(name, approved, lambda: look(name, approved), lambda: publish(name, standing), console=out).run()
    if as_json:
        print(json.dumps({**asdict(outcome), "rented": [one.model_dump() for one in outcome.rented]}, indent=2))
    else:
        print("\n".join(described(name, outcome)))
    if summary:
        with summary.open("a") as file:
            file.write(
                "\n".join(["```", *(line.replace("```", "'''") for line in described(name, outcome)), "```", ""])
            )
    return outcome.status


def look(stack: str, approved: Approved) -> Review:
    """Review again what the work tree holds, against the approved base and what the stack's state says. Raises CommandError.

    The market is asked with the stack's own key.
    """
    project, short = Path(), stack.rpartition("/")[2]
    refuse_other_history(approved.binding.base, project)
    try:
        base, head = open_tree(approved.binding.base, project), open_tree(WORK_TREE, project)
    except UsageError as error:
        raise CommandError(str(error), int(Exit.USAGE)) from None
    old, notes = base_of(base, short)
    asked = Asked(short, base, head, time.time(), standing_now(stack), kit_size)
    return review(asked, old, Look(open_selected(stack).market), notes)


def refuse_other_history(base: str, project: Path) -> None:
    """Raise CommandError unless the approved base is a commit that the one at HEAD comes from."""
    words = ["git", "-C", str(project), "merge-base", "--is-ancestor", base, "HEAD"]
    if not COMMIT.fullmatch(base) or subprocess.run(words, capture_output=True, check=False).returncode:
        raise CommandError(
            f"the review was made for {base[:12]}, and the commit at HEAD does not come from it. {NOTHING} If the checkout "
            "is shallow: `git fetch --unshallow`",
            int(Exit.NOT_AS_REVIEWED),
        )


def publish(stack: str, file: Path | None) -> None:
    """Write what runs now. An update has ended by then, so a state that cannot be read is a warning."""
    if file is None:
        return
    try:
        file.write_text(standing_now(stack).to_json())
    except (BackendError, OSError) as error:
        print(f"warning: what runs now was not written to {file}: {error}", file=sys.stderr)


def described(stack: str, outcome: Outcome) -> list[str]:
    """Write the summary."""
    lines = [f"- {_line(one)}" for one in outcome.sentences]
    if outcome.rented:
        lines += columns(TITLES, [_cells(one) for one in outcome.rented])
    if outcome.status == Exit.FINE:
        done = ", ".join(f"{count} {word}" for word, count in outcome.done)
        lines.append(f"Applied to stack {stack} as approved: {done or 'no instance had to change'}.")
    return lines


def _cells(one: Rented) -> tuple[str, ...]:
    prices = (one.charged, one.shown, one.ceiling)
    number = "" if one.instance_id is None else str(one.instance_id)
    return (one.name, number, *("unknown" if price is None else money(price) for price in prices))


def _line(text: str) -> str:
    """Return a sentence as one line: texts of config stand in it, and a log takes some lines for commands."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
