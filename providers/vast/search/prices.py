"""All-in prices of an offer: GPUs, disk, and downloads spread over the expected hours; pure."""

from providers.ledger.machine_history import NOTHING, MachineHistory
from providers.vast.api.offer import Offer
from providers.vast.search import start_time
from providers.vast.search.requirements import Requirements

HOURS_A_MONTH = 720  # the market's own month for storage prices: GB x cost / 30 / 24


def usd_per_hour(offer: Offer, requirements: Requirements) -> float:
    """Return the all-in $/h: GPUs, disk, and the weights' download spread over the instance's expected hours."""
    download = traffic_usd(offer, requirements) / requirements.expected_hours
    return charged_usd_per_hour(offer, requirements) + download


def charged_usd_per_hour(offer: Offer, requirements: Requirements) -> float:
    """Return $/h as the market charges a running instance: GPUs and disk, without traffic."""
    return offer.dph_base + disk_usd_per_hour(offer, requirements)


def traffic_usd(offer: Offer, requirements: Requirements) -> float:
    """Return $ for the traffic of the weights' download, which is paid once."""
    return requirements.weights_gb * offer.inet_down_cost


def disk_usd_per_hour(offer: Offer, requirements: Requirements) -> float:
    """Return $/h of the disk, the only hourly cost of an instance before it runs."""
    return requirements.disk_gb * offer.storage_cost / HOURS_A_MONTH


def image_usd(offer: Offer, requirements: Requirements) -> float:
    """Return $ for the traffic of the image pull."""
    return requirements.image_gb * offer.inet_down_cost


def expected_usd_per_hour(offer: Offer, requirements: Requirements, record: MachineHistory = NOTHING) -> float:
    """Return $ for one working hour: the all-in price plus the costs of start and failure, spread over working hours.

    While the image loads, we pay for disk and image traffic. While the weights download, the instance runs at full
    price. Our own measurements of the machine count more than its advertised values.
    """
    mbps = record.believed_mbps(offer.inet_down)
    boot = record.believed_boot_seconds(start_time.pull_seconds(requirements.image_gb, mbps))
    loads = disk_usd_per_hour(offer, requirements) * boot / 3600 + image_usd(offer, requirements)
    runs = usd_per_hour(offer, requirements) * start_time.transfer_seconds(requirements.weights_gb, mbps) / 3600
    works = max(record.believed_reliability(offer.reliable), 0.01)
    return (usd_per_hour(offer, requirements) + (loads + runs) / requirements.expected_hours) / works
