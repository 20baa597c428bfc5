"""Reads the text of `standing.json` from a file or a URL."""

from pathlib import Path

import httpx

from review.standing import MOST_BYTES, StandingUnreadable

TIMEOUT_SECONDS = 20.0


def standing_text(place: str, transport: httpx.BaseTransport | None = None) -> str:
    """Return the text. Raises StandingUnreadable."""
    if place.startswith(("https://", "http://")):
        return _from_url(place, transport)
    try:
        return Path(place).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StandingUnreadable(
            f"{place} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from None


def _from_url(url: str, transport: httpx.BaseTransport | None) -> str:
    try:
        with (
            httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True, transport=transport) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise StandingUnreadable(
                    f"{httpx.URL(url).host} answers {answer.status_code} for the file of what runs"
                )
            found = bytearray()
            for part in answer.iter_bytes():
                found += part
                if len(found) > MOST_BYTES:
                    raise StandingUnreadable(f"it has more than {MOST_BYTES // 2**20} MB")
            return found.decode()
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeDecodeError) as error:
        raise StandingUnreadable(f"the file of what runs cannot be read: {type(error).__name__}") from None
