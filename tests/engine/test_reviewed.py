"""A pull request from its first look to what it rents, by the committed workflows: played by act, with the real program, the
real engine, an emulated market and a double of GitHub. Then one that was approved too early, and a night with drift.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.artifact_forge import Artifact, ArtifactForge, artifact_forge
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.documented import REVIEWED, played_by
from tests.doubles.fleet_stack import known, rents
from tests.doubles.forge import TOKEN, ForgeDouble, forge_double
from tests.doubles.pulumi_stack import Stack, environment
from tests.doubles.workflow_player import Player, Run
from tools.machine import paths
from weights.manifest import of_folder

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.deep, pytest.mark.timeout(900)]

NUMBERS = {"resize": 7, "late": 8}


class Real(Player):
    """Plays the workflows on this repository's own files, with the real program in place of its double."""

    def _programs(self) -> None:
        """Put nothing in front of the real programs."""

    def _repository(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPO,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (REPO / name).is_file() and not name.startswith(("tests/", "docs/", "bench/")):
                (self.repository / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPO / name, self.repository / name)
        (self.repository / "Pulumi.local.yaml").unlink()
        self._git("init", "--quiet", "--bare", str(self.origin))
        self._git("init", "--quiet", ".")
        self._git("remote", "add", "origin", str(self.origin))

    def commit(self, message: str) -> str:
        """Commit all and return the commit."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "-m", message)
        return self._git("rev-parse", "HEAD")


@dataclass
class Project:
    """A stack `dev` whose edits are pull requests."""

    player: Real
    stack: Stack
    forge: ArtifactForge
    comments: ForgeDouble
    typed: set[str] = field(default_factory=set)

    def type(self, command: str, ends: Sequence[int] = (0,)) -> str:
        """Type a documented command in the stack's folder; return what it printed."""
        self.typed.add(command)
        environ = self.stack.env | {"VAST_REVIEW_KEY": "sandbox-account-key"}
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.stack.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode in ends, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def edit(self, fleet: str, **keys: Any) -> None:
        """Change keys of a fleet in the work tree."""
        config = self.stack.read_config()
        config["gpu-fleet:fleets"][fleet] |= keys
        self.stack.write_config(config)

    def open(self, branch: str, base: str) -> dict[str, Any]:
        """Push what the work tree holds as a pull request on `base`; return the event."""
        git, number = self.player._git, NUMBERS[branch]
        git("checkout", "--quiet", "-b", branch)
        head = self.player.commit(branch)
        git("checkout", "--quiet", "--detach", base)
        git("merge", "--quiet", "--no-ff", "-m", f"merge {branch}", branch)
        git("push", "--quiet", "origin", f"HEAD:refs/pull/{number}/merge")
        pull = {"number": number, "head": {"sha": head}, "base": {"ref": "main"}}
        return {"action": "opened", "pull_request": pull, "repository": {"full_name": "me/fleet"}}

    def review(self, event: dict[str, Any], main: str) -> dict[str, Any]:
        """Play the review, keep its artifact as the forge would, and return what it says."""
        run = self.player.play("review", "pull_request_target", event, main)
        assert run.status == 0, run.said
        name = f"gpu-fleet-review-dev-{event['pull_request']['head']['sha']}"
        text = run.artifacts[f"{name}/review.json"]
        self.forge.artifacts.append(Artifact(name, {"review.json": text.encode()}))
        return dict(json.loads(text))

    def merge(self, event: dict[str, Any], branch: str, main: str) -> str:
        """Merge a pull request into main; return the commit."""
        git = self.player._git
        git("checkout", "--quiet", "--force", "--detach", main)
        git("merge", "--quiet", "--no-ff", "-m", f"merge {branch} into main", branch)
        commit = git("rev-parse", "HEAD")
        git("push", "--quiet", "origin", "HEAD:refs/heads/main")
        pull = {"merged_at": "2026-12-01", "merge_commit_sha": commit, "head": event["pull_request"]["head"]}
        self.forge.pulls[commit] = [pull]
        return commit

    def apply(self, commit: str) -> Run:
        """Play the apply of a commit on main; keep the record of what runs."""
        run = self.player.play("apply", "push", {"ref": "refs/heads/main"}, commit)
        if text := run.artifacts.get("gpu-fleet-standing-dev/standing.json"):
            self.publish(text)
        return run

    def publish(self, text: str) -> None:
        """Keep a record of what runs, as the newest."""
        created = f"2026-12-01T00:00:{len(self.forge.artifacts):02}Z"
        path = ".github/workflows/apply.yml"
        made = Artifact(
            "gpu-fleet-standing-dev", {"standing.json": text.encode()}, path, "push", "main", created=created
        )
        self.forge.artifacts.append(made)


@pytest.fixture
def project(cloud: Cloud, pulumi_on_path: str, tmp_path: Path) -> Iterator[Project]:
    """A stack with three fleets of one instance each, and two models; nothing is rented yet."""
    act = paths.find(REPO, os.environ).workflows_bin / "act"
    if not act.is_file():
        pytest.skip("no act here: `python3 -m tools.setup --parts workflows` builds one")
    env = environment(tmp_path / "engine", pulumi_on_path)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    secrets = {
        "GITHUB_TOKEN": TOKEN,
        "GPU_FLEET_REVIEW_MARKET_KEY": "sandbox-account-key",
        "PULUMI_CONFIG_PASSPHRASE": env["PULUMI_CONFIG_PASSPHRASE"],
    }
    with artifact_forge() as forge, forge_double() as comments:
        forge.beside, forge.token = comments.url, TOKEN
        player = Real(tmp_path / "played", act, secrets, forge.url)
        player.settings = {
            "XDG_CACHE_HOME": cache,
            "GITHUB_GRAPHQL_URL": f"{comments.url}/graphql",
            "TMPDIR": str(tmp_path),
        }
        player.variables = {"GPU_FLEET_STACKS": '["dev"]', "PULUMI_BACKEND_URL": env["PULUMI_BACKEND_URL"]}
        player.deadline = 400
        stack = Stack(player.repository, "dev", env)
        (player.repository / ".venv").symlink_to(REPO / ".venv")
        stack.call("stack", "init", "dev")
        stack.write_config(config_of(cloud, player.repository, tmp_path))
        yield Project(player, stack, forge, comments)
        stack.close()


def config_of(cloud: Cloud, repository: Path, folder: Path) -> dict[str, Any]:
    """Return the config of the stack, and write the manifest of its second model."""
    other = folder / "weights" / "other"
    shutil.copytree(REPO / "models" / "tiny", other)
    (other / "README.md").write_text("another model\n")
    manifest = of_folder("tiny", other)
    (repository / "models" / "other.json").write_text(manifest.model_dump_json(indent=2) + "\n")
    config = cloud.stack_config(replicas=1, gpu={"name": ["RTX 3090"]})
    config["gpu-fleet:models"] = {
        "tiny": {"manifest": "models/tiny.json", "source": str(REPO / "models" / "tiny")},
        "other": {"manifest": "models/other.json", "source": str(other)},
    }
    chat = config["gpu-fleet:fleets"]["chat"]
    config["gpu-fleet:fleets"] = {name: json.loads(json.dumps(chat)) for name in ("chat", "batch", "rerank")}
    return config


def test_an_edit_is_shown_approved_applied_and_a_late_one_refused(project: Project, cloud: Cloud) -> None:
    player, stack = project.player, project.stack
    base = player.commit("three fleets")
    player._git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    stack.up()
    project.publish(gpu_fleet(stack, "standing"))
    before, ids = rents(cloud), {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}
    assert sorted(ids) == ["batch-0", "chat-0", "rerank-0"]

    # A pull request that resizes one fleet, swaps a model and changes a GPU wish; and one beside it.
    project.edit("chat", replicas=2)
    project.edit("batch", model="other")
    project.edit("rerank", gpu={"name": ["RTX 4090"]})
    told = project.type("gpu-fleet review --stack dev --base main --head worktree", (0, 2))
    assert "rerank-0" in told
    resize = project.open("resize", base)
    player._git("checkout", "--quiet", "--force", "--detach", base)
    project.edit("chat", maxUsdPerHour=0.49)
    late = project.open("late", base)
    shown = project.review(resize, base)
    early = project.review(late, base)

    assert {row["name"]: row["action"] for row in shown["instances"]} == {
        "chat-0": "unchanged",
        "chat-1": "rented",
        "batch-0": "in place",
        "rerank-0": "another machine",
    }
    (comment,) = project.comments.bodies(7)
    assert comment == shown["comment"]
    assert comment.splitlines()[0] == "<!-- gpu-fleet review dev -->"
    assert "replicas `1` → `2`" in comment
    assert "gpu.name" in comment
    assert early["verdict"] in ("fine", "warns")
    assert rents(cloud) == before, "a review rents nothing"

    merged = project.merge(resize, "resize", base)
    run = project.apply(merged)

    assert run.status == 0, run.said
    assert rents(cloud) == before + 2
    after = {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}
    assert sorted(after) == ["batch-0", "chat-0", "chat-1", "rerank-0"]
    paid = {str(row["name"]): float(row["chargedUsdPerHour"]) for row in known(stack).values()}
    assert {name for name in ids if after[name] != ids[name]} == {"rerank-0"}
    prices = {row["name"]: row["usdPerHour"] for row in shown["instances"]}
    for name in ("chat-1", "rerank-0"):
        assert f"{name} " in run.said
        assert prices[name]["then"] <= prices[name]["ceiling"]
        assert paid[name] <= prices[name]["then"] * 1.02, "within 2% of what was shown"
    assert "Applied to stack dev as approved" in run.said

    # The other one was approved on the base before: the merge is clean, and what it would do was never shown.
    count = rents(cloud)
    run = project.apply(project.merge(late, "late", merged))

    assert run.status != 0
    assert "exit status 3" in run.said or "exitcode '3'" in run.said, run.said
    assert "The config to apply has another digest than the approved one" in run.said
    assert rents(cloud) == count
    assert {row["id"] for row in cloud.rented()} == set(after.values())

    # The same by hand: an edit of nothing is applied as nothing.
    player._git("checkout", "--quiet", "--force", "-B", "main", merged)
    project.type("gpu-fleet standing --stack dev --out standing.json")
    reviewed = "gpu-fleet review --stack dev --base main --head HEAD --standing standing.json --json > review.json"
    project.type(reviewed, (0, 2))
    told = project.type("gpu-fleet apply --stack dev --reviewed review.json")
    assert "Applied to stack dev as approved: no instance had to change" in told
    assert rents(cloud) == count

    cloud.sandbox.market.destroy(after["chat-0"])
    run = player.play("drift", "schedule", {"ref": "refs/heads/main"}, merged)

    assert run.status != 0
    assert "chat-0" in run.said
    assert "the market lists it no more" in run.said
    assert "exit status 7" in run.said or "exitcode '7'" in run.said, run.said
    assert rents(cloud) == count
    assert "chat-0" in project.type("gpu-fleet drift --stack dev", (7,))
    assert project.typed == played_by(REVIEWED)
    for value in (player.secrets["PULUMI_CONFIG_PASSPHRASE"] + "\n", "sandbox-account-key", "sandbox-secret-key"):
        assert value not in comment
    player._git("checkout", "--quiet", "--force", "--detach", merged)
    stack.destroy()
    assert cloud.rented() == []


def gpu_fleet(stack: Stack, *words: str) -> str:
    """Run the command in the stack's folder; return what it printed."""
    done = subprocess.run(
        ["gpu-fleet", *words, "--stack", stack.name],
        cwd=stack.folder,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
