"""Generates the landlords' machines from a seed, with the spread that the market shows.

None of them is a real machine. The same seed makes the same machines on every computer.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Gpu:
    """A GPU model as the market lists it. `price`: range in $/h for one; `ram_mb` as drivers report it."""

    name: str
    ram_mb: int
    price: tuple[float, float]
    capability: int
    bandwidth_gbs: float
    watts: int
    weight: int
    teraflops: float


LOOPBACK = "127.0.0.1"
GPUS: Sequence[Gpu] = (
    Gpu("RTX 4090", 24564, (0.25, 0.60), 890, 1008.0, 450, 90, 82.6),
    Gpu("RTX 3090", 24576, (0.10, 0.30), 860, 936.0, 350, 60, 35.6),
    Gpu("RTX 5090", 32607, (0.35, 0.95), 1200, 1792.0, 575, 40, 104.8),
    Gpu("RTX A6000", 49140, (0.35, 0.80), 860, 768.0, 300, 20, 38.7),
    Gpu("RTX 6000Ada", 49140, (0.55, 1.10), 890, 960.0, 300, 15, 91.1),
    Gpu("A100 SXM4", 81920, (0.70, 1.60), 800, 2039.0, 400, 20, 19.5),
    Gpu("A100 PCIE", 81920, (0.60, 1.40), 800, 1935.0, 300, 12, 19.5),
    Gpu("H100 SXM", 81559, (1.60, 3.00), 900, 3350.0, 700, 20, 66.9),
    Gpu("H200", 143771, (2.10, 3.80), 900, 4800.0, 700, 8, 66.9),
    Gpu("L40S", 46068, (0.45, 1.05), 890, 864.0, 350, 12, 91.6),
    Gpu("L4", 23034, (0.18, 0.45), 890, 300.0, 72, 8, 30.3),
    Gpu("RTX 4060 Ti", 16380, (0.07, 0.18), 890, 288.0, 165, 15, 22.1),
)
# Rare cards, one machine of each: market and driver spell their names differently, or they look like others.
# Append new ones: then a seed makes the same machines as before, and one more.
RARE: Sequence[Gpu] = (
    Gpu("RTX 4080S", 16376, (0.16, 0.35), 890, 736.0, 320, 0, 52.2),
    Gpu("RTX 4070S", 12282, (0.10, 0.22), 890, 504.0, 220, 0, 35.5),
    Gpu("RTX 4070S Ti", 16376, (0.12, 0.28), 890, 672.0, 285, 0, 44.1),
    Gpu("RTX 4070 Ti", 12282, (0.10, 0.25), 890, 504.0, 285, 0, 40.1),
    Gpu("RTX 4070", 12282, (0.09, 0.20), 890, 504.0, 200, 0, 29.1),
    Gpu("RTX 4080", 16376, (0.15, 0.33), 890, 717.0, 320, 0, 48.7),
    Gpu("RTX 4080 laptop", 12282, (0.10, 0.20), 890, 432.0, 150, 0, 24.7),
    Gpu("RTX 4090D", 24564, (0.24, 0.55), 890, 1008.0, 425, 0, 73.5),
    Gpu("RTX 2060S", 8192, (0.04, 0.10), 750, 448.0, 175, 0, 7.2),
    Gpu("RTX 2070S", 8192, (0.05, 0.11), 750, 448.0, 215, 0, 9.1),
    Gpu("RTX 2080S", 8192, (0.06, 0.12), 750, 496.0, 250, 0, 11.2),
    Gpu("RTX 2080 Ti", 11264, (0.07, 0.15), 750, 616.0, 250, 0, 13.4),
    Gpu("RTX 3080", 10240, (0.08, 0.16), 860, 760.0, 320, 0, 29.8),
    Gpu("RTX 3080 Ti", 12288, (0.09, 0.18), 860, 912.0, 350, 0, 34.1),
    Gpu("RTX 4000Ada", 20475, (0.15, 0.35), 890, 360.0, 130, 0, 26.7),
    Gpu("RTX 4500Ada", 24570, (0.20, 0.45), 890, 432.0, 210, 0, 39.6),
    Gpu("RTX 5000Ada", 32760, (0.35, 0.70), 890, 576.0, 250, 0, 65.3),
    Gpu("RTX 5880Ada", 49140, (0.40, 0.80), 890, 960.0, 285, 0, 69.3),
    Gpu("RTX PRO 6000 WS", 97887, (0.85, 1.60), 1200, 1792.0, 600, 0, 125.0),
    Gpu("RTX PRO 6000 S", 97887, (0.80, 1.60), 1200, 1597.0, 600, 0, 120.0),
    Gpu("Q RTX 6000", 24576, (0.15, 0.30), 750, 672.0, 260, 0, 16.3),
    Gpu("Q RTX 8000", 49152, (0.20, 0.40), 750, 672.0, 260, 0, 16.3),
    Gpu("H100 PCIE", 81559, (1.40, 2.50), 900, 2039.0, 350, 0, 51.2),
    Gpu("H100 NVL", 95830, (1.50, 2.70), 900, 3938.0, 400, 0, 60.3),
    Gpu("B200", 183359, (3.00, 5.00), 1000, 8000.0, 1000, 0, 74.5),
    Gpu("L40", 46068, (0.40, 0.90), 890, 864.0, 300, 0, 90.5),
    Gpu("Tesla T4", 15360, (0.08, 0.20), 750, 320.0, 70, 0, 8.1),
    Gpu("Tesla V100", 32768, (0.15, 0.40), 700, 897.0, 300, 0, 15.7),
    Gpu("RTX 4090 laptop", 16376, (0.15, 0.30), 890, 576.0, 150, 0, 33.0),
)
PLACES = (
    "Texas, US",
    "California, US",
    "Washington, US",
    "Quebec, CA",
    "Ontario, CA",
    ", DE",
    "Bavaria, DE",
    ", FR",
    ", NL",
    ", PL",
    ", SE",
    ", CZ",
    ", GB",
    ", IS",
    ", JP",
    ", KR",
    ", TW",
    "New South Wales, AU",
    ", BR",
    ", UA",
)
DRIVERS = (
    ("580.95.05", 13.0),
    ("535.183.06", 12.2),
    ("550.144.03", 12.4),
    ("570.86.15", 12.8),
    ("580.65.06", 13.0),
)
# Replaces the last driver on half of its machines, so that a seed still makes the same machines. Its nvidia-smi prints
# another banner.
NEWEST_DRIVER = ("610.43.02", 13.2)
CPUS = (("AMD EPYC 7702 64-Core Processor", 64), ("Xeon® Gold 6248R", 48), ("AMD Ryzen 9 7950X", 32))


@dataclass(frozen=True)
class Machine:
    """One machine and its prices. Sizes MB or GB and speeds Mbit/s as named; prices in $ as the market states them."""

    machine_id: int
    host_id: int
    gpu: Gpu
    num_gpus: int
    usd_per_gpu_hour: float
    storage_cost: float  # $/GB/month
    traffic_cost: float  # $/GB, either way
    disk_gb: float
    disk_mbs: float
    inet_down: float
    inet_up: float
    reliability: float
    verification: str
    place: str
    direct_ports: int
    static: bool
    datacenter: bool
    driver: str
    cuda: float
    cpu: str
    cores: int
    cpu_ram_mb: int
    lease_seconds: float  # how long it may still be rented
    boot_seconds: float  # from the unpacked image to a running container
    draw: float  # 0 to 1, for what differs and does not matter
    address: str = LOOPBACK  # at which its instances answer, an address of this computer

    @property
    def country(self) -> str:
        """Two-letter country."""
        return self.place.rsplit(",", 1)[-1].strip()


def generate(seed: int, count: int = 360, address: str = LOOPBACK) -> list[Machine]:
    """Return `count` machines, and one more for each rare card; ids are unique and rise."""
    source = random.Random(seed)
    made = [
        *(_machine(source, index) for index in range(count)),
        *(_machine(source, count + index, gpu) for index, gpu in enumerate(RARE)),
    ]
    return [replace(machine, address=address) for machine in made]


def _machine(source: random.Random, index: int, rare: Gpu | None = None) -> Machine:
    gpu = rare or source.choices(GPUS, [model.weight for model in GPUS])[0]
    datacenter = source.random() < 0.25
    low, high = gpu.price
    driver, cuda = source.choice(DRIVERS[3:] if gpu.capability >= 1000 else DRIVERS)
    cpu, cores = source.choice(CPUS)
    count = source.choices((1, 2, 4, 8), (70, 12, 10, 8))[0]
    made = Machine(
        machine_id=10_000 + index * 7 + source.randrange(7),
        host_id=50_000 + source.randrange(4000),
        gpu=gpu,
        num_gpus=count,
        usd_per_gpu_hour=round(low + (high - low) * source.betavariate(2, 2.5), 4),
        storage_cost=round(source.uniform(0.1, 0.3), 3),
        traffic_cost=source.choice((0.0, 0.0, 0.0003, 0.002, 0.005, 0.02)),
        disk_gb=round(source.choice((40, 80, 200, 500, 1000, 2000)) * source.uniform(0.8, 1.2), 1),
        disk_mbs=round(source.uniform(500, 6000), 1),
        inet_down=round(50 * 100 ** source.betavariate(3, 1.8), 1),
        inet_up=round(30 * 100 ** source.betavariate(2, 2), 1),
        reliability=round(1 - 0.12 * source.random() ** 3, 6),
        verification=source.choices(("verified", "unverified", "deverified"), (78, 18, 4))[0],
        place=source.choice(PLACES),
        direct_ports=source.choices((0, 1, 10, 100, 250, 999), (4, 3, 15, 38, 25, 15))[0],
        static=datacenter or source.random() < 0.4,
        datacenter=datacenter,
        driver=driver,
        cuda=cuda,
        cpu=cpu,
        cores=cores,
        cpu_ram_mb=source.choice((32_000, 64_000, 128_000, 257_000)) * (2 if count > 2 else 1),
        lease_seconds=round(source.uniform(1, 180) * 86_400),
        boot_seconds=round(source.uniform(20, 90), 1),
        draw=source.random(),
    )
    if driver == DRIVERS[-1][0] and made.draw < 0.5:
        return replace(made, driver=NEWEST_DRIVER[0], cuda=NEWEST_DRIVER[1])
    return made
