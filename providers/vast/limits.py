"""How long and how often: every bound of renting in one place, in seconds of real time.

The defaults are what the market's own tooling and its users arrived at; a market whose clock runs faster than ours (the
sandbox) divides those that wait for the market by its time scale.
"""

from dataclasses import dataclass, replace

from providers.vast.loading import LEAST_TOTAL_SECONDS

LONGEST_SILENCE_SECONDS = 60 * 60.0


@dataclass(frozen=True)
class Limits:
    """Bounds of bringing one instance online."""

    attempts: int = 3
    boot_seconds: float = 40 * 60  # rent -> running, whatever the message says
    host_key_seconds: float = 15 * 60  # running -> the host key's fingerprint in the log: apt may install sshd first
    connect_seconds: float = 5 * 60  # host key known -> first SSH login
    total_seconds: float = LEAST_TOTAL_SECONDS  # everything, all attempts together
    probe_seconds: float = 60
    settle_seconds: float = 90  # in which a fresh instance may be missing from reads and lists
    look_seconds: float = 5  # between two looks that must agree
    boot_look_seconds: float = 5  # to twice as much between two looks at an instance that boots
    store_patience_seconds: float = 90  # without a byte from the store, which is down for a minute at times
    destroy_seconds: float = 180  # giving back, until a market that answers confirms it
    down_seconds: float = 15 * 60  # in which a machine that is down is waited for before another one takes its place
    outage_seconds: float = 15 * 60  # without a usable answer of the market, where nothing else bounds the wait
    time_scale: float = 1.0  # market seconds in one of ours

    @property
    def unattended_seconds(self) -> float:
        """The longest silence between two signs of attention; after it an instance ends itself.

        Whoever works on one gives a sign every minute. The longest wait without any is the one for the first login,
        `host_key_seconds` and `connect_seconds`.
        """
        return min(LONGEST_SILENCE_SECONDS, 1.25 * self.total_seconds)

    @property
    def abandoned_seconds(self) -> float:
        """After which nobody waits for a boot any more, counted from the rent: one creator, and one that took it over."""
        return 2 * 1.5 * self.boot_seconds

    def boot_ends(self, born: float, changed: float) -> float:
        """Return until when a boot is waited for that began at `born` and whose message changed last at `changed`.

        Healthy boots freeze their message for ten minutes and more, so a frozen one shortens nothing. One that still
        changes gets half as long again: 60 minutes in place of 40.
        """
        longest = born + 1.5 * self.boot_seconds
        return max(born + self.boot_seconds, min(longest, changed + 0.5 * self.boot_seconds))

    def at(self, time_scale: float) -> "Limits":
        """Return the bounds for a market whose clock runs `time_scale` times as fast as ours.

        Only what waits for the market's clock shrinks; SSH, downloads and vLLM take as long as they take.
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
