"""Instances that show no label. The market leaves one out at times: a row that could be ours is a doubt, and no absence."""

from collections.abc import Callable, Collection, Iterable

from providers.vast.api.instance import Instance
from providers.vast.renting.rent import could_be
from providers.vast.renting.renter import Renter

LOOKS = 4  # at a label that is missing; others on the account may have none for good


def under_label(
    renter: Renter,
    label: str,
    image: str,
    gpu_names: Collection[str],
    say: Callable[[str, str], None],
) -> list[Instance]:
    """Return what carries a label. If nothing does, but an instance without one runs our image on a GPU that we wish for,
    it is looked at some more times before that is believed.
    """
    doubtful: list[Instance] = []
    for look in range(LOOKS):
        found = renter.market.instances(label)
        if found:
            return found
        # What the list just now was made of will do.
        doubtful = _doubtful(renter.market.instances(None, renter.limits.boot_look_seconds), image, gpu_names)
        if not doubtful:
            return []
        if look == 0:
            say("adopt", f"{_told(doubtful)}, and may be ours: looking again before anything is rented")
        if look < LOOKS - 1:
            renter.clock.sleep(renter.limits.look_seconds)
    say("adopt", f"{_told(doubtful)}; it is taken for somebody else's. `gpu-fleet sweep` lists it")
    return []


def _doubtful(rows: Iterable[Instance], image: str, gpu_names: Collection[str]) -> list[Instance]:
    return [row for row in rows if could_be(row, image) and (row.gpu_name is None or row.gpu_name in gpu_names)]


def _told(rows: list[Instance]) -> str:
    return f"instance {', '.join(str(row.id) for row in rows)} shows no label"
