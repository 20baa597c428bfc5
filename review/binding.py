"""Digests to which an approval is bound: of the stack's config, of the manifests, and of the program. Pure."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from review.report import Binding
from review.revision import StackRevision
from review.stack_file import PROJECT_FILE
from review.tree import Tree
from weights.pinned_caches import pins_file

# What `up` runs. Tests, benches, docs and the sandbox are no part of it.
PROGRAM = (
    "__main__.py",
    "requirements.txt",
    "bootstrap",
    "cli",
    "components",
    "config",
    "controller",
    "monitoring",
    "providers",
    "review",
    "weights",
)


def binding_of(base: Tree, head: StackRevision, at: float) -> Binding:
    """Return the revisions, digests and bounds that an approval of the head holds for. `at`: unix seconds."""
    return Binding(
        base=base.commit,
        head=head.tree.commit,
        config=config_digest(head),
        manifests=manifests_digest(head),
        program=program_digest(head.tree),
        at=at,
    )


def config_digest(revision: StackRevision) -> str:
    """Return the digest of the stack's file and of Pulumi.yaml."""
    return _digest([revision.file.path, PROJECT_FILE], revision.tree)


def manifests_digest(revision: StackRevision) -> str:
    """Return the digest of the manifests and pins of all models that a fleet serves."""
    manifests = [revision.config.models[name].manifest for name in revision.models]
    return _digest([*manifests, *(str(pins_file(Path(one))) for one in manifests)], revision.tree)


def program_digest(tree: Tree) -> str:
    """Return the digest of the program's files."""
    rows = [f"{path} {entry.digest} {entry.executable}" for path, entry in tree.below(PROGRAM).items()]
    return hashlib.sha256("\n".join(sorted(rows)).encode(errors="surrogateescape")).hexdigest()


def _digest(paths: Iterable[str], tree: Tree) -> str:
    found = hashlib.sha256()
    for path in sorted(set(paths)):
        if tree.has(path):
            content = hashlib.sha256(tree.contents([path])[path]).hexdigest()
            found.update(f"{path} {content}\n".encode(errors="surrogateescape"))
    return found.hexdigest()
