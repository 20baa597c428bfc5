"""The market's words for how far an instance is, pure: null -> created -> loading -> running, and exited when stopped."""

from sandbox.market.contracts import Contract

# Parts of the boot time after which the host knows of the contract, and pulls the image.
CREATED_AFTER = 0.05
LOADING_AFTER = 0.15


def actual_status(contract: Contract, now: float) -> str | None:
    """Return the container's state; None while the host has not been told."""
    if contract.phase == "up":
        return "running"
    if contract.phase in ("stopped", "exited"):
        return "exited"
    if contract.phase == "offline":
        return "offline"
    if contract.phase == "failed" or not contract.first_boot:
        return "loading"
    passed = (now - contract.born) / max(contract.due - contract.born, 1e-9)
    if passed < CREATED_AFTER:
        return None
    return "created" if passed < LOADING_AFTER else "loading"


def status_message(contract: Contract, now: float) -> str | None:
    """Return docker's text, which has no progress in it."""
    status = actual_status(contract, now)
    if contract.phase == "failed":
        return contract.message
    if status == "running":
        return f"success, running {contract.request.image}/ssh"
    return "3f4a5b6c7d8e: Pulling fs layer" if status == "loading" else None
