"""How long and how often: every bound of renting in one place, in seconds of real time.

The defaults are what the market's own tooling and its users arrived at; a market whose clock runs faster than ours (the
sandbox) divides those that wait for the market by its time scale.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limits:
    """Bounds of bringing one instance online."""

    attempts: int = 3
    boot_seconds: float = 15 * 60  # rent -> running
    connect_seconds: float = 5 * 60  # running -> first SSH login
    total_seconds: float = 45 * 60  # everything, all attempts together
    probe_seconds: float = 60
    settle_seconds: float = 90  # in which a fresh instance may be missing from reads and lists
    look_seconds: float = 5  # between two looks that must agree
    boot_look_seconds: float = 1.5  # between two looks at an instance that boots, which all that wait share
    store_patience_seconds: float = 90  # without a byte from the store, which is down for a minute at times
    destroy_seconds: float = 180  # giving back, until the market confirms it

    @property
    def unattended_seconds(self) -> float:
        """After which an instance that nobody works on ends itself: later than the slowest creator gives up."""
        return 1.25 * self.total_seconds

    def at(self, time_scale: float) -> "Limits":
        """Return the bounds for a market whose clock runs `time_scale` times as fast as ours.

        Only what waits for the market's clock shrinks; SSH, downloads and vLLM take as long as they take.
        """
        return replace(
            self,
            boot_seconds=max(5.0, self.boot_seconds / time_scale),
            settle_seconds=self.settle_seconds / time_scale,
            look_seconds=self.look_seconds / time_scale,
            boot_look_seconds=max(0.1, self.boot_look_seconds / time_scale),
            store_patience_seconds=max(3.0, self.store_patience_seconds / time_scale),
        )
