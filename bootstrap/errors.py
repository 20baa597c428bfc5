"""What can go wrong on a host, in two branches that tell the caller what to do.

    BootstrapError
      HostFault            give the instance back, remember the machine, take the next offer
        HostUnreachable      nobody answers on SSH or on the endpoint, within the deadline
        HostKeyMismatch      somebody else answers on SSH
        HostLost             it answered before, and does not any more
        PreflightFailed      the machine is not what was advertised: reason gpu, shm, disk, slow,
                             cpu, memory, clock, system
        FetchFailed          files could not be brought over, or arrived damaged
        StepFailed           a command of ours failed there
        EngineDied           vLLM dies or hangs although nothing is wrong with what we asked for
        GpuUnfit             vLLM cannot serve this on this model of GPU: take another model, or stop
        GateOpen             something is served without a token
        TookTooLong          the time for everything together has passed
      OurFault             give the instance back and stop: every machine would fail the same way
        EngineRefused        vLLM refuses its arguments or the model
        SpecInvalid          what was asked for cannot be: a token, an argument or a variable that is ours to set
        WeightsMissing       the store refuses a blob: not uploaded, or wrong keys
        StoreDown            the store does not answer this machine either, or is too slow for everybody

`reason` is one word out of the ledger's closed list. Messages carry no secret.
"""


class BootstrapError(Exception):
    """Anything that kept a host from serving."""

    reason = "bootstrap"


class HostFault(BootstrapError):
    """The host's fault: another machine may do."""

    reason = "host"


class HostUnreachable(HostFault):
    """Nobody answers, within the deadline."""

    reason = "unreachable"


class HostKeyMismatch(HostFault):
    """The host key is not the one that the instance's log named; nothing was sent to it."""

    reason = "host-key"


class OtherHostKey(HostKeyMismatch):
    """A server shows another SSH key than the pinned one; not even a login was tried."""


class HostLost(HostFault):
    """The connection ended in the middle of work."""

    reason = "lost"


class PreflightFailed(HostFault):
    """The machine is not what was advertised. `mbps`: the download rate in Mb/s, where that was measured; `came_bytes`: what
    the download got before.
    """

    def __init__(self, reason: str, message: str, mbps: float | None = None, came_bytes: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.mbps = mbps
        self.came_bytes = came_bytes


class FetchFailed(HostFault):
    """A file could not be brought over, or arrived damaged. `line`: nothing came over the line, which may be the store's;
    `store_said`: the store itself answered with an error; `came_bytes`: what came before."""

    reason = "fetch"

    def __init__(self, message: str, *, line: bool = False, store_said: bool = False, came_bytes: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.came_bytes = came_bytes
        self.store_said = line and store_said


class StepFailed(HostFault):
    """A command of ours failed on the host; the message ends with its last lines."""

    reason = "step"


class EngineDied(HostFault):
    """vLLM ends or hangs by itself; the message ends with its last lines."""

    reason = "engine"


class GpuUnfit(HostFault):
    """Every GPU of this model would do the same: too little memory (`too_small`; it may be sold in a larger size too), or
    too old. The message ends with vLLM's last lines."""

    reason = "arguments"  # the machine is not to blame, and is rented again for other models

    def __init__(self, message: str, *, too_small: bool = False) -> None:
        super().__init__(message)
        self.too_small = too_small


class GateOpen(HostFault):
    """The endpoint serves somebody without a token."""

    reason = "gate"


class TookTooLong(HostFault):
    """The time for everything together has passed."""

    reason = "time"


class OurFault(BootstrapError):
    """Our fault: no other machine would do."""

    reason = "ours"


class EngineRefused(OurFault):
    """vLLM refuses its arguments or the model; the message ends with its last lines."""

    reason = "arguments"


class WeightsMissing(OurFault):
    """The store refuses a blob that the manifest names."""

    reason = "weights"


class StoreDown(OurFault):
    """The store answers neither the host nor this machine, or is slow for both: no other host would get more from it."""

    reason = "store"


class SpecInvalid(OurFault, ValueError):
    """What a host should become cannot be; found before anything is done."""

    reason = "spec"
