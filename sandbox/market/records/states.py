"""The market's names for an instance's progress, pure: null -> created -> loading -> running, and exited when
stopped.

A first boot pulls the image over the machine's line, unpacks it, and starts the container. The message names one
layer and does not change meanwhile; on a slow line that takes tens of minutes.
"""

from dataclasses import dataclass

from sandbox.market.records.contracts import Contract
from sandbox.market.records.images import image_of
from sandbox.market.records.machines import Machine
from sandbox.market.records.registries import refusal

NO_STATUS_SECONDS, CREATED_SECONDS = 4.0, 10.0  # after the rent: the host knows of the contract, and begins to pull
UNPACK_MBS = 200.0  # one process unpacks one layer after the other
RESTART_SHARE = 0.3  # of the container's start, if the machine has the image already
REBOOTING_SHARE = 0.5  # of a restart, before the container loads
OCI = "OCI runtime create failed"
HOOK = (
    "Error response from daemon: failed to create task for container: failed to create shim task: "
    f"{OCI}: runc create failed: unable to start container process: error during container init: error running "
    "prestart hook #0: exit status 1, stdout: , stderr: nvidia-container-cli: requirement error: unsatisfied "
    "condition: cuda>={cuda:.1f}, please update your driver to a newer version, or use an earlier cuda container: unknown"
)


@dataclass(frozen=True)
class Boot:
    """The duration of each part of a first boot, in market seconds."""

    pull: float
    unpack: float
    start: float

    @property
    def total(self) -> float:
        """The seconds from the rental to a running container."""
        return CREATED_SECONDS + self.pull + self.unpack + self.start


def boot_of(machine: Machine, image: str) -> Boot:
    """Return the boot times of an image on a machine."""
    found = image_of(image)
    pull = found.compressed_gb * 8000 / machine.inet_down
    return Boot(pull, found.unpacked_gb * 1000 / min(UNPACK_MBS, machine.disk_mbs), machine.boot_seconds)


def refused(contract: Contract) -> str:
    """Return docker's error if the image needs a login, or a newer CUDA than the driver supports.

    Otherwise return an empty text.
    """
    if denied := refusal(contract.request.image, contract.request.image_login):
        return denied
    needs = image_of(contract.request.image).cuda
    return HOOK.format(cuda=needs) if needs is not None and needs > contract.machine.cuda else ""


def actual_status(contract: Contract, now: float) -> str | None:
    """Return the container's state; None until the host knows the contract."""
    if contract.phase == "up":
        return "running"
    if contract.phase in ("stopped", "exited"):
        return "exited"
    if contract.phase == "offline":
        return "offline"
    if contract.phase == "failed":
        return "created" if OCI in contract.message else "loading"
    if not contract.first_boot:
        again = "recycling" if contract.host is None else "rebooting"
        return again if now < contract.rebooting_until else "loading"
    passed = now - contract.born
    if passed < NO_STATUS_SECONDS:
        return None
    return "created" if passed < CREATED_SECONDS else "loading"


def status_message(contract: Contract, now: float) -> str | None:
    """Return docker's text, which shows no progress."""
    status = actual_status(contract, now)
    if contract.phase == "failed":
        return contract.message
    if status == "running":
        return f"success, running {contract.request.image}/ssh"
    if status == "created":
        return f"waiting for {contract.request.image}"
    if status != "loading" or not contract.first_boot:
        return None
    boot = boot_of(contract.machine, contract.request.image)
    pulled = contract.born + CREATED_SECONDS + boot.pull
    return f"3f4a5b6c7d8e: {'Pulling fs layer' if now < pulled else 'Extracting'}"
