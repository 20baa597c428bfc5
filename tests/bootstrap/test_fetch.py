"""The fetch script as it runs on a host: parts held to their digests, and each refusal with its own number."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.range_store import Store, entry, fetch, store

__all__ = ["store"]  # the fixture


def test_files_arrive_whole_and_only_under_their_final_name(store: Store, tmp_path: Path) -> None:
    files = [
        entry(store, "a.bin", os.urandom(3500)),
        entry(store, "deep/b.bin", os.urandom(10)),
        entry(store, "e", b""),
    ]

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert {file["path"]: (tmp_path / "model" / file["path"]).read_bytes() for file in files} == store.blobs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.verified"]
    assert json.loads(done.stdout)["bytes"] == 3510
    assert "secret" not in done.stdout + done.stderr


def test_a_folder_that_was_changed_is_mended_part_by_part(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(3500)), entry(store, "b.bin", os.urandom(10))]
    fetch(tmp_path / "model", files)
    store.requests.clear()
    with (tmp_path / "model/a.bin").open("r+b") as stream:
        stream.seek(1500)
        stream.write(b"other")
    (tmp_path / "model/stranger").mkdir()
    (tmp_path / "model/stranger/file").write_text("not in the manifest")

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert store.requests == ["bytes=1000-1999"]
    assert (tmp_path / "model/a.bin").read_bytes() == store.blobs["a.bin"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["a.bin", "b.bin"]


def test_a_damaged_part_is_fetched_again_alone(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(5000))]
    store.spoil["a.bin"] = 1

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model/a.bin").read_bytes() == store.blobs["a.bin"]
    assert len(store.requests) == 6


def test_good_parts_of_an_earlier_try_are_kept(store: Store, tmp_path: Path) -> None:
    data = os.urandom(4000)
    files = [entry(store, "a.bin", data)]
    (tmp_path / "model.part").mkdir()
    (tmp_path / "model.part/a.bin").write_bytes(data[:2000] + b"\0" * 2000)

    done = fetch(tmp_path / "model", files)

    assert json.loads(done.stdout)["kept"] == 2000
    assert (tmp_path / "model/a.bin").read_bytes() == data


@pytest.mark.parametrize(
    ("prepare", "status", "says"),
    [
        (lambda store: store.spoil.update({"a.bin": 99}), 3, "in the manifest"),
        (lambda store: store.blobs.clear(), 4, "answers 404"),
        (lambda store: setattr(store, "status", 403), 4, "answers 403"),
        (lambda store: setattr(store, "status", 500), 6, "a.bin"),
    ],
)
def test_each_refusal_has_its_number_and_leaves_nothing_under_the_final_name(
    store: Store, tmp_path: Path, prepare: Any, status: int, says: str
) -> None:
    files = [entry(store, "a.bin", os.urandom(500))]
    prepare(store)

    done = fetch(tmp_path / "model", files)

    assert done.returncode == status
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "model").exists()


def test_missing_space_is_said_before_anything_is_fetched(store: Store, tmp_path: Path) -> None:
    file = entry(store, "a.bin", b"x")
    file["size"] = 2**60

    done = fetch(tmp_path / "model", [file])

    assert done.returncode == 5
    assert "are free" in done.stderr
    assert store.requests == []
