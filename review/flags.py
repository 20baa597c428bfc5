"""Names edits that a review reports but does not act on. Pure.

They change where the program sends keys, which files it reads, and how it keeps secrets.
"""

from collections.abc import Iterator, Mapping

from config.masking import HIDDEN, masked
from config.secret_leaves import leaves
from review.revision import StackRevision

PLACES = (
    ("market", "url"),
    ("market", "hostUrl"),
    ("store", "endpoint"),
    ("store", "hostEndpoint"),
    ("store", "referenceUrl"),
    ("metrics", "url"),
    ("cluster", "apiUrl"),
    ("cluster", "k3s", "url"),
    ("cluster", "backups", "endpoint"),
    ("kubernetes", "kubeconfig"),
    ("controller", "backend"),
)
ADMINS = ("cluster", "adminCidrs")
CLIENTS = (("controller", "kubernetes", "clientNetworks"), ("controller", "kubernetes", "clientNamespaces"))
SENT = "the program sends keys or data there; the review did not act on it"


def flagged(base: StackRevision | None, head: StackRevision) -> tuple[str, ...]:
    """Return a sentence for each such edit."""
    return (*_of_stack(base, head), *_of_engine(base, head), *_of_program(base, head))


def _of_stack(base: StackRevision | None, head: StackRevision) -> Iterator[str]:
    old, new = _values(base), _values(head)
    for place in dict.fromkeys([*old, *new]):
        before, after = old.get(place), new.get(place)
        why = SENT if place in PLACES else _why(place)
        if before != after and why:
            yield f"{'.'.join(place)} {_shown(before, base)} → {_shown(after, head)}: {why}"


def _why(place: tuple[str, ...]) -> str:
    """Return what an edit of a place opens; empty for most."""
    if place[:2] == ADMINS:
        return "from there, SSH and the API of the stack's own cluster are reached"
    if place[:3] in CLIENTS:
        return "from there, the controller's API is reached"
    return "files are uploaded from there" if place[0] == "models" and place[-1] == "source" else ""


def _of_engine(base: StackRevision | None, head: StackRevision) -> Iterator[str]:
    """Yield edits beside config: of the secrets provider, and of what Pulumi.yaml has the engine run."""
    if base is None:
        return
    for key in dict.fromkeys([*base.file.engine, *head.file.engine]):
        if base.file.engine.get(key) != head.file.engine.get(key):
            yield f"{key} of {head.file.path} changes: it decides how the stack's secrets are kept or where values come from"
    for key in dict.fromkeys([*base.file.project, *head.file.project]):
        if base.file.project.get(key) != head.file.project.get(key):
            yield f"{key} of Pulumi.yaml changes: it decides what an update runs, or where"


def _of_program(base: StackRevision | None, head: StackRevision) -> Iterator[str]:
    from review.binding import program_digest  # noqa: PLC0415 -- reads the whole tree

    if base is not None and program_digest(base.tree) != program_digest(head.tree):
        yield "the program itself changes: verdicts are those of the program that runs this review"


def _values(revision: StackRevision | None) -> Mapping[tuple[str, ...], str]:
    if revision is None:
        return {}
    config = revision.config.model_dump(mode="json", by_alias=True, exclude_none=True)
    sections = {
        key: config[key]
        for key in ("market", "store", "metrics", "cluster", "kubernetes", "controller", "models")
        if key in config
    }
    return dict(leaves(sections, ()))


def _shown(value: str | None, revision: StackRevision | None) -> str:
    if not value:
        return "none"
    secret = revision is not None and value in revision.file.secret_leaves.values
    return HIDDEN if secret or value.startswith(HIDDEN) else masked(value)
