"""`gpu-fleet store gc` against a real store: what goes, what stays, and why nothing goes while something is not known."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.context import CommandContext, open_context, read_config
from cli.errors import CommandError
from cli.main import main
from cli.store import Found, described, facts, look
from providers.store.blobs import Blobs
from providers.store.bucket import Bucket
from providers.store.client import Keys
from providers.store.inputs import BlobsInputs, BucketInputs
from providers.store.unneeded import BLOB, DAY, REFERENCE
from providers.store.warm_cache import WarmEntries
from providers.vast.pulumi_state import BLOBS, IDENTITY, INSTANCE, BackendError
from sandbox.services.object_store import REGION
from tests.doubles.clock import FakeClock
from tests.doubles.pulumi_command import path_with_pulumi
from weights.manifest import Manifest, blob_key, of_folder

STACK_ID = "a" * 16
OLD = time.time() + 8 * DAY  # everything in the store is a week old by then
Run = Callable[[Sequence[str]], str]


class Backend:
    """Pulumi's command line over states that a test sets."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.states: dict[str, dict[str, Any] | None] = {"dev": {"resources": [{"type": IDENTITY, "id": STACK_ID}]}}

    def __call__(self, words: Sequence[str]) -> str:
        if words[0] == "config":
            return json.dumps({f"gpu-fleet:{key}": {"value": value} for key, value in self.config.items()})
        if words[:2] == ["stack", "ls"]:
            return json.dumps([{"name": name} for name in self.states])
        assert words[:2] == ["stack", "export"]
        state = self.states[words[-1]]
        if state is None:
            raise BackendError("the checkpoint is corrupt")
        return json.dumps({"deployment": state})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with one committed manifest."""
    place = tmp_path / "checkout"
    (place / "models").mkdir(parents=True)
    git(place, "init", "-q", "-b", "main")
    return place


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.net")
    subprocess.run(["git", "-C", str(place), *who, *words], check=True, capture_output=True)


def commit(place: Path, manifests: dict[str, Manifest]) -> None:
    """Commit a stack file that names manifests, and them."""
    rows = "".join(f"    {name}: {{manifest: models/{name}.json}}\n" for name in manifests)
    (place / "Pulumi.dev.yaml").write_text(f"config:\n  gpu-fleet:models:\n{rows}")
    for name, manifest in manifests.items():
        (place / "models" / f"{name}.json").write_text(manifest.to_json())
    git(place, "add", "-A")
    git(place, "commit", "-qm", "models")


def model(folder: Path, content: str) -> tuple[Path, Manifest]:
    folder.mkdir(parents=True)
    (folder / "weights").write_text(content)
    return folder, of_folder("m", folder)


@pytest.fixture
def backend(store: Any, keys: Keys, name: str) -> Backend:
    place = {"endpoint": store.endpoint, "region": REGION, "bucket": name}
    return Backend(
        {
            "vastApiKey": "key",
            "storeAccessKey": keys.access,
            "storeSecretKey": keys.secret,
            "store": json.dumps(place),
        }
    )


@pytest.fixture
def bucket(s3: Any, bucket_props: dict[str, Any], name: str) -> str:
    Bucket(s3, BucketInputs.from_props(bucket_props), lambda _: None, FakeClock()).ensure()
    return name


@pytest.fixture
def put(s3: Any, store: Any, bucket: str) -> Callable[[str, Path, Manifest], None]:
    """Upload a manifest's blobs as its resource does, with a reference."""

    def upload(owner: str, folder: Path, manifest: Manifest) -> None:
        props = {"endpoint": store.endpoint, "region": REGION, "bucket": bucket, "owner": owner}
        inputs = BlobsInputs.from_props({**props, "manifest": manifest.to_props(), "source": str(folder)})
        Blobs(s3, inputs, lambda _: None, FakeClock()).upload_missing()

    return upload


def context_of(backend: Backend, at: float = OLD) -> CommandContext:
    return replace(open_context("dev", {}, run=backend), clock=At(at))  # type: ignore[arg-type]


class At(FakeClock):
    def __init__(self, at: float) -> None:
        super().__init__()
        self._at = at

    def time(self) -> float:
        return self._at


def found_in(backend: Backend, project: Path, *keep: str, at: float = OLD) -> tuple[Any, Found]:
    context = context_of(backend, at)
    return look(context, read_config(context, None), keep, 7, project, backend)


def keys_of(s3: Any, bucket: str) -> set[str]:
    return {row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]}


def key_of(manifest: Manifest) -> str:
    return blob_key(manifest.files[0].sha256)


def test_what_nothing_names_goes_and_all_else_stays(
    s3: Any, bucket: str, backend: Backend, project: Path, put: Any, tmp_path: Path
) -> None:
    committed, running, branch, gone = (
        model(tmp_path / name, name) for name in ("committed", "running", "branch", "gone")
    )
    commit(project, {"branch": branch[1]})
    git(project, "branch", "other")
    (project / "models" / "branch.json").unlink()
    commit(project, {"committed": committed[1]})
    for owner, (folder, manifest) in {
        "model-a": committed,
        "model-b": running,
        "model-c": branch,
        "model-d": gone,
    }.items():
        put(owner, folder, manifest)
    cache = WarmEntries(s3, bucket, {}).put("b" * 64, 7, b"compiled")
    row = {"type": INSTANCE, "urn": "urn::chat-0", "id": "7", "inputs": {"model": running[1].to_props()}}
    backend.states["slot"] = {"resources": [row]}
    s3.put_object(Bucket=bucket, Key="ledger/2026-01-01/event.json", Body=b"{}")
    before = keys_of(s3, bucket)

    collector, kept_branch = found_in(backend, project, "other")
    assert key_of(branch[1]) not in {one.stored.key for one in kept_branch.unneeded}
    collector, found = found_in(backend, project)
    collector.remove(found.unneeded)

    stale = {f"manifests/model-{letter}.json" for letter in "abcd"}  # no state holds any of these owners
    expected = {key_of(branch[1]), key_of(gone[1]), f"warm/{'b' * 64}/7/{cache}.tar.gz", *stale}
    assert before - keys_of(s3, bucket) == expected
    assert found.troubles == ()
    assert found_in(backend, project)[1].unneeded == []


def test_a_reference_that_a_state_holds_stays_with_its_blobs(
    s3: Any, bucket: str, backend: Backend, project: Path, put: Any, tmp_path: Path
) -> None:
    folder, kit = model(tmp_path / "kit", "kit")
    commit(project, {})
    put("kit", folder, kit)
    inputs = {"owner": "kit", "bucket": bucket, "manifest": kit.to_props()}
    backend.states["dev"]["resources"].append({"type": BLOBS, "urn": "urn::kit", "inputs": inputs})  # type: ignore[index]

    assert found_in(backend, project)[1].unneeded == []


def test_what_is_young_stays(bucket: str, backend: Backend, project: Path, put: Any, tmp_path: Path) -> None:
    commit(project, {})
    put("model-a", *model(tmp_path / "a", "a"))

    _, found = found_in(backend, project, at=time.time() + 6.9 * DAY)

    # The reference is young, so that it names its blob.
    assert (found.unneeded, [one.stays for one in found.judged]) == ([], ["named", "named"])


def test_a_state_that_cannot_be_read_lets_nothing_go(
    bucket: str, backend: Backend, project: Path, put: Any, tmp_path: Path
) -> None:
    commit(project, {})
    put("model-a", *model(tmp_path / "a", "a"))
    backend.states["another"] = None

    _, found = found_in(backend, project)

    assert found.troubles == ("the state of another cannot be read: the checkpoint is corrupt",)
    assert len(found.unneeded) == 2
    assert "Nothing can be removed now: the state of another" in "\n".join(described(found, 7, None))
    assert "--remove" not in "\n".join(described(found, 7, None))


def test_a_bucket_of_another_stack_is_not_looked_through(s3: Any, bucket: str, backend: Backend, project: Path) -> None:
    commit(project, {})
    backend.states["dev"] = {"resources": [{"type": IDENTITY, "id": "b" * 16}]}

    with pytest.raises(CommandError, match="belongs to another stack"):
        found_in(backend, project)


def test_what_changed_since_it_was_listed_stays(
    s3: Any, bucket: str, backend: Backend, project: Path, put: Any, tmp_path: Path
) -> None:
    commit(project, {})
    folder, manifest = model(tmp_path / "a", "a")
    put("model-a", folder, manifest)
    collector, found = found_in(backend, project)
    listed = {one.kind: one for one in found.unneeded}
    before = replace(listed[BLOB].stored, modified=listed[BLOB].stored.modified - 60)  # as if it came anew since

    removed = collector.remove([listed[REFERENCE], replace(listed[BLOB], stored=before)])

    assert [one.key for one in removed] == ["manifests/model-a.json"]
    assert key_of(manifest) in keys_of(s3, bucket)


def test_people_and_programs_read_size_age_and_euros(
    bucket: str, backend: Backend, project: Path, put: Any, tmp_path: Path
) -> None:
    commit(project, {})
    put("model-a", *model(tmp_path / "a", "a"))
    _, found = found_in(backend, project)

    lines = described(found, 7, None)
    assert lines[0].split() == ["what", "key", "size", "age", "EUR", "a", "month"]
    assert lines[1].split()[:2] == ["reference", "manifests/model-a.json"]
    assert lines[1].split()[-1] == "?"  # the price of this store is not known
    assert lines[-1] == "`gpu-fleet store gc --remove` removes them."
    assert described(found, 7, 2)[-1].startswith("Removed 2 of 2 objects of bucket ")
    told = facts(found)
    assert (told["euros_a_month"], told["manifests_of"], len(told["unneeded"])) == (None, ["worktree", "HEAD"], 2)
    assert all(row["age_seconds"] > 7 * DAY for row in told["unneeded"])


def test_the_command_lists_and_removes_nothing_that_is_young(
    s3: Any,
    bucket: str,
    backend: Backend,
    project: Path,
    put: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commit(project, {})
    folder, manifest = model(tmp_path / "a", "a")
    put("model-a", folder, manifest)
    answers = {
        "config": (0, backend(["config"]), ""),
        "stack ls": (0, backend(["stack", "ls"]), ""),
        "stack export": (0, backend(["stack", "export", "dev"]), ""),
    }
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))
    monkeypatch.chdir(project)
    before = keys_of(s3, bucket)

    assert main(["store", "gc", "--stack", "dev", "--keep", "main", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["unneeded"], told["removed"], told["named"], told["troubles"]) == ([], [], 2, [])
    assert main(["store", "gc", "--stack", "dev", "--remove"]) == 0
    assert "Removed 0 of 0 objects" in capsys.readouterr().out
    assert main(["store", "gc", "--stack", "dev", "--keep", "nowhere"]) == 1
    assert "there is no revision nowhere" in capsys.readouterr().err
    (project / "Pulumi.dev.yaml").write_text("config:\n  gpu-fleet:models: {m: {manifest: models/none.json}}\n")
    assert main(["store", "gc", "--stack", "dev", "--remove"]) == 1
    assert "names models/none.json, and there is no such file" in capsys.readouterr().err
    assert keys_of(s3, bucket) == before
