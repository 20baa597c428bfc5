"""Translates the regions that users write into the market's two-letter countries, pure."""

from collections.abc import Iterable

EU = (
    *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
    *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
)
NAMES = {
    "australia": "AU", "austria": "AT", "belgium": "BE", "brazil": "BR", "bulgaria": "BG", "canada": "CA", "china": "CN",
    "czechia": "CZ", "denmark": "DK", "estonia": "EE", "finland": "FI", "france": "FR", "germany": "DE", "greece": "GR",
    "hungary": "HU", "iceland": "IS", "india": "IN", "ireland": "IE", "israel": "IL", "italy": "IT", "japan": "JP",
    "korea": "KR", "south korea": "KR", "latvia": "LV", "lithuania": "LT", "mexico": "MX", "netherlands": "NL",
    "new zealand": "NZ", "norway": "NO", "poland": "PL", "portugal": "PT", "romania": "RO", "singapore": "SG",
    "slovakia": "SK", "slovenia": "SI", "spain": "ES", "sweden": "SE", "switzerland": "CH", "taiwan": "TW",
    "ukraine": "UA", "united kingdom": "GB", "uk": "GB", "united states": "US", "usa": "US",
}  # fmt: skip


def countries(regions: Iterable[str]) -> tuple[str, ...]:
    """Return the market's countries for these regions, each once. Regions: codes in any case, English names, and `EU`."""
    found: dict[str, None] = {}
    for region in regions:
        word = " ".join(region.replace("_", " ").split())
        codes = EU if word.upper() == "EU" else [NAMES.get(word.lower(), word.upper())]
        found.update(dict.fromkeys(codes))
    return tuple(found)


def is_understood(region: str) -> bool:
    """Say whether a region is a code of two letters, a known name, or `EU`."""
    return all(len(code) == 2 and code.isascii() and code.isalpha() for code in countries([region]))
