from pathlib import Path

import pytest

from bootstrap.manifest import Manifest
from providers.store.manifest import main


def test_it_writes_what_the_folder_is(folder, manifest, tmp_path, capsys):
    out = tmp_path / "models" / "small.json"
    assert main([str(folder), "--name", "small", "--out", str(out)]) == 0
    assert Manifest.from_json(out.read_text()) == manifest
    assert "3 files" in capsys.readouterr().out
    assert main([str(folder), "--check", str(out)]) == 0


def test_the_default_is_models_and_the_folders_name(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["model"]) == 0
    assert Manifest.from_json((tmp_path / "models" / "model.json").read_text()).name == "model"


def test_a_difference_is_named_and_is_a_failure(folder, tmp_path, capsys):
    out = tmp_path / "m.json"
    main([str(folder), "--name", "small", "--out", str(out)])
    before = out.read_text()
    (folder / "config.json").write_bytes(b"[]")
    assert main([str(folder), "--check", str(out)]) == 1
    assert "config.json has the right size but another content" in capsys.readouterr().err
    assert out.read_text() == before


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x", "files": [{"path": "../x"}]}'])
def test_what_is_no_manifest_is_said(folder, tmp_path, capsys, text):
    (tmp_path / "m.json").write_text(text)
    assert main([str(folder), "--check", str(tmp_path / "m.json")]) == 1
    assert "is not a manifest" in capsys.readouterr().err


def test_a_folder_that_is_none_is_said(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert "is not a folder" in capsys.readouterr().err
    assert not Path("models/none.json").exists()
