"""Maps the market's GPU names to the driver's names and compute capabilities.

The market shortens names and the driver does not: the market's `RTX 4080S` is the driver's `NVIDIA GeForce RTX 4080
SUPER`.
"""

from collections.abc import Mapping

# The market's name -> (the driver's name, compute capability).
CARDS: Mapping[str, tuple[str, str]] = {
    "A100 PCIE": ("NVIDIA A100 80GB PCIe", "8.0"),
    "A100 SXM4": ("NVIDIA A100-SXM4-80GB", "8.0"),
    "B200": ("NVIDIA B200", "10.0"),
    "H100 NVL": ("NVIDIA H100 NVL", "9.0"),
    "H100 PCIE": ("NVIDIA H100 PCIe", "9.0"),
    "H100 SXM": ("NVIDIA H100 80GB HBM3", "9.0"),
    "H200": ("NVIDIA H200", "9.0"),
    "L4": ("NVIDIA L4", "8.9"),
    "L40": ("NVIDIA L40", "8.9"),
    "L40S": ("NVIDIA L40S", "8.9"),
    "Q RTX 6000": ("Quadro RTX 6000", "7.5"),
    "Q RTX 8000": ("Quadro RTX 8000", "7.5"),
    "RTX 2060S": ("NVIDIA GeForce RTX 2060 SUPER", "7.5"),
    "RTX 2070S": ("NVIDIA GeForce RTX 2070 SUPER", "7.5"),
    "RTX 2080S": ("NVIDIA GeForce RTX 2080 SUPER", "7.5"),
    "RTX 2080 Ti": ("NVIDIA GeForce RTX 2080 Ti", "7.5"),
    "RTX 3080": ("NVIDIA GeForce RTX 3080", "8.6"),
    "RTX 3080 Ti": ("NVIDIA GeForce RTX 3080 Ti", "8.6"),
    "RTX 3090": ("NVIDIA GeForce RTX 3090", "8.6"),
    "RTX 4060 Ti": ("NVIDIA GeForce RTX 4060 Ti", "8.9"),
    "RTX 4070": ("NVIDIA GeForce RTX 4070", "8.9"),
    "RTX 4070 Ti": ("NVIDIA GeForce RTX 4070 Ti", "8.9"),
    "RTX 4070S": ("NVIDIA GeForce RTX 4070 SUPER", "8.9"),
    "RTX 4070S Ti": ("NVIDIA GeForce RTX 4070 Ti SUPER", "8.9"),
    "RTX 4080": ("NVIDIA GeForce RTX 4080", "8.9"),
    "RTX 4080 laptop": ("NVIDIA GeForce RTX 4080 Laptop GPU", "8.9"),
    "RTX 4080S": ("NVIDIA GeForce RTX 4080 SUPER", "8.9"),
    "RTX 4090": ("NVIDIA GeForce RTX 4090", "8.9"),
    "RTX 4090 laptop": ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
    "RTX 4090D": ("NVIDIA GeForce RTX 4090 D", "8.9"),
    "RTX 5090": ("NVIDIA GeForce RTX 5090", "12.0"),
    "RTX 4000Ada": ("NVIDIA RTX 4000 Ada Generation", "8.9"),
    "RTX 4500Ada": ("NVIDIA RTX 4500 Ada Generation", "8.9"),
    "RTX 5000Ada": ("NVIDIA RTX 5000 Ada Generation", "8.9"),
    "RTX 5880Ada": ("NVIDIA RTX 5880 Ada Generation", "8.9"),
    "RTX 6000Ada": ("NVIDIA RTX 6000 Ada Generation", "8.9"),
    "RTX A6000": ("NVIDIA RTX A6000", "8.6"),
    "RTX PRO 6000 S": ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0"),
    "RTX PRO 6000 WS": ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "12.0"),
    "Tesla T4": ("Tesla T4", "7.5"),
    "Tesla V100": ("Tesla V100-SXM2-32GB", "7.0"),
}
# Branch of a driver -> the newest CUDA that it supports.
SUPPORTED = {
    525: "12.0",
    530: "12.1",
    535: "12.2",
    545: "12.3",
    550: "12.4",
    555: "12.5",
    560: "12.6",
    565: "12.7",
    570: "12.8",
    575: "12.9",
    580: "13.0",
    590: "13.1",
    610: "13.2",
}


def supported(driver: str) -> str:
    """Return the newest CUDA that a driver such as 570.124.06 supports. An unknown driver counts as the next older
    one.
    """
    branch = int(driver.partition(".")[0])
    return next((cuda for known, cuda in sorted(SUPPORTED.items(), reverse=True) if known <= branch), "11.8")
