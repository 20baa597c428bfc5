"""Describe the attempts of one create, the step after each failure, and the reason for its end."""

from dataclasses import dataclass

from bootstrap.errors import EngineRefused, GpuUnfit, HostFault
from providers.ledger.event import Reason
from providers.ledger.recorder import reason_of
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.limits import Limits
from providers.vast.search.unfit_gpus import UnfitGpus


@dataclass(frozen=True)
class Failure:
    """One failed attempt: the machine, the reason, and a message for the operator."""

    instance_id: int | None
    machine_id: int | None
    reason: str
    message: str


def record_failure(
    failures: list[Failure],
    fault: HostFault | errors.RentalFailed,
    instance_id: int,
    machine_id: int | None,
    over: bool,
) -> HostFault | errors.RentalFailed:
    """Record the failure of an attempt, and return its error.

    If our own deadline was `over`, the returned error blames no machine. An apparent fault of the machine may then come
    from our deadline: a phase cut short, or a last try without time.
    """
    error = fault
    if over and reason_of(fault).blames_machine:
        error = errors.RentalFailed(instance_id, Reason.TIME.value, f"{fault}; {errors.TIME_OVER}")
    failures.append(Failure(instance_id, machine_id, reason_of(error).value, str(error)))
    return error


def next_step(
    error: Exception, failures: list[Failure], gpus: UnfitGpus, rented: Offer | Instance | None, name: str
) -> tuple[str, EngineRefused | errors.ImageRefused | None]:
    """Describe the next step after the last failure, that of the `rented` machine.

    Also returns the error that ends the create, if no further machine would help. From now on, leaves out a GPU type
    that is unfit.
    """
    if isinstance(error, GpuUnfit):
        gpus.add(rented, error)
        return gpus.following(), None if gpus.left else gpus.refused(name, describe_attempts(failures))
    last = failures[-1]
    if last.reason == Reason.OURS.value:
        return "no machine would do better", errors.ImageMissing(last.instance_id or 0, last.message)
    # On one machine alone, the landlord's own login may be bad.
    refused = {one.machine_id for one in failures[:-1] if one.reason == Reason.REGISTRY.value} - {last.machine_id, None}
    if last.reason == Reason.REGISTRY.value and refused:
        return "no further machine is tried", errors.ImageRefused(last.instance_id or 0, last.message)
    return "trying the next offer", None


def describe_attempts(failures: list[Failure]) -> list[str]:
    """Describe the earlier attempts, one line each."""
    return [
        f"Tried before: {failure.message}"
        if failure.instance_id is None or failure.message.startswith(f"instance {failure.instance_id}: ")
        else f"Tried before: instance {failure.instance_id}: {failure.message}"
        for failure in failures
    ]


def attempts_exhausted(name: str, failures: list[Failure], limits: Limits) -> errors.AttemptsExhausted:
    """Return the error of a create that has no attempt or no time left."""
    last = failures[-1].instance_id if failures else None
    spent = f"{len(failures)} of {limits.attempts} attempts in at most {limits.total_seconds / 60:.0f} min"
    return errors.AttemptsExhausted(
        last or 0,
        failures[-1].reason if failures else "time",
        "\n".join(
            [
                f"{name} did not come online ({spent}); everything was given back.",
                *describe_attempts(failures),
                "Run `pulumi up` again to try other machines, or tighten the requirements that the failures name.",
            ]
        ),
    )


def abandoned(instance_id: int, usd_per_hour: float | None, why: object) -> str:
    """Describe an instance that is being given back, in case its process ends before the confirmation.

    Names its cost, and the command to run if giving back fails.
    """
    return (
        f"instance {instance_id} at {errors.format_price(usd_per_hour)}: {why}. If no line says `confirm gone`, run "
        f"`pulumi up`, which goes on with it, or end it with `vastai destroy instance {instance_id} -y`"
    )
