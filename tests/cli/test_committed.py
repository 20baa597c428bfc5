"""What a checkout names: its work tree, HEAD and further revisions, read as data."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from cli.committed import manifests_of, named_by_files
from cli.errors import CommandError


def digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.net")
    subprocess.run(["git", "-C", str(place), *who, *words], check=True, capture_output=True)


def write(place: Path, name: str, word: str) -> None:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(json.dumps({"files": [{"sha256": digest(word)}]}))


def stack_file(place: Path, *manifests: str, name: str = "dev") -> None:
    rows = "".join(f"    m{number}: {{manifest: {path}}}\n" for number, path in enumerate(manifests))
    (place / f"Pulumi.{name}.yaml").write_text(f"config:\n  gpu-fleet:models:\n{rows or '    {}'}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout whose project lies in a folder of the repository, with one commit and one branch beside it."""
    git(tmp_path, "init", "-q", "-b", "main")
    place = tmp_path / "project"
    write(place, "models/main.json", "main")
    stack_file(place, "models/main.json")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "main")
    git(tmp_path, "checkout", "-qb", "other")
    write(place, "models/über uns.json", "other")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "other")
    git(tmp_path, "checkout", "-q", "main")
    return place


def test_files_of_the_work_tree_and_of_head_count_and_another_branch_only_if_it_is_named(place: Path) -> None:
    write(place, "models/new.json", "new")
    (place / "models" / "main.json").unlink()
    (place / "Pulumi.dev.yaml").unlink()

    assert named_by_files(place, ()).digests == {digest("main"), digest("new")}
    assert named_by_files(place, ["other"]).digests == {digest("main"), digest("new"), digest("other")}
    assert named_by_files(place, ["other"]).troubles == ()
    assert not (place / "models" / "über uns.json").exists()


def test_a_manifest_that_git_ignores_counts_if_a_stack_names_it(place: Path) -> None:
    (place / ".gitignore").write_text("private/\n")
    write(place, "private/a.json", "ignored")
    write(place, "private/b.json", "ignored and unnamed")
    write(place, "private/a.warm.json", "pinned")
    stack_file(place, "./private/a.json")

    found = named_by_files(place, ())

    assert found.digests == {digest("main"), digest("ignored"), digest("pinned")}
    assert found.troubles == ()


def test_a_stack_file_that_names_no_file_or_is_no_yaml_is_told(place: Path) -> None:
    stack_file(place, "models/gone.json")
    (place / "Pulumi.bad.yaml").write_text("config: [")
    (place / "Pulumi.odd.yaml").write_text("config:\n  gpu-fleet:models: {m: {}}\n")

    troubles = named_by_files(place, ()).troubles

    assert len(troubles) == 3
    assert "Pulumi.dev.yaml of the work tree names models/gone.json, and there is no such file" in troubles
    assert all(any(name in one for one in troubles) for name in ("Pulumi.bad.yaml", "Pulumi.odd.yaml"))


def test_a_stack_file_without_models_names_none() -> None:
    assert manifests_of("config: {}\n") == manifests_of("") == manifests_of("encryptionsalt: v1:x\n") == []
    assert manifests_of("config:\n  gpu-fleet:models:\n    a: {manifest: ./models/a.json}\n") == ["models/a.json"]


@pytest.mark.parametrize("revision", ["nowhere", "--all", "-n1"])
def test_a_revision_that_git_does_not_know_is_named(place: Path, revision: str) -> None:
    with pytest.raises(CommandError, match=f"there is no revision {revision}"):
        named_by_files(place, [revision])


def test_a_folder_without_git_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not a git repository"):
        named_by_files(tmp_path, ())
