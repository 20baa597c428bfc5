"""Define the errors of a host, in two branches that tell the caller what to do.

    BootstrapError
      HostFault            give the instance back, remember the machine, take the next offer
        HostUnreachable      neither SSH nor the endpoint answers within the deadline
        HostKeyMismatch      another server answers on SSH
        HostLost             the host answered before and does not any more
        PreflightFailed      the machine is not as advertised: reason gpu, shm, disk, slow,
                             cpu, memory, clock, system
        FetchFailed          files did not arrive, or arrived damaged
        StepFailed           a command of ours failed on the host
        EngineDied           vLLM dies or hangs although its arguments and the model are fine
        GpuUnfit             vLLM cannot serve this on this model of GPU: take another model, or stop
        GateOpen             the endpoint serves a client without a token
        EndsItself           the host is ending itself, and nothing is started on it any more
        TookTooLong          the time for all attempts together has passed
      OurFault             give the instance back and stop: every machine would fail the same way
        EngineRefused        vLLM refuses its arguments or the model
        SpecInvalid          the spec is impossible: its token, or an argument or a variable that only we may set
        WeightsMissing       the store refuses a blob: not uploaded, or wrong keys
        StoreDown            the store does not answer this machine either, or is too slow for both

`reason` is one word of the ledger's closed list. Messages carry no secret.
"""


class BootstrapError(Exception):
    """Something kept a host from serving."""

    reason = "bootstrap"


class HostFault(BootstrapError):
    """The host is at fault: another machine may do."""

    reason = "host"


class HostUnreachable(HostFault):
    """The host does not answer within the deadline."""

    reason = "unreachable"


class HostKeyMismatch(HostFault):
    """The host key is not the one in the instance's log; nothing was sent to it."""

    reason = "host-key"


class OtherHostKey(HostKeyMismatch):
    """The SSH server shows another key than the pinned one; we did not try to log in."""


class HostLost(HostFault):
    """The connection ended in the middle of work."""

    reason = "lost"


class PreflightFailed(HostFault):
    """The machine is not as advertised.

    `mbps`: the download rate in Mb/s, None if it was not measured. `came_bytes`: bytes that the download got before.
    """

    def __init__(self, reason: str, message: str, mbps: float | None = None, came_bytes: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.mbps = mbps
        self.came_bytes = came_bytes


class FetchFailed(HostFault):
    """A file did not arrive, or arrived damaged.

    `line`: no bytes came, by a fault of the host's line or the store's. `store_said`: the store answered with an error.
    `came_bytes`: bytes that came before.
    """

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
    """No GPU of this model can serve this: it is too old, or has too little memory (`too_small`).

    The same GPU may also be sold with more memory. The message ends with vLLM's last lines.
    """

    reason = "arguments"  # the machine is not to blame and is rented again for other models

    def __init__(self, message: str, *, too_small: bool = False) -> None:
        super().__init__(message)
        self.too_small = too_small


class GateOpen(HostFault):
    """The endpoint serves a client without a token."""

    reason = "gate"


class EndsItself(HostFault):
    """The host is ending itself, because it was idle or its time is over."""

    reason = "time"  # no machine is to blame


class TookTooLong(HostFault):
    """The time for all attempts together has passed."""

    reason = "time"


class OurFault(BootstrapError):
    """The fault is ours: no other machine would do."""

    reason = "ours"


class EngineRefused(OurFault):
    """vLLM refuses its arguments or the model; the message ends with its last lines."""

    reason = "arguments"


class WeightsMissing(OurFault):
    """The store refuses a blob that the manifest names."""

    reason = "weights"


class StoreDown(OurFault):
    """The store answers neither the host nor this machine, or is slow for both. Another host would fare no better."""

    reason = "store"


class SpecInvalid(OurFault, ValueError):
    """No host can meet the spec, or the CA cannot certify one. The program finds a bad spec before it works on the host."""

    reason = "spec"
