"""Say how long to wait before a request to a forge is repeated. Pure.

GitHub: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api. A limit answers 403 or 429. It may
have `retry-after`; a used-up primary limit has `x-ratelimit-remaining: 0` and the time of its reset; a secondary limit may
have neither, and then wants a minute at least and twice as long each time. GitLab answers 429 with `Retry-After`.
"""

from collections.abc import Mapping

LEAST_SECONDS = 60.0
BROKEN_SECONDS = 1.0


def is_limited(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Return whether an answer is a refusal for too many requests. `headers` are in lower case."""
    if status == 429:
        return True
    limited = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in message.lower()
    return status == 403 and limited


def limited_seconds(headers: Mapping[str, str], tries: int, now: float) -> float:
    """Return the seconds until a limited request may be repeated. `tries` were refused before; `now` in unix seconds."""
    after = _number(headers.get("retry-after"))
    if after is not None:
        return max(0.0, after)
    reset = _number(headers.get("x-ratelimit-reset"))
    if headers.get("x-ratelimit-remaining") == "0" and reset is not None:
        return max(1.0, reset - now)
    return float(LEAST_SECONDS * 2**tries)


def broken_seconds(tries: int) -> float:
    """Return the seconds until a request is repeated that got no usable answer."""
    return float(BROKEN_SECONDS * 2**tries)


def _number(text: str | None) -> float | None:
    """Return a number of seconds; None if there is none, or if it is a date, which neither forge sends."""
    try:
        return None if text is None else float(int(text))
    except ValueError:
        return None
