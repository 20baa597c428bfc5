"""Translate GPU names, pure: as users write them, as the market lists them, and as nvidia-smi prints them.

The market's names are those of its listings in 2026; its filter wants the exact spelling. A card that is not in the table
is still found under the market's own spelling; nvidia-smi's name then cannot be checked.
"""

import difflib
import re
from collections.abc import Iterable, Mapping

# nvidia-smi's names by the market's name, without the maker's words (NVIDIA, GeForce). Most names are the same in both.
SAME = (
    "A10 A10G A16 A30 A40 A100X B200 GH200 L4 L40 L40S RTX_2060 RTX_2070 RTX_2080 RTX_2080_Ti RTX_3050 RTX_3060 "
    "RTX_3060_Ti RTX_3070 RTX_3070_Ti RTX_3080 RTX_3080_Ti RTX_3090 RTX_3090_Ti RTX_4060 RTX_4060_Ti RTX_4070 RTX_4070_Ti "
    "RTX_4080 RTX_4090 RTX_5060 RTX_5060_Ti RTX_5070 RTX_5070_Ti RTX_5080 RTX_5090 RTX_A4000 RTX_A4500 RTX_A5000 RTX_A6000 "
    "GTX_1050 GTX_1050_Ti GTX_1070 GTX_1070_Ti GTX_1080 GTX_1080_Ti GTX_1650 GTX_1660 GTX_1660_Ti GTX_TITAN_X Tesla_P4 "
    "Tesla_P40 Tesla_T4 Titan_RTX Titan_V Titan_Xp Quadro_P2000 Quadro_P4000 Quadro_P5000 Quadro_P6000 Quadro_GV100"
).replace("_", "\t")
DIFFERENT: Mapping[str, tuple[str, ...]] = {
    "A100 PCIE": ("A100-PCIE-40GB", "A100-PCIE-80GB", "A100 80GB PCIe"),
    "A100 SXM4": ("A100-SXM4-40GB", "A100-SXM4-80GB", "A100-SXM-80GB", "A100-SXM-64GB"),
    "A800 PCIE": ("A800-PCIE-40GB", "A800-PCIE-80GB", "A800 80GB PCIe", "A800 40GB Active"),
    "A800 SXM4": ("A800-SXM4-40GB", "A800-SXM4-80GB"),
    "B300": ("B300 SXM6 AC", "B300"),
    "GH200 SXM": ("GH200 480GB", "GH200 120GB", "GH200 144G HBM3e"),
    "H100 NVL": ("H100 NVL",),
    "H100 PCIE": ("H100 PCIe",),
    "H100 SXM": ("H100 80GB HBM3", "H100 SXM5 80GB", "H100 64GB HBM2", "H100 SXM"),
    "H200": ("H200", "H200 SXM"),
    "H200 NVL": ("H200 NVL",),
    "Q RTX 4000": ("Quadro RTX 4000",),
    "Q RTX 5000": ("Quadro RTX 5000",),
    "Q RTX 6000": ("Quadro RTX 6000",),
    "Q RTX 8000": ("Quadro RTX 8000",),
    "GTX 1060": ("GTX 1060", "GTX 1060 3GB", "GTX 1060 6GB"),
    "GTX 1650 S": ("GTX 1650 SUPER",),
    "GTX 1660 S": ("GTX 1660 SUPER",),
    "RTX 2060S": ("RTX 2060 SUPER",),
    "RTX 2070S": ("RTX 2070 SUPER",),
    "RTX 2080S": ("RTX 2080 SUPER",),
    "RTX 3060 laptop": ("RTX 3060 Laptop GPU",),
    "RTX 3070 laptop": ("RTX 3070 Laptop GPU",),
    "RTX 4060 laptop": ("RTX 4060 Laptop GPU",),
    "RTX 4070 laptop": ("RTX 4070 Laptop GPU",),
    "RTX 4080 laptop": ("RTX 4080 Laptop GPU",),
    "RTX 4090 laptop": ("RTX 4090 Laptop GPU",),
    "RTX 4070S": ("RTX 4070 SUPER",),
    "RTX 4070S Ti": ("RTX 4070 Ti SUPER",),
    "RTX 4080S": ("RTX 4080 SUPER",),
    "RTX 4090D": ("RTX 4090 D",),
    "RTX 5090D": ("RTX 5090 D", "RTX 5090 D v2"),
    "RTX 2000Ada": ("RTX 2000 Ada Generation",),
    "RTX 4000Ada": ("RTX 4000 Ada Generation", "RTX 4000 SFF Ada Generation"),
    "RTX 4500Ada": ("RTX 4500 Ada Generation",),
    "RTX 5000Ada": ("RTX 5000 Ada Generation",),
    "RTX 5880Ada": ("RTX 5880 Ada Generation",),
    "RTX 6000Ada": ("RTX 6000 Ada Generation",),
    "RTX A2000": ("RTX A2000", "RTX A2000 12GB"),
    "RTX PRO 4000": ("RTX PRO 4000 Blackwell", "RTX PRO 4000 Blackwell SFF Edition"),
    "RTX PRO 4500": ("RTX PRO 4500 Blackwell",),
    "RTX PRO 5000": ("RTX PRO 5000 Blackwell", "RTX PRO 5000 72GB Blackwell"),
    "RTX PRO 6000 Max-Q": ("RTX PRO 6000 Blackwell Max-Q Workstation Edition",),
    "RTX PRO 6000 S": ("RTX PRO 6000 Blackwell Server Edition",),
    "RTX PRO 6000 WS": ("RTX PRO 6000 Blackwell Workstation Edition",),
    "Tesla P100": ("Tesla P100-PCIE-12GB", "Tesla P100-PCIE-16GB", "Tesla P100-SXM2-16GB"),
    "Tesla V100": (
        "Tesla V100-PCIE-16GB",
        "Tesla V100-PCIE-32GB",
        "Tesla V100-SXM2-16GB",
        "Tesla V100-SXM2-32GB",
        "Tesla V100-SXM3-32GB",
        "Tesla V100-DGXS-32GB",
        "Tesla V100-FHHL-16GB",
        "Tesla V100S-PCIE-32GB",
    ),
}
CARDS: Mapping[str, tuple[str, ...]] = {
    **{name.replace("\t", " "): (name.replace("\t", " "),) for name in SAME.split(" ")},
    **DIFFERENT,
}
# Names that people use for several cards, or for one card that market and driver call otherwise.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "A100": ("A100 SXM4", "A100 PCIE"),
    "A100 SXM": ("A100 SXM4",),
    "A800": ("A800 SXM4", "A800 PCIE"),
    "GH200": ("GH200", "GH200 SXM"),
    "H100": ("H100 SXM", "H100 PCIE", "H100 NVL"),
    "H100 SXM5": ("H100 SXM",),
    "P100": ("Tesla P100",),
    "RTX PRO 6000": ("RTX PRO 6000 WS", "RTX PRO 6000 S", "RTX PRO 6000 Max-Q"),
    "RTX PRO 6000 Blackwell": ("RTX PRO 6000 WS", "RTX PRO 6000 S", "RTX PRO 6000 Max-Q"),
    "V100": ("Tesla V100",),
}
MAKER = re.compile(r"\b(NVIDIA|GEFORCE|GENERATION)\b")
LINES = ("", "RTX", "GTX", "TESLA", "QUADRO")  # users write `4090`, `A6000`, `T4` and `P4000` without these


def market_names(required: str) -> tuple[str, ...]:
    """Return the market's names of a required GPU in any spelling; an unknown one with spaces for underscores."""
    return _known(required) or (" ".join(required.replace("_", " ").split()),)


def all_market_names(required: Iterable[str]) -> tuple[str, ...]:
    """Return the market's names of several required GPUs, each once, in their order."""
    return tuple(dict.fromkeys(name for gpu in required for name in market_names(gpu)))


def is_known(required: str) -> bool:
    """Return whether the table holds a name."""
    return bool(_known(required))


def near_names(required: str, shown: int = 3) -> list[str]:
    """Return known names that look like an unknown one."""
    near = difflib.get_close_matches(_key(required), SPELLINGS, n=4 * shown, cutoff=0.6)
    holding = [key for key in SPELLINGS if len(_key(required)) > 2 and _key(required) in key]
    return list(dict.fromkeys(name for key in [*holding, *near] for name in SPELLINGS[key]))[:shown]


def shows(required: str, driver: str) -> bool | None:
    """Return whether nvidia-smi's name is that of a required GPU; None if the table knows neither of them."""
    shown = _BY_DRIVER.get(_key(driver))
    if is_known(required):
        return shown is not None and shown in market_names(required)
    return None if shown is None else False


def _known(required: str) -> tuple[str, ...]:
    key = _key(required)
    # Not for `RTX 6000`: Quadro, Ada and Blackwell each have one, and a user means one of them.
    lines = LINES if not key.startswith("RTX") else ("",)
    return next((SPELLINGS[line + key] for line in lines if line + key in SPELLINGS), ())


def _key(name: str) -> str:
    """Return a name without case, maker, spaces, dashes and underscores, in which spellings differ."""
    return re.sub(r"[^A-Z0-9]", "", MAKER.sub(" ", name.upper().replace("_", " ")))


def _spellings() -> dict[str, tuple[str, ...]]:
    found = {_key(driver): (name,) for name, drivers in CARDS.items() for driver in drivers}
    found |= {_key(name): (name,) for name in CARDS}
    for name, drivers in DIFFERENT.items():  # users write the SUPER before or after the Ti
        found |= {_key(one).replace("TISUPER", "SUPERTI"): (name,) for one in drivers}
    return found | {_key(name): names for name, names in FAMILIES.items()}


SPELLINGS: Mapping[str, tuple[str, ...]] = _spellings()
_BY_DRIVER: Mapping[str, str] = {_key(driver): name for name, drivers in CARDS.items() for driver in drivers}
