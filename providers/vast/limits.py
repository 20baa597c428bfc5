"""Bounds of renting one instance, in seconds of real time.

Bounds that users may set have stack config's defaults. The others come from the market's own tooling and its users. If
a market's clock runs faster than ours, as in the sandbox, its time scale divides the bounds that wait for it.
"""

from dataclasses import dataclass, replace

from config.limits import LimitsConfig

LONGEST_SILENCE_SECONDS = 60 * 60.0
LEAST_TOTAL_SECONDS = 120 * 60.0  # the bound of all attempts together is never shorter
DEFAULTS = LimitsConfig()


@dataclass(frozen=True)
class Limits:
    """Bounds of bringing one instance online."""

    attempts: int = DEFAULTS.attempts
    boot_seconds: float = DEFAULTS.boot_minutes * 60  # from the rent to running, regardless of the message
    host_key_seconds: float = (
        15 * 60
    )  # from running to the host key's fingerprint in the log; apt may install sshd first
    connect_seconds: float = DEFAULTS.connect_minutes * 60  # from the known host key to the first SSH login
    total_seconds: float = LEAST_TOTAL_SECONDS  # all attempts together
    probe_seconds: float = 60
    settle_seconds: float = 90  # a fresh instance may be missing from reads and lists for this long
    look_seconds: float = 5  # between two looks that must agree
    boot_look_seconds: float = 5  # between two looks at a booting instance; at most twice as long
    store_patience_seconds: float = 90  # without a byte from the store, which fails for a minute at times
    destroy_seconds: float = 180  # from giving back to the confirmation, while the market answers
    down_seconds: float = DEFAULTS.down_minutes * 60  # downtime after which another machine replaces it
    outage_seconds: float = 15 * 60  # without a usable answer of the market, if no other bound ends the wait
    time_scale: float = 1.0  # market seconds in one of ours

    @property
    def unattended_seconds(self) -> float:
        """Longest time in seconds without a sign from a creator; after it an instance ends itself.

        A creator gives a sign every minute. Its longest wait without one is for the first login: `host_key_seconds`
        and `connect_seconds`.
        """
        return min(LONGEST_SILENCE_SECONDS, 1.25 * self.total_seconds)

    @property
    def abandoned_seconds(self) -> float:
        """Seconds after the rent until neither the first creator nor one that adopted the boot still waits."""
        return 2 * 1.5 * self.boot_seconds

    def boot_ends(self, born: float, changed: float) -> float:
        """Return the time at which a boot fails, in the unit of `born` and `changed`.

        The boot began at `born`, and its message last changed at `changed`. Healthy boots keep one message for ten
        minutes and more, so an old message shortens nothing. A boot whose message still changes gets half as long
        again: 60 minutes instead of 40.
        """
        longest = born + 1.5 * self.boot_seconds
        return max(born + self.boot_seconds, min(longest, changed + 0.5 * self.boot_seconds))

    def at(self, time_scale: float) -> "Limits":
        """Return the bounds for a market whose clock runs `time_scale` times as fast as ours.

        Only bounds that wait for the market's clock shrink. SSH, downloads and vLLM take the same time everywhere.
        """
        return replace(
            self,
            boot_seconds=max(5.0, self.boot_seconds / time_scale),
            host_key_seconds=max(60.0, self.host_key_seconds / time_scale),
            settle_seconds=self.settle_seconds / time_scale,
            look_seconds=self.look_seconds / time_scale,
            boot_look_seconds=max(0.05, self.boot_look_seconds / time_scale),
            down_seconds=max(20.0, self.down_seconds / time_scale),
            outage_seconds=max(20.0, self.outage_seconds / time_scale),
            store_patience_seconds=max(3.0, self.store_patience_seconds / time_scale),
            time_scale=time_scale,
        )
