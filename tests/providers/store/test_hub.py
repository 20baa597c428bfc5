"""A model is taken from a hub as it was pinned, without what vLLM does not load, and is what the hub's digests say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from tests.doubles.hub import SHA, FakeHub, running_hub
from tests.doubles.model_folder import make_model, safetensors
from weights.hub import Hub, HubFile, fetch, needed
from weights.manifest import Manifest, ManifestError, of_folder
from weights.model_folder import CODE, INDEX

pytestmark = pytest.mark.service

REPO = "meta-test/Small-1B"
TOKEN = "hf_" + "s" * 34


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    original = make_model(tmp_path / "original")
    contents = {path.name: path.read_bytes() for path in original.iterdir()}
    unwanted = {
        "pytorch_model.bin": b"pickle" * 30,
        "modeling.py": b"import os",
        "original/consolidated.00.pth": b"pickle",
        "original/params.json": b"{}",
        "consolidated.safetensors": b"x" * 500,
        "params.json": b"{}",
        ".gitattributes": b"* lfs",
        "picture.png": b"png",
    }
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with running_hub(FakeHub(REPO, {**contents, **unwanted})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def take(*more: str) -> int:
    return main(["manifest", "--from-hub", REPO, "--revision", SHA, *more])


def test_what_vllm_loads_is_taken_and_its_source_is_recorded(hub: FakeHub, tmp_path: Path) -> None:
    assert take() == 0

    made = Manifest.from_json((tmp_path / "models" / "small-1b.json").read_text())
    assert made.files == of_folder("original", tmp_path / "original").files
    assert made.source is not None
    assert (made.source.repo, made.source.revision) == (REPO, SHA)
    assert made.about is not None
    assert not any("pytorch_model" in path or "modeling" in path for _, path, _, _ in hub.asked)


def test_a_second_run_downloads_nothing(hub: FakeHub) -> None:
    assert take() == 0
    before = len(hub.downloads("model-1.safetensors"))

    assert take() == 0

    assert len(hub.downloads("model-1.safetensors")) == before == 1


def test_a_download_that_breaks_goes_on_where_it_was(hub: FakeHub) -> None:
    size = 24_000_000  # the library writes ten megabytes at a time
    hub.contents["model-2.safetensors"] = safetensors({"c": ("F16", [size // 2], size)})
    hub.cut["model-2.safetensors"] = 1

    assert take() == 0 or take() == 0

    first, second = hub.downloads("model-2.safetensors")
    assert (first, second) == ("", f"bytes={10 * 2**20}-")


@pytest.mark.parametrize("name", ["model-1.safetensors", "tokenizer.json"])
def test_what_arrives_damaged_is_removed_and_taken_again(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    content = hub.contents[name]
    hub.lies[name] = content[:-1] + bytes([content[-1] ^ 1])

    assert take() == 1

    assert f"{name} in " in capsys.readouterr().err
    assert not (tmp_path / "models" / "small-1b" / name).exists()
    assert not (tmp_path / "models" / "small-1b.json").exists()
    hub.lies.clear()
    assert take() == 0


def test_a_gated_model_is_opened_by_the_token_which_stays_nowhere(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.gated, hub.token = True, TOKEN
    assert take() == 1
    assert "is gated. Accept its licence" in capsys.readouterr().err

    monkeypatch.setenv("HF_TOKEN", TOKEN[:-1] + "x")
    assert take() == 1
    printed = capsys.readouterr()
    assert "HF_TOKEN does not open it" in printed.err

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert take() == 0

    after = capsys.readouterr()
    assert TOKEN[:-1] not in printed.out + printed.err + after.out + after.err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(TOKEN[:-1].encode() in path.read_bytes() for path in written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from-hub", "meta-test/Nothing", "--revision", SHA], "There is no model meta-test/Nothing at http"),
        (["--from-hub", REPO, "--revision", "b" * 40], f"{REPO} has no revision bbbb"),
        (["--from-hub", REPO, "--revision", "main"], f"main is a branch or a tag(.|\n)*--revision {SHA}"),
        (["--from-hub", REPO], f"No --revision is given(.|\n)*--revision {SHA}"),
        (["--from-hub", "a/b/c/d", "--revision", SHA], "no name of a repository"),
    ],
)
def test_what_cannot_be_taken_is_said(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["manifest", *arguments]) == 1

    assert re.search(message, capsys.readouterr().err)


def test_a_hub_that_is_not_there_is_said(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert take() == 1

    assert "http://127.0.0.1:9 could not be read" in capsys.readouterr().err


def test_a_disk_without_room_is_said_before_anything_large_is_downloaded(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has 50 bytes free"):
        fetch(Hub(hub.url, ""), REPO, SHA, tmp_path / "full", lambda _: 50)

    assert hub.downloads("model-1.safetensors") == []


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"model-Q4.gguf": b"GGUF"}, "holds GGUF files"),
        ({"adapter_config.json": b"{}", "adapter_model.bin": b"x"}, "is a LoRA adapter"),
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, "as pickles only"),
        ({"README.md": b"x"}, "no safetensors files"),
    ],
)
def test_other_forms_of_models_are_named(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], contents: dict[str, bytes], message: str
) -> None:
    hub.contents = contents

    assert take() == 1

    assert message in capsys.readouterr().err


def test_manifests_without_a_source_are_read_and_written_as_before(tmp_path: Path) -> None:
    made = of_folder("small", make_model(tmp_path / "model"))

    assert "source" not in json.loads(made.to_json())
    assert Manifest.from_json(made.to_json()) == made


names = st.from_regex(r"(original/|\.)?[a-z]{1,8}\.(safetensors|bin|py|json|pth|md|png|model)", fullmatch=True)


@given(st.sets(names | st.sampled_from(["model.safetensors", INDEX])), st.none() | st.frozensets(names))
def test_neither_code_nor_folders_nor_weights_beside_the_index_are_needed(
    paths: set[str], shards: frozenset[str] | None
) -> None:
    there = {path: HubFile(path, 1, "", None) for path in paths}

    wanted = needed(there, shards)

    assert set(wanted) <= paths
    assert not any("/" in path or path.startswith(".") for path in wanted)
    assert not any(path.endswith(pattern.removeprefix("*")) for path in wanted for pattern in CODE)
    assert all(path in shards for path in wanted if path.endswith(".safetensors") and shards is not None)
    assert INDEX not in paths or shards is None or INDEX in wanted


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(Hub.of({"HF_TOKEN": TOKEN}))
    assert Hub.of({"HF_ENDPOINT": "https://hub.example/"}).endpoint == "https://hub.example"
