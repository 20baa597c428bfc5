"""Meters one contract: the GPU by the emulated second while it runs, the disk for as long as it exists."""

from dataclasses import dataclass


@dataclass
class Meter:
    """One contract's meter. Rates in $/h, moments in emulated unix seconds; moments must not go back."""

    gpu_usd_per_hour: float
    disk_usd_per_hour: float
    begun: float
    ran_seconds: float = 0.0
    running_since: float | None = None
    ended: float | None = None
    away_since: float | None = None
    gpu_usd: float = 0.0  # at earlier prices

    def run(self, now: float) -> None:
        """Start billing the GPU. Starting twice is harmless."""
        if self.running_since is None and self.ended is None:
            self.running_since = now

    def halt(self, now: float) -> None:
        """Stop billing the GPU; the disk goes on."""
        if self.running_since is not None:
            self.ran_seconds += now - self.running_since
            self.running_since = None

    def reprice(self, now: float, gpu_usd_per_hour: float) -> None:
        """Bill the GPU at another price from now on."""
        ran = self.ran_seconds + (now - self.running_since if self.running_since is not None else 0.0)
        self.gpu_usd += ran * self.gpu_usd_per_hour / 3600
        self.ran_seconds, self.gpu_usd_per_hour = 0.0, gpu_usd_per_hour
        if self.running_since is not None:
            self.running_since = now

    def end(self, now: float) -> None:
        """Stop billing for good."""
        if self.ended is None:
            self.halt(now)
            self.ended = now

    def suspend(self, now: float) -> None:
        """Stop billing while the machine is off."""
        if self.away_since is None and self.ended is None:
            self.halt(now)
            self.away_since = now

    def resume(self, now: float) -> None:
        """Bill the disk again, from now on."""
        if self.away_since is not None:
            self.begun += now - self.away_since
            self.away_since = None

    def items(self, now: float) -> dict[str, float]:
        """Return the cost so far in $, of the GPU and of the disk."""
        until = min(now if moment is None else moment for moment in (self.ended, self.away_since))
        running = until - self.running_since if self.running_since is not None else 0.0
        gpu = self.gpu_usd + (self.ran_seconds + running) * self.gpu_usd_per_hour / 3600
        return {"gpu": gpu, "disk": (until - self.begun) * self.disk_usd_per_hour / 3600}

    def usd_per_hour(self) -> float:
        """Return the current cost in $/h: both, only the disk, or nothing."""
        if self.ended is not None or self.away_since is not None:
            return 0.0
        return self.disk_usd_per_hour + (self.gpu_usd_per_hour if self.running_since is not None else 0.0)
