"""docs/operating.md, followed: each case is made to happen, and its commands are run as they stand in the page."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.doubles.cloud import ACCOUNT_KEY, REPO, Cloud
from tests.doubles.fleet_stack import stack_id, stack_of_its_own
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=6)]

PAGE = (REPO / "docs" / "operating.md").read_text()


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack whose config wants one instance; nothing is rented afterwards, whatever happened."""
    with stack_of_its_own(cloud, engine) as made:
        made.write_config(cloud.stack_config())
        yield made


def blocks(case: str) -> list[list[str]]:
    """The code blocks below a heading of the page, as commands."""
    found = re.search(rf"^## {re.escape(case)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/operating.md has no case {case!r}"
    chunks = re.findall(r"(?:^    \S.*\n)+", found[1], re.MULTILINE)
    return [[line.partition(" #")[0].strip() for line in chunk.splitlines()] for chunk in chunks]


def follow(stack: Stack, commands: list[str], text: str = "", **env: str) -> str:
    """Run commands as somebody would who says yes to everything; `text` is typed in. Returns all that they print."""
    told = ""
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=stack.folder,
            env={**stack.env, "PULUMI_SKIP_CONFIRMATIONS": "true", **env},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        told += f"$ {command}\n{done.stdout}{done.stderr}"
        assert done.returncode in (0, 2) if "sweep" in command else done.returncode == 0, told
    return told


def kill_everything(stack: Stack, phase: str) -> None:
    """`kill -9` of the engine and of every plugin, once a phase is through."""
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    Lines(child).wait_for(f"chat-0  {phase}  ")
    plugins = descendants(child.pid)
    for process in [child.pid, *(plugin.pid for plugin in plugins)]:
        os.kill(process, signal.SIGKILL)
    until(lambda: not [plugin for plugin in plugins if plugin.alive()], "every plugin to end", 30)


@pytest.mark.rotating(of=1)
def test_the_page_has_no_case_that_is_not_followed() -> None:
    cases = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)

    assert cases == [
        "The update was killed",
        "The stack is locked",
        "A rent is refused because of the budget",  # by test_budget
        "Giving back was not confirmed",
        "The market does not answer",
        "A machine is down",
        "A host ended itself",  # by test_own_end
        "No credit",
        "The market's key was revoked",
        "The key is of another account",
        "Renting is stopped",
        "The state is broken or lost",
        "Pulumi says `failed to load checkpoint: EOF` after a kill",
        "Slots are to end, or their controller is dead",  # by test_slots
        "A change failed in the middle of a fleet",
        "Certificates end soon",  # by test_renewal
        "One machine is to go",
        "Another version wrote the state, or a resource is to be made anew",  # followed in test_kept.py
    ]


def test_the_update_was_killed_and_goes_on(cloud: Cloud, stack: Stack) -> None:
    kill_everything(stack, "connect")
    before = [row["id"] for row in cloud.rented()]
    assert len(before) == 1

    told = follow(stack, blocks("The update was killed")[0])

    assert [row["id"] for row in cloud.rented()] == before
    assert "1 known" in told
    assert not stack.state().get("pending_operations")
    assert "interrupted while creating" not in stack.destroy().text


def test_the_update_was_killed_and_the_fleet_is_not_wanted(cloud: Cloud, stack: Stack) -> None:
    kill_everything(stack, "wait")
    assert len(cloud.rented()) == 1

    told = follow(stack, [*blocks("The update was killed")[1], *blocks("The update was killed")[2]])

    assert cloud.rented() == []
    assert not {"resources", "pending_operations"} & {key for key, value in stack.state().items() if value}
    assert "interrupted while creating" not in told


def test_the_stack_is_locked(cloud: Cloud, stack: Stack) -> None:
    kill_everything(stack, "rent")
    assert "the stack is currently locked by 1 lock(s)" in stack.up(check=False).text

    follow(stack, blocks("The stack is locked")[0])

    assert len(cloud.rented()) == 1
    stack.destroy()


def test_giving_back_was_not_confirmed(cloud: Cloud, stack: Stack) -> None:
    stack.up()
    cloud.sandbox.arm("key-revoked")
    refused = stack.destroy(check=False)
    assert refused.status != 0
    assert "MAY STILL BE RENTED at $" in refused.text
    assert len(cloud.rented()) == 1
    cloud.sandbox.disarm("key-revoked")

    follow(stack, blocks("Giving back was not confirmed")[0])

    assert cloud.rented() == []
    assert stack.resources() == []


def test_the_market_does_not_answer(cloud: Cloud, stack: Stack) -> None:
    config = cloud.stack_config()
    config["gpu-fleet:limits"] = {**config["gpu-fleet:limits"], "totalMinutes": 0.7}
    stack.write_config(config)
    cloud.sandbox.arm("api-down", call="logs", seconds=100_000)
    left = stack.up(check=False)
    assert left.status != 0
    assert "asking again for" in left.text
    assert "IS STILL RENTED at $" in left.text
    assert len(cloud.rented()) == 1
    cloud.sandbox.disarm("api-down")

    told = follow(stack, blocks("The market does not answer")[0])

    # With so little time the instance's own timer may end it before it is taken over; one serves in the end, never two.
    assert "probe  https://" in told
    assert len(cloud.rented()) == 1
    stack.destroy()


def test_no_credit(cloud: Cloud, stack: Stack) -> None:
    cloud.arm("no-credit")
    refused = stack.up(check=False)
    assert refused.status != 0
    assert re.search("vast.ai refuses to rent: .*credit", refused.text)
    assert cloud.rented() == []

    follow(stack, blocks("No credit")[0])

    assert len(cloud.rented()) == 1
    stack.destroy()


def test_the_key_was_revoked(cloud: Cloud, stack: Stack) -> None:
    stack.up()
    before = [row["id"] for row in cloud.rented()]
    stack.config(secret={"gpu-fleet:vastApiKey": "revoked"})
    assert "vast.ai does not accept the key" in stack.refresh(check=False).text

    follow(stack, blocks("The market's key was revoked")[0], text=ACCOUNT_KEY)

    assert [row["id"] for row in cloud.rented()] == before
    stack.destroy()


def test_the_key_is_of_another_account(cloud: Cloud, stack: Stack) -> None:
    stack.up()
    before = [row["id"] for row in cloud.rented()]
    scopes = ["misc", "instance_read", "instance_write", "user_read"]
    stack.config(secret={"gpu-fleet:vastApiKey": cloud.sandbox.make_key(scopes, "team")})
    for command in (stack.preview, stack.refresh, stack.up, stack.destroy):
        refused = command(check=False)
        assert refused.status != 0
        assert "account 4712 (team)" in refused.text
        assert "Traceback" not in refused.text
    assert [row["id"] for row in cloud.rented()] == before
    sweep = subprocess.run(
        [sys.executable, "-m", "providers.vast", "sweep"],
        cwd=stack.folder,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (sweep.returncode, "account 4712 (team)" in sweep.stderr) == (1, True)

    follow(stack, blocks("The key is of another account")[0], text=cloud.sandbox.make_key(scopes))

    assert [row["id"] for row in cloud.rented()] == before
    stack.destroy()
    assert cloud.rented() == []


def test_renting_is_stopped(cloud: Cloud, stack: Stack) -> None:
    config = cloud.stack_config()
    config["gpu-fleet:limits"] = {**config["gpu-fleet:limits"], "rentsPerHour": 1}
    config["gpu-fleet:market"]["timeScale"] = (
        10  # or the hour would be over before a slow machine comes to the next rent
    )
    stack.write_config(config)
    stack.up()
    config["gpu-fleet:fleets"]["chat"]["replicas"] = 2
    stack.write_config(config)
    refused = stack.up(check=False)
    assert "instances were rented within an hour, and gpu-fleet:limits.rentsPerHour allows 1" in refused.text
    assert len(cloud.rented()) == 1

    told = follow(stack, blocks("Renting is stopped")[0])

    assert "served   after" in told
    assert len(cloud.rented()) == 2
    stack.destroy()


def test_the_state_is_lost(cloud: Cloud, stack: Stack) -> None:
    stack.up()
    own = stack_id(stack)
    file = stack.folder.parent / "backend" / ".pulumi" / "stacks" / "gpu-fleet" / f"{stack.name}.json"
    assert file.with_suffix(".json.bak").exists()
    file.write_text("{ broken")

    told = follow(stack, blocks("The state is broken or lost")[0], STACK_ID=own)

    assert "cannot be read" in told
    assert f"gpu-fleet/{own}/chat-0" in told
    assert cloud.rented() == []


@pytest.mark.rotating(of=1)
def test_a_kill_left_an_empty_file_beside_the_state(stack: Stack) -> None:
    backend = stack.folder.parent / "backend"
    beside = backend / ".pulumi" / "stacks" / "gpu-fleet" / f"{stack.name}.json.attrs"
    assert not beside.exists()  # the engine writes none here
    beside.touch()
    broken = stack.preview(check=False)
    assert broken.status != 0
    assert "failed to load checkpoint: EOF" in broken.text

    follow(stack, blocks("Pulumi says `failed to load checkpoint: EOF` after a kill")[0], FOLDER=str(backend))

    stack.preview()


def test_a_change_failed_in_the_middle_of_a_fleet(cloud: Cloud, stack: Stack) -> None:
    config = cloud.stack_config(replicas=2)
    stack.write_config(config)
    stack.up()
    before = {row["id"] for row in cloud.rented()}
    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = ["--max-model-len", "99999999"]
    stack.write_config(config)
    failed = stack.up(check=False)
    assert "it is left as it is, because chat-" in failed.text
    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = ["--max-model-len", "128"]
    stack.write_config(config)

    told = follow(stack, blocks("A change failed in the middle of a fleet")[0])

    assert "chat-0  change  in place" in told
    assert "chat-1  change  in place" in told
    assert {row["id"] for row in cloud.rented()} == before
    assert "unchanged" in stack.up("--expect-no-changes").text
    stack.destroy()


def test_one_machine_is_to_go(cloud: Cloud, stack: Stack) -> None:
    stack.write_config(cloud.stack_config(replicas=2))
    stack.up()
    before = {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}

    told = follow(stack, blocks("One machine is to go")[0])

    after = {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}
    assert set(after) == {"chat-0", "chat-2"}, told
    assert after["chat-0"] == before["chat-0"]
    assert set(stack.outputs()["endpoints"]) == {"chat-0", "chat-2"}
    stack.destroy()
