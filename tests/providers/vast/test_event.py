"""Events: their keys sort by time and can be read back, and their lists of words are closed and complete."""

import ast
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from providers.ledger.event import Event, KeyParts, Outcome, Reason, parse, parse_key

REPO = Path(__file__).resolve().parents[3]
PLACES = ("bootstrap", "providers/vast")
RAISERS = {"PreflightFailed": 0, "Failed": 0, "RentalFailed": 1}  # which argument is the reason

moments = st.floats(0, 4_000_000_000)
events = st.builds(
    Event,
    at=moments,
    stack_id=st.from_regex(r"[a-z2-7]{16}", fullmatch=True),
    name=st.from_regex(r"[a-z][a-z0-9-]{0,30}-[0-9]{1,3}", fullmatch=True),
    attempt=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    step=st.integers(1, 99),
    outcome=st.sampled_from(Outcome),
    reason=st.none() | st.sampled_from(Reason),
    message=st.text(max_size=50),
)


def reasons_in_code() -> dict[str, str]:
    """Every word that some code gives as a reason, with the place where it stands."""
    found = {}
    for file in (file for place in PLACES for file in (REPO / place).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            for word in words_of(node):
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    found[word.value] = f"{file.relative_to(REPO)}:{word.lineno}"
    return found


def words_of(node: ast.AST) -> list[ast.expr]:
    """What a class sets as its `reason`, and what a call that takes a reason is given."""
    if isinstance(node, ast.ClassDef):
        assigned = [row for row in node.body if isinstance(row, ast.Assign)]
        return [row.value for row in assigned if ast.unparse(row.targets[0]) == "reason"]
    if isinstance(node, ast.Call):
        where = RAISERS.get(ast.unparse(node.func).rpartition(".")[2])
        return node.args[where : where + 1] if where is not None else []
    return []


def test_every_reason_that_code_gives_is_in_the_closed_list() -> None:
    known = {reason.value for reason in Reason}
    found = reasons_in_code()

    assert {"gpu", "boot", "unreachable", "arguments", "stopped", "surplus", "slow"} <= set(found)
    assert {word: place for word, place in found.items() if word not in known} == {}


@given(events)
def test_an_event_and_its_key_survive_the_way_through_text(event: Event) -> None:
    assert parse(event.model_dump_json()) == event
    assert parse_key(event.key) == KeyParts(
        day=event.key[:10], stack_id=event.stack_id, name=event.name, outcome=event.outcome
    )


@given(events, moments)
def test_keys_sort_by_time(event: Event, later: float) -> None:
    other = event.model_copy(update={"at": later})

    assert (other.key < event.key) <= (other.at <= event.at)


@given(events)
def test_an_event_of_a_later_version_is_left_aside_and_not_misread(event: Event) -> None:
    assert parse(event.model_copy(update={"version": 2}).model_dump_json()) is None


@given(st.text(max_size=80))
def test_nonsense_is_no_event_and_no_key(text: str) -> None:
    assert parse(text) is None
    assert parse_key(text) is None
