"""Download an instance's log file. A landlord's daemon uploads it to a storage URL that the market chooses."""

import httpx

from bootstrap.clock import Clock

TRIES, PAUSE_SECONDS = 30, 0.3  # as in the official client
MOST_BYTES = 8_000_000  # the landlord decides how long a line is
SECONDS = 30.0


def download_log(http: httpx.Client, url: str, clock: Clock, seconds: float = SECONDS) -> str:
    """Return the file's text, or an empty one if the file is not there. Any status but 200 means "not written yet".

    `http` must carry no key of ours. `seconds` bounds one try. Raises the clock's errors.
    """
    for _try in range(TRIES):
        try:
            with http.stream("GET", url, timeout=seconds) as answer:
                if answer.status_code == 200:
                    return _read(answer, clock, seconds)
        except httpx.HTTPError:
            return ""
        clock.sleep(PAUSE_SECONDS)
    return ""


def _read(answer: httpx.Response, clock: Clock, seconds: float) -> str:
    until, found = clock.monotonic() + seconds, bytearray()
    for part in answer.iter_bytes():
        found += part
        if len(found) >= MOST_BYTES or clock.monotonic() >= until:
            break
    return found[:MOST_BYTES].decode(errors="replace")
