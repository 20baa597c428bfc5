"""Report in the preview how a start goes: memory fit, needs of image and weights, and the time of the download."""

from collections.abc import Sequence

from providers.progress import print_progress
from providers.vast.api.offer import Offer
from providers.vast.search import start_time
from providers.vast.search.serving_options import is_spread
from providers.vast.settings import GB, InstanceSettings


def report_plan(settings: InstanceSettings, offers: Sequence[Offer]) -> None:
    """Report, once for each fleet, how the model fits the GPUs on offer, and how much a start downloads."""
    if settings.fit:
        sizes = sorted({round(offer.gpu_ram / 1024) for offer in offers})
        print_progress(
            f"{settings.name}  fit  the model {settings.fit.need.describe()}; the GPUs on offer have "
            f"{' or '.join(map(str, sizes))} GiB"
        )
        for sentence in settings.fit.doubts(settings.requirements.gpu_count):
            print_progress(f"{settings.name}  fit  {sentence}")
        if any(settings.fit.may_be_too_small(offer.gpu_ram) for offer in offers):
            print_progress(
                f"{settings.name}  fit  some GPUs on offer may be too small; they are tried after the others"
            )
    else:
        print_progress(
            f"{settings.name}  fit unknown: the model's manifest does not say what it is, so memory is not looked at; "
            "gpu.ramGb sets a bound"
        )
        count = settings.requirements.gpu_count
        if count > 1 and not is_spread(settings.server.arguments):
            print_progress(
                f"{settings.name}  fit unknown: vLLM uses 1 of the {count} GPUs that are paid for; to use them all, give "
                f"--tensor-parallel-size={count} in vllmArguments"
            )
    needs = settings.needs
    if needs.cuda is None:
        print_progress(
            f"{settings.name}  image  nothing is known of the CUDA that {settings.server.image} needs; "
            "any driver will do, unless minCuda is set"
        )
    elif needs.cuda:
        capability = f", compute capability {needs.capability / 100:g} ({needs.why})" if needs.capability else ""
        print_progress(f"{settings.name}  image  drivers for CUDA {needs.cuda:g} and newer are asked for{capability}")
    print_progress(f"{settings.name}  fetch weights  {settings.start_cost.describe(settings.store.endpoint)}")
    weights_gb, image_gb = settings.start_cost.bytes / GB, start_time.image_gb(settings.server.image)
    total = settings.to_limits().total_seconds
    late = start_time.too_late(
        weights_gb, settings.requirements.download_mbps, image_gb, settings.market.time_scale, total
    )
    if late:
        print_progress(f"{settings.name}  wait  {late}")
