"""What goes on serving while the resources beside it are replaced, renamed or gone from the program; and how it ends."""

import json
import subprocess

import pytest

from tests.doubles.cloud import Cloud
from tests.doubles.fleet_stack import PATIENT, known, stack, stack_id, want  # noqa: F401 -- fixtures
from tests.doubles.pulumi_stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=4)]


def urn(stack: Stack, kind: str) -> str:  # noqa: F811 -- a fixture's name
    return next(row["urn"] for row in stack.resources() if row["type"].endswith(kind))


def edit(stack: Stack, old: str, new: str) -> None:  # noqa: F811
    program = stack.folder / "__main__.py"
    text = program.read_text()
    assert old in text
    program.write_text(text.replace(old, new))


def test_instances_outlive_the_rentals_and_their_identity_is_not_made_anew(cloud: Cloud, stack: Stack) -> None:  # noqa: F811
    want(cloud, stack, 1, PATIENT)
    stack.up()
    first, own = [row["id"] for row in cloud.rented()], stack_id(stack)
    assert len(first) == 1

    want(cloud, stack, 2, PATIENT)  # what the same update makes stays as well
    kept = stack.up("--replace", urn(stack, "rentals:Rentals"))
    assert "2 instances go on, because a state knows them" in kept.text
    before = [row["id"] for row in cloud.rented()]
    assert (before[:1], len(before)) == (first, 2)

    for command in (stack.preview, stack.up):
        for target in ("**", urn(stack, "identity:Identity")):
            refused = command("--replace", target, check=False)
            assert refused.status != 0
            assert f"({own}) would be made anew" in refused.text
    assert [row["id"] for row in cloud.rented()] == before
    assert stack_id(stack) == own

    edit(stack, '"rentals",', '"rents",')  # a rename
    stack.up()
    assert [row["id"] for row in cloud.rented()] == before

    edit(stack, "rentals = Rentals(", "_off = lambda *_: None\n    rentals = identity\n    _off(")  # an older checkout
    stack.up()
    assert not [row for row in stack.resources() if row["type"].endswith("rentals:Rentals")]
    assert [row["id"] for row in cloud.rented()] == before == sorted(known(stack))

    edit(stack, "_off = lambda *_: None\n    rentals = identity\n    _off(", "rentals = Rentals(")
    stack.up()
    stack.destroy()
    assert cloud.rented() == []


def test_a_state_of_a_later_version_is_previewed_refreshed_and_destroyed(cloud: Cloud, stack: Stack) -> None:  # noqa: F811
    want(cloud, stack, 1, PATIENT)
    stack.up()
    exported = json.loads(stack.call("stack", "export", "--stack", stack.name).stdout)
    for row in exported["deployment"]["resources"]:
        if row["type"].endswith("vast:Instance"):
            for side in ("inputs", "outputs"):
                row[side]["limits"]["idleMinutes"] = 5
                row[side]["server"]["engine"] = {"kind": "later"}
            row["outputs"]["writtenBy"] = "9.1"
    subprocess.run(
        ["pulumi", "stack", "import", "--stack", stack.name],
        cwd=stack.folder,
        env=stack.env,
        input=json.dumps(exported),
        text=True,
        check=True,
        capture_output=True,
    )
    before = [row["id"] for row in cloud.rented()]

    stack.refresh()
    assert list(known(stack)) == before
    assert next(iter(known(stack).values()))["server"]["engine"] == {"kind": "later"}
    config = stack.read_config()
    config["gpu-fleet:limits"] = {**config["gpu-fleet:limits"], "attempts": 2}
    stack.write_config(config)
    told = stack.preview().text + stack.up().text
    assert "written by version 9.1 of this program" in told
    assert "limits.idleMinutes" in told
    assert [row["id"] for row in cloud.rented()] == before
    assert next(iter(known(stack).values()))["writtenBy"] != "9.1"

    stack.destroy()
    assert cloud.rented() == []
