"""The image of receiver and exporter: what its Containerfile copies and installs is what the two programs import."""

import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
LOCK = REPO / "monitoring" / "requirements.txt"
IMPORTED = """
import re
import sys
from importlib import metadata
from pathlib import Path
import monitoring.receiver.__main__, monitoring.exporter.__main__
import boto3, httptools  # imported at their first use
packages = metadata.packages_distributions()
tops = {name.partition(".")[0] for name in sys.modules}
# Typing stubs and a namespace that others share come with packages of the project's that the image has not.
print(*sorted({re.sub("[-_.]+", "-", packages[top][0].lower()) for top in tops if top in packages and top != "google"}))
print(*sorted(top for top in tops if Path(top, "__init__.py").is_file()))
"""


def versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_everything_that_receiver_and_exporter_import_is_in_the_lock() -> None:
    rooms = re.findall(r"^COPY (\w+) ", (REPO / "Containerfile").read_text(), re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=REPO, capture_output=True, text=True, check=True)
    packages, found = done.stdout.splitlines()

    assert set(packages.split()) - {"setuptools"} <= versions(LOCK).keys()
    assert set(found.split()) <= set(rooms)
    assert {"config", "monitoring", "providers"} <= set(found.split())


def test_the_image_has_the_versions_that_were_tested() -> None:
    assert versions(LOCK).items() <= versions(REPO / "requirements.txt").items()


def test_what_is_copied_is_there_for_the_builder() -> None:
    copied = set(re.findall(r"^COPY (\w+)", (REPO / "Containerfile").read_text(), re.MULTILINE))
    sent = set(re.findall(r"^!(\w+)$", (REPO / ".dockerignore").read_text(), re.MULTILINE))

    assert copied <= sent
