"""Say what the served models need, what a start of each reads, and which files of their manifests an edit changes. Pure."""

from collections.abc import Iterator, Mapping

from components.requirements import arguments_of
from providers.vast.search.memory_fit import GIB, MIB, Fit
from review.policy import Revision
from review.report import ModelReview
from weights.manifest import Manifest
from weights.model_folder import runs_code
from weights.quantities import StartCost


def models(
    base: Revision | None, head: Revision, kit_bytes: int | None, rooms_mib: Mapping[str, float] | None = None
) -> tuple[ModelReview, ...]:
    """Return a row for each model that a fleet of the head serves; changed ones come first.

    `kit_bytes`: what a start reads besides the weights, None if unknown. `rooms_mib`: memory of the smallest GPU on offer,
    by fleet.
    """
    endpoint = (base or head).config.store.endpoint  # the head's own is never followed, and says nothing of a price
    served = dict.fromkeys(fleet.model for fleet in head.config.fleets.values() if fleet.most)
    found = [_model(name, base, head, kit_bytes, rooms_mib or {}, endpoint) for name in served]
    return tuple(sorted(found, key=lambda one: one.old_digest == one.new_digest))


def _model(
    name: str,
    base: Revision | None,
    head: Revision,
    kit_bytes: int | None,
    rooms_mib: Mapping[str, float],
    endpoint: str,
) -> ModelReview:
    old, new = base.manifests.get(name) if base else None, head.manifests.get(name)
    rooms = [rooms_mib[fleet] for fleet in _fleets(name, head) if fleet in rooms_mib]
    start = StartCost(new.total_bytes + (kit_bytes or 0)) if new else None
    before, after = _digests(old), _digests(new)
    added = tuple(path for path in after if path not in before) if old else ()
    changed = tuple(path for path, digest in after.items() if path in before and before[path] != digest)
    return ModelReview(
        name=name,
        need_gib=_need_gib(name, head, new),
        room_gib=min(rooms) * MIB / GIB if rooms else None,
        start_gb=start.bytes / 1e9 if start and kit_bytes is not None else None,
        bucket_usd=f"{'at least ' if kit_bytes is None else ''}{start.describe(endpoint)}" if start else "",
        old_digest=old.digest if old else None,
        new_digest=new.digest if new else None,
        added=added,
        removed=tuple(path for path in before if path not in after) if new else (),
        changed=changed,
        flagged=tuple(path for path in after if runs_code(path) and before.get(path) != after[path]),
    )


def _fleets(model: str, head: Revision) -> Iterator[str]:
    yield from (name for name, fleet in head.config.fleets.items() if fleet.model == model and fleet.most)


def _need_gib(model: str, head: Revision, manifest: Manifest | None) -> float | None:
    """Return the memory that one GPU needs, in GiB; the most of all fleets that serve the model."""
    needs = []
    for name in _fleets(model, head):
        fleet = head.config.fleets[name]
        fit = Fit.of(manifest.about, arguments_of(fleet, manifest.about), fleet.environment) if manifest else None
        if fit is None:
            return None
        needs.append(fit.need.gpu_bytes / GIB)
    return max(needs, default=None)


def _digests(manifest: Manifest | None) -> Mapping[str, str]:
    return {file.path: file.sha256 for file in manifest.files} if manifest else {}
