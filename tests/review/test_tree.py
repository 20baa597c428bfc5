"""A revision's files are data: read from git's objects, and never from outside the project."""

import pytest

from review.tree import MOST_BYTES, UnfitFile, UsageError, git_digest, inside, open_tree
from tests.doubles.reviewed_repository import SCRIPT, Repository


def test_a_commit_and_the_work_tree_have_the_same_files(repository: Repository) -> None:
    commit = repository.commit()
    old, new = open_tree(commit, repository.folder), open_tree("worktree", repository.folder)

    assert old.below(["bootstrap", "models", "__main__.py"]) == new.below(["bootstrap", "models", "__main__.py"])
    assert old.below(["bootstrap"])[SCRIPT].executable
    assert old.text("requirements.txt") == new.text("./requirements.txt")
    assert (old.commit, new.commit) == (commit, "worktree")


def test_the_work_tree_is_read_as_it_is_and_a_commit_as_it_was(repository: Repository) -> None:
    commit = repository.commit()
    repository.write("requirements.txt", "later\n")

    assert open_tree(commit, repository.folder).text("requirements.txt") != "later\n"
    assert open_tree("worktree", repository.folder).text("requirements.txt") == "later\n"


def test_several_contents_come_in_one_answer_whatever_is_in_them(repository: Repository) -> None:
    repository.write("a.txt", "")
    repository.write("b.txt", "one\ntwo\n\n")
    repository.write("c.txt", "\n0123456789012345678901234567890123456789 blob 4\n")
    tree = open_tree(repository.commit(), repository.folder)

    assert tree.contents(["c.txt", "a.txt", "b.txt"]) == {
        "c.txt": b"\n0123456789012345678901234567890123456789 blob 4\n",
        "a.txt": b"",
        "b.txt": b"one\ntwo\n\n",
    }


@pytest.mark.parametrize("path", ["../secret", "models/../../secret", "/etc/passwd", "", ".", "a\0b"])
def test_no_path_leaves_the_project(path: str, repository: Repository) -> None:
    (repository.folder.parent / "secret").write_text("of somebody else")
    for revision in (repository.commit(), "worktree"):
        tree = open_tree(revision, repository.folder)
        assert inside(path) is None
        assert not tree.has(path)
        with pytest.raises(UnfitFile):
            tree.text(path)


def test_links_are_no_files(repository: Repository) -> None:
    (repository.folder.parent / "secret").write_text("of somebody else")
    (repository.folder / "models" / "link.json").symlink_to("../../secret")
    (repository.folder / "up").symlink_to("..")
    for revision in (repository.commit(), "worktree"):
        tree = open_tree(revision, repository.folder)
        assert not tree.has("models/link.json")
        assert not tree.has("up/secret")
        assert "models/link.json" not in tree.below(["models"])


def test_a_huge_file_and_a_file_that_is_no_text_are_not_read(repository: Repository) -> None:
    (repository.folder / "huge").write_bytes(bytes(MOST_BYTES + 1))
    (repository.folder / "binary").write_bytes(b"\xff\xfe")
    for revision in (repository.commit(), "worktree"):
        tree = open_tree(revision, repository.folder)
        with pytest.raises(UnfitFile, match="at most"):
            tree.text("huge")
        with pytest.raises(UnfitFile, match="no text"):
            tree.text("binary")


@pytest.mark.parametrize("revision", ["nowhere", "--help", "-1", "HEAD:models", "HEAD..HEAD", ""])
def test_an_unknown_revision_is_a_wrong_call(revision: str, repository: Repository) -> None:
    repository.commit()
    with pytest.raises(UsageError, match="is no revision"):
        open_tree(revision, repository.folder)


def test_outside_of_a_repository_is_a_wrong_call(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="in no git repository"):
        open_tree("HEAD", tmp_path)


def test_the_digest_is_git_s(repository: Repository) -> None:
    repository.write("a.txt", "hello\n")
    assert git_digest(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert open_tree(repository.commit(), repository.folder).below(["a.txt"])["a.txt"].digest == git_digest(b"hello\n")
