"""The file that the market has a landlord's daemon upload: an instance's log, at a storage URL of the market's own choice."""

import httpx

from bootstrap.clock import Clock

TRIES, PAUSE_SECONDS = 30, 0.3  # as patient as the official client


def fetched(http: httpx.Client, url: str, clock: Clock) -> str:
    """Return the file's text; empty while it is not there: anything but 200 means "not written yet".

    `http` carries no key of ours.
    """
    for _try in range(TRIES):
        try:
            answer = http.get(url)
        except httpx.HTTPError:
            return ""
        if answer.status_code == 200:
            return answer.text
        clock.sleep(PAUSE_SECONDS)
    return ""
