"""Names of instances: `<fleet>-<number>`."""


def fleet_of(name: str) -> str:
    """Return the fleet of an instance: its name without the number."""
    return name.rpartition("-")[0]
