import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from weights.manifest import PART_BYTES, File, Manifest, ManifestError, blob_key, mismatches, of_folder

EMPTY = hashlib.sha256().hexdigest()
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
segments = st.text("abcXYZ019._-+=@,", min_size=1, max_size=8).filter(lambda text: text not in {".", ".."})
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)


@st.composite
def files(draw: st.DrawFn, path: str | None = None) -> File:
    size = draw(st.integers(0, 3 * PART_BYTES))
    count = -(-size // PART_BYTES)
    parts = draw(st.lists(digests, min_size=count, max_size=count))
    whole = {0: EMPTY, 1: parts[0] if parts else ""}.get(count) or draw(digests)
    return File(path=path or draw(paths), size=size, sha256=whole, parts=tuple(parts))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    names = draw(st.lists(segments, min_size=1, max_size=6, unique_by=str.lower))
    return Manifest(name="m", files=tuple(draw(files(f"{index}{name}")) for index, name in enumerate(names)))


@given(manifests())
def test_a_manifest_survives_its_own_json(manifest):
    assert Manifest.from_json(manifest.to_json()) == manifest


@given(manifests())
def test_a_manifest_survives_the_engine_which_makes_numbers_floats(manifest):
    arrived = json.loads(manifest.to_json(), parse_int=float)
    assert Manifest.model_validate(arrived) == manifest


@given(manifests(), st.randoms())
def test_digest_depends_on_the_files_and_not_on_their_order_or_the_name(manifest, random):
    shuffled = list(manifest.files)
    random.shuffle(shuffled)
    assert Manifest(name="other", files=tuple(shuffled)).digest == manifest.digest


@given(manifests(), st.data())
def test_any_other_file_gives_another_digest(manifest, data):
    index = data.draw(st.integers(0, len(manifest.files) - 1))
    changed = data.draw(files(manifest.files[index].path).filter(lambda file: file != manifest.files[index]))
    others = (*manifest.files[:index], changed, *manifest.files[index + 1 :])
    assert Manifest(name="m", files=others).digest != manifest.digest


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a\\b",
        "a\nb",
        'a"b',
        "a b",
        "a$b",
        "~/a?",
        "é",
        "x" * 241,
    ],
)
def test_a_path_that_leaves_the_folder_or_a_shell_would_touch_is_refused(path):
    with pytest.raises(ValidationError, match="path"):
        File(path=path, size=0, sha256=EMPTY, parts=())


@given(files(), st.integers(-3, 3).filter(bool))
def test_a_size_that_its_parts_do_not_fit_is_refused(file, more):
    size = file.size + more * PART_BYTES
    with pytest.raises(ValidationError):
        File(path=file.path, size=size, sha256=file.sha256, parts=file.parts)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "0" * 64 + "\n"])
def test_a_bad_digest_is_refused(digest):
    with pytest.raises(ValidationError, match="sha256"):
        File(path="a", size=1, sha256=digest, parts=("0" * 64,))


def test_a_single_part_with_another_digest_than_the_file_is_refused():
    with pytest.raises(ValidationError, match="one part"):
        File(path="a", size=1, sha256="1" * 64, parts=("0" * 64,))


def test_an_empty_file_with_the_digest_of_something_is_refused():
    with pytest.raises(ValidationError, match="empty"):
        File(path="a", size=0, sha256="1" * 64, parts=())


@pytest.mark.parametrize(("one", "two"), [("a", "a"), ("a", "A"), ("a", "a/b"), ("A/b", "a"), ("a/b/c", "a")])
def test_two_files_that_cannot_lie_side_by_side_are_refused(one, two):
    rows = tuple(File(path=path, size=0, sha256=EMPTY, parts=()) for path in (one, two))
    with pytest.raises(ValidationError, match=r"same file|also the folder"):
        Manifest(name="m", files=rows)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": "m", "files": []}', '{"name": "../m", "files": [], "x": 1}']
)
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(ValueError, match="Manifest"):
        Manifest.from_json(text)


def folder(path: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        target = path / name.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return path


def test_a_folder_is_what_its_manifest_says(tmp_path):
    place = folder(tmp_path, config=b"{}", sub__weights=b"123", empty=b"")
    manifest = of_folder("m", place)
    assert [(file.path, file.size) for file in manifest.files] == [("config", 2), ("empty", 0), ("sub/weights", 3)]
    assert manifest.files[2].sha256 == hashlib.sha256(b"123").hexdigest()
    assert manifest.total_bytes == 5
    assert mismatches(manifest, place) == []


def test_a_large_file_has_a_digest_for_each_part(tmp_path):
    content = bytes(PART_BYTES) + b"tail"
    file = of_folder("m", folder(tmp_path, weights=content)).files[0]
    assert file.parts == tuple(hashlib.sha256(part).hexdigest() for part in (bytes(PART_BYTES), b"tail"))
    assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_every_difference_is_named(tmp_path):
    place = folder(tmp_path, same=b"1", flipped=b"11", longer=b"1", gone=b"1")
    manifest = of_folder("m", place)
    folder(place, flipped=b"12", longer=b"123", new=b"")
    (place / "gone").unlink()
    found = mismatches(manifest, place)
    assert [sentence.split()[0] for sentence in found] == ["new", "flipped", "gone", "longer"]
    assert "another content" in found[1]
    assert "3 bytes, and the manifest says 1" in found[3]


def test_the_quick_look_compares_sizes_only(tmp_path):
    place = folder(tmp_path, flipped=b"11", longer=b"1")
    manifest = of_folder("m", place)
    folder(place, flipped=b"12", longer=b"123")
    assert [sentence.split()[0] for sentence in mismatches(manifest, place, contents=False)] == ["longer"]


def test_hidden_files_are_the_download_tools_own(tmp_path):
    place = folder(tmp_path, weights=b"1")
    manifest = of_folder("m", place)
    folder(place, **{".gitattributes": b"x", ".cache__x": b"y"})
    assert of_folder("m", place) == manifest
    assert mismatches(manifest, place) == []


def test_a_symlink_is_refused_with_advice(tmp_path):
    place = folder(tmp_path / "model", weights=b"1")
    manifest = of_folder("m", place)
    (place / "link").symlink_to("/etc/passwd")
    with pytest.raises(ManifestError, match="link is a symlink"):
        of_folder("m", place)
    assert "symlink" in mismatches(manifest, place)[0]


@pytest.mark.parametrize("name", ["sp ace", "quo'te", "new\nline"])
def test_a_file_name_that_no_manifest_can_carry_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"1")
    with pytest.raises(ManifestError, match="plain relative path"):
        of_folder("m", tmp_path)


def test_a_missing_or_empty_folder_is_said(tmp_path):
    with pytest.raises(ManifestError, match="not a folder"):
        of_folder("m", tmp_path / "none")
    with pytest.raises(ManifestError, match="no files"):
        of_folder("m", tmp_path)


def test_blobs_are_named_by_digest():
    assert blob_key("ab") == "blobs/sha256/ab"
