"""Handle instances that show no label.

The market leaves a label out at times. A row without one may be ours: that is a doubt, and no proof of absence.
"""

from collections.abc import Collection, Iterable

from bootstrap.services import Progress
from providers.vast.api.instance import Instance
from providers.vast.renting.rent import could_be
from providers.vast.renting.renter import Renter

LOOKS = 4  # at a missing label; other instances of the account may never have one


def under_label(
    renter: Renter,
    label: str,
    image: str,
    gpu_names: Collection[str],
    report_progress: Progress,
) -> list[Instance]:
    """Return the instances with a label.

    If there are none, an instance without a label may be ours: it runs our image on a required GPU. Then the list is
    read again some more times before the absence is believed.
    """
    doubtful: list[Instance] = []
    for look in range(LOOKS):
        found = renter.market.instances(label)
        if found:
            return found
        # The rows that the list was just made of will do.
        doubtful = _doubtful(renter.market.instances(None, renter.limits.boot_look_seconds), image, gpu_names)
        if not doubtful:
            return []
        if look == 0:
            report_progress("adopt", f"{_describe(doubtful)}, and may be ours: looking again before anything is rented")
        if look < LOOKS - 1:
            renter.clock.sleep(renter.limits.look_seconds)
    report_progress("adopt", f"{_describe(doubtful)}; it is taken for somebody else's. `gpu-fleet sweep` lists it")
    return []


def _doubtful(rows: Iterable[Instance], image: str, gpu_names: Collection[str]) -> list[Instance]:
    return [row for row in rows if could_be(row, image) and (row.gpu_name is None or row.gpu_name in gpu_names)]


def _describe(rows: list[Instance]) -> str:
    return f"instance {', '.join(str(row.id) for row in rows)} shows no label"
