import json
from pathlib import Path

import pytest

from cli.main import main as gpu_fleet
from tests.doubles.model_folder import make_model
from weights.manifest import Manifest, of_folder
from weights.model_folder import INDEX


def main(words: list[str]) -> int:
    return gpu_fleet(["manifest", *words])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make_model(tmp_path / "model")


def test_it_writes_what_the_folder_is(folder, tmp_path, capsys):
    out = tmp_path / "models" / "small.json"
    assert main([str(folder), "--name", "small", "--out", str(out)]) == 0
    made = Manifest.from_json(out.read_text())
    assert made.files == of_folder("small", folder).files
    assert made.about
    assert made.about.layers == 2
    told = capsys.readouterr().out
    assert "5 files" in told
    assert "LlamaForCausalLM, 50 parameters in F16" in told
    assert main([str(folder), "--check", str(out)]) == 0


def test_the_default_is_models_and_the_folders_name(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["model"]) == 0
    assert Manifest.from_json((tmp_path / "models" / "model.json").read_text()).name == "model"


def test_a_difference_is_named_and_is_a_failure(folder, tmp_path, capsys):
    out = tmp_path / "m.json"
    main([str(folder), "--name", "small", "--out", str(out)])
    before = out.read_text()
    (folder / "tokenizer.json").write_bytes(b"[]")
    assert main([str(folder), "--check", str(out)]) == 1
    assert "tokenizer.json has the right size but another content" in capsys.readouterr().err
    assert out.read_text() == before


def test_what_does_not_belong_is_refused_and_may_be_allowed(folder, tmp_path, capsys):
    out = tmp_path / "m.json"
    (folder / "pytorch_model.bin").write_bytes(b"x")
    (folder / "notes.docx").write_bytes(b"x")
    assert main([str(folder), "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert "pytorch_model.bin can run code" in told
    assert "notes.docx is nothing that vLLM loads" in told
    assert not out.exists()
    assert main([str(folder), "--out", str(out), "--allow", "*.bin", "--allow", "*.docx"]) == 0


def test_a_missing_shard_is_refused(folder, tmp_path, capsys):
    (folder / "model-2.safetensors").unlink()
    assert main([str(folder), "--out", str(tmp_path / "m.json")]) == 1
    assert f"model-2.safetensors is named by {INDEX}" in capsys.readouterr().err


def test_a_symlink_out_of_the_folder_is_refused(folder, tmp_path, capsys):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to(tmp_path / "elsewhere")
    assert main([str(folder), "--out", str(tmp_path / "m.json")]) == 1
    assert "is a symlink" in capsys.readouterr().err


def test_an_interrupted_run_does_not_read_again_what_it_had(folder, tmp_path, monkeypatch):
    out = tmp_path / "m.json"
    assert main([str(folder), "--out", str(out)]) == 0
    (folder / "tokenizer.json").write_text(json.dumps({"other": 1}))
    read: list[str] = []
    true_open = Path.open

    def spy(path: Path, *arguments, **options):
        if path.parent == folder and arguments[:1] == ("rb",):
            read.append(path.name)
        return true_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", spy)
    monkeypatch.setattr("weights.model_folder.header", lambda _path: {})
    assert main([str(folder), "--out", str(out)]) == 0
    assert set(read) == {"tokenizer.json"}
    assert Manifest.from_json(out.read_text()).files == of_folder("m", folder).files


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x", "files": [{"path": "../x"}]}'])
def test_what_is_no_manifest_is_said(folder, tmp_path, capsys, text):
    (tmp_path / "m.json").write_text(text)
    assert main([str(folder), "--check", str(tmp_path / "m.json")]) == 1
    assert "is not a manifest" in capsys.readouterr().err


def test_a_folder_that_is_none_is_said(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert "is not a folder" in capsys.readouterr().err
    assert not Path("models/none.json").exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("params.json", "consolidated.safetensors", "tekken.json"), "This is Mistral's own format"),
        (("model-Q4_K_M.gguf",), "This is a GGUF model"),
        (("adapter_config.json", "adapter_model.safetensors"), "This is a LoRA adapter"),
    ],
)
def test_other_forms_of_models_are_named(tmp_path, capsys, files, said):
    folder = tmp_path / "other"
    folder.mkdir()
    for file in files:
        (folder / file).write_text("{}")

    assert main([str(folder), "--out", str(tmp_path / "m.json")]) == 1

    assert said in capsys.readouterr().err
    assert not (tmp_path / "m.json").exists()


def test_a_model_of_an_unknown_kind_gets_a_manifest_without_the_estimate(folder, tmp_path, capsys):
    (folder / "config.json").write_text('{"architectures": ["New"], "model_type": "new"}')
    out = tmp_path / "m.json"

    assert main([str(folder), "--out", str(out)]) == 0

    assert Manifest.from_json(out.read_text()).about is None
    assert "fit unknown" in capsys.readouterr().out
