"""The identity under the real engine: made once, renewed in place, and nothing secret readable in the stack's state."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from providers.identity.state import SECRETS
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = pytest.mark.engine

REPO = Path(__file__).resolve().parents[2]
PROGRAM = """
    import pulumi
    from providers.identity.resource import Identity

    config = pulumi.Config()
    own = pulumi.ResourceOptions(provider=pulumi.ProviderResource("pulumi-python", "identity", {}))
    identity = Identity("identity", {"rotation": config.require_object("rotation")}, own)
    pulumi.export("stackId", identity.stackId)
    pulumi.export("sshPublicKey", identity.sshPublicKey)
    pulumi.export("secrets", {name: getattr(identity, name) for name in SECRETS})
    """
SEALED = "4dabf18193072939515e22adb298388d"  # Pulumi's mark of a secret in state


@pytest.fixture
def stack(engine: Engine, tmp_path: Path) -> Stack:
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(textwrap.dedent(PROGRAM).replace("in SECRETS", f"in {SECRETS!r}"))
    for room in ("providers", "bootstrap", "config", "weights"):
        (program / room).symlink_to(REPO / room)
    stack = engine.stack(program, "identity", project="gpu-fleet")
    stack.config({"rotation.ssh": "0"})
    return stack


def identity_of(stack: Stack) -> dict[str, Any]:
    (row,) = [row for row in stack.resources() if row["type"] == "pulumi-python:dynamic/identity:Identity"]
    return row


def test_the_whole_life_of_an_identity(stack: Stack) -> None:
    stack.up()
    made = stack.outputs()
    row, state = identity_of(stack), json.dumps(stack.state())

    assert row["id"] == made["stackId"]
    assert {name for name, value in row["outputs"].items() if SEALED in str(value)} == set(SECRETS)
    assert [name for name, value in made["secrets"].items() if value and json.dumps(value)[1:-1] in state] == []
    assert "PRIVATE KEY" not in state
    stack.up("--expect-no-changes")
    stack.refresh("--expect-no-changes")

    stack.config({"rotation.ssh": "1"})
    assert "1 updated" in stack.up().text
    renewed = stack.outputs()

    assert renewed["stackId"] == made["stackId"]
    assert renewed["sshPublicKey"] != made["sshPublicKey"]
    assert renewed["secrets"]["previousSshPrivateKey"] == made["secrets"]["sshPrivateKey"]
    assert {name: renewed["secrets"][name] for name in ("caKey", "tokenSecret")} == {
        name: made["secrets"][name] for name in ("caKey", "tokenSecret")
    }
    assert "PRIVATE KEY" not in json.dumps(stack.state())

    stack.destroy()
    assert stack.resources() == []
