"""Reads which digests the committed files of a checkout name: those of the work tree, of HEAD and of further revisions.

Revisions are read as data, from git's objects. A digest counts in whatever JSON file it stands, so that a manifest that a
later version wrote, or that no stack names at the moment, counts too.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.errors import CommandError
from config.base import PROJECT
from config.dialect import DialectError, read_yaml
from providers.store.unneeded import Named, digests_in
from weights.pinned_caches import pins_file

HEAD = "HEAD"


def named_by_files(project: Path, revisions: Sequence[str]) -> Named:
    """Return the digests that files name, and as troubles each stack file whose manifests cannot be read.

    Raises CommandError for a folder without git, and for a revision that git does not know.
    """
    here = _work_tree(project)
    found = _named(here, here, "the work tree")
    for revision in (HEAD, *revisions):
        found |= _named(_of_revision(project, revision), here, revision)
    return found


def _named(files: Mapping[str, str], here: Mapping[str, str], where: str) -> Named:
    digests = frozenset[str]().union(*(digests_in(text) for path, text in files.items() if path.endswith(".json")))
    troubles = []
    for path, text in files.items():
        if not _is_stack_file(path):
            continue
        try:
            lost = [one for one in manifests_of(text) if one not in files and one not in here]
        except ValueError as error:
            troubles.append(f"{path} of {where} cannot be read: {error}")
        else:
            troubles += [f"{path} of {where} names {one}, and there is no such file" for one in lost]
    return Named(digests, frozenset(), tuple(troubles))


def manifests_of(text: str) -> list[str]:
    """Return the manifests that a stack's file names, as it spells them. Raises ValueError."""
    try:
        document = read_yaml(text) or {}
        models = (document.get("config") or {}).get(f"{PROJECT}:models") or {}
        return [str(Path(str(model["manifest"]))) for model in models.values()]
    except (DialectError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from None


def _work_tree(project: Path) -> dict[str, str]:
    """Return the JSON and stack files on the disk by path: those that git tracks or would track, and manifests in use."""
    listed = _git(project, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.json")
    paths = {path for path in listed.decode(errors="surrogateescape").split("\0") if path}
    stacks = {file.name for file in project.glob("Pulumi.*.yaml")}
    for name in stacks:
        try:
            named = manifests_of((project / name).read_text(errors="replace"))
        except ValueError:
            continue  # told as a trouble
        paths |= {*named, *(str(pins_file(Path(one))) for one in named)}
    files = {path: project / path for path in paths | stacks}
    return {path: file.read_text(errors="replace") for path, file in files.items() if file.is_file()}


def _of_revision(project: Path, revision: str) -> dict[str, str]:
    """Return the JSON and stack files of a revision by path."""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    commit = _git(project, *asked, trouble=f"there is no revision {revision}").decode().strip()
    rows = [
        row.partition("\t") for row in _git(project, "ls-tree", "-r", "-z", commit).decode(errors="replace").split("\0")
    ]
    blobs = {path: facts.split()[2] for facts, _, path in rows if path.endswith(".json") or _is_stack_file(path)}
    answer, place, found = _git(project, "cat-file", "--batch", stdin="\n".join(blobs.values()).encode()), 0, {}
    for path in blobs:
        end = answer.index(b"\n", place)
        begin, size = end + 1, int(answer[place:end].split()[2])
        found[path] = answer[begin : begin + size].decode(errors="replace")
        place = begin + size + 1
    return found


def _is_stack_file(path: str) -> bool:
    return path.startswith("Pulumi.") and path.endswith(".yaml") and path.count(".") > 1


def _git(project: Path, *words: str, stdin: bytes = b"", trouble: str = "") -> bytes:
    command = ["git", "--no-replace-objects", "-C", str(project), *words]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    except OSError as error:
        raise CommandError(f"git cannot be started: {error.strerror}") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or trouble or f"git {words[0]} fails"
        raise CommandError(f"the committed manifests cannot be read: {reason}")
    return done.stdout
