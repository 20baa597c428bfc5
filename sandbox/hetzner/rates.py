"""The API's request limit: so many at once, and one back each second."""

from dataclasses import dataclass, field

LIMIT = 3600


@dataclass
class Rates:
    """The requests that each token has left. `limit` is the most; one comes back each second."""

    limit: int = LIMIT
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, token: str, now: float) -> tuple[bool, dict[str, str]]:
        """Count one request at `now` (unix seconds); say whether it is allowed, and the headers of its answer."""
        left, at = self._left.get(token, (float(self.limit), now))
        left = min(float(self.limit), left + max(0.0, now - at))
        allowed = left >= 1
        left -= allowed
        self._left[token] = (left, now)
        headers = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(int(left)),
            "RateLimit-Reset": str(int(now + self.limit - left) + 1),
        }
        return allowed, headers
