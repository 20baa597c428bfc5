"""Names the files of the program that make up the agent in the kit, and the packages that it imports."""

from pathlib import PurePosixPath

LIBRARIES = {
    "prometheus-client": "prometheus_client/",
    "nvidia-ml-py": "pynvml.py",
}  # package -> prefix of its files
FOLDER = "monitoring"
OWN = ("__init__.py", "metric_families.py")


def is_agent_file(path: str) -> bool:
    """Return whether a file of the program, by its path relative to the project, belongs to the agent's package."""
    one = PurePosixPath(path)
    in_package = one.parent == PurePosixPath(FOLDER, "agent") and one.suffix == ".py"
    return in_package or (one.parent == PurePosixPath(FOLDER) and one.name in OWN)
