"""Corrects the old settings of an instance by those that state records: the base branch may not be applied yet. Pure."""

from collections.abc import Mapping

from providers.vast.changes import Changes
from providers.vast.settings import InstanceSettings
from review.marks import GROUPS, marks_of
from review.standing import Recorded, wishes_of
from weights.manifest import Manifest


def as_recorded(
    old: InstanceSettings, new: InstanceSettings, recorded: Recorded | None, kit: str
) -> tuple[InstanceSettings, Changes]:
    """Return the settings that state records, as far as `old` and `new` can say them, and what differs from both.

    `old`: by the base branch; `new`: by the head; `kit`: the digest of the kit as last applied, empty if unknown.
    """
    lacking = Changes()
    old = old.model_copy(update={"kit": _known(kit, old.kit, new.kit, "kit", lacking)})
    if recorded is None:
        return old, lacking
    server = {"image": recorded.image, "model_name": recorded.model}
    access = {"certificate_epoch": recorded.certificate_epoch}
    old = old.model_copy(
        update={
            "requirements": wishes_of(recorded) or old.requirements,
            "disk_gb": recorded.disk_gb,
            "model": _known(recorded.model_digest, old.model, new.model, "model", lacking),
            "server": old.server.model_copy(update=server),
            "access": old.access.model_copy(update=access),
        }
    )
    return _with_groups(old, new, recorded.marks, lacking), lacking


def _known(digest: str, old: Manifest, new: Manifest, key: str, lacking: Changes) -> Manifest:
    """Return the manifest with a digest; the new one if neither has it, and note the key."""
    if digest in ("", old.digest):
        return old
    if digest != new.digest:
        lacking.in_place.append(key)
    return new


def _with_groups(
    old: InstanceSettings, new: InstanceSettings, recorded: Mapping[str, str], lacking: Changes
) -> InstanceSettings:
    before, after = marks_of(old), marks_of(new)
    for name, group in GROUPS.items():
        mark = recorded.get(name)
        if mark is None or mark == before[name]:
            continue
        old = group.moved(old, new)
        if mark != after[name]:
            {"replace": lacking.replace, "in place": lacking.in_place, "recorded": lacking.recorded}[group.does].append(
                group.rule
            )
    return old
