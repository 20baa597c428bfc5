"""The controller's image: its Containerfile copies and installs what the controller and its slots' programs import."""

import re
import subprocess
import sys
from pathlib import Path

from tests.monitoring.test_image import versions

REPO = Path(__file__).resolve().parents[2]
CONTAINERFILE = (REPO / "Containerfile.controller").read_text()
LOCK = REPO / "controller" / "requirements.txt"
# Every module of the controller; and those of the program, which a slot's stack runs, but for what makes a cluster's objects.
IMPORTED = """
import importlib
import pkgutil
import re
import sys
from importlib import metadata
from pathlib import Path
import controller
for found in pkgutil.walk_packages(controller.__path__, "controller."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
for line in Path("__main__.py").read_text().splitlines():
    if found := re.match(r"(?:from|import) (\\S+)", line):
        importlib.import_module(found[1])
import boto3, httptools, paramiko, psycopg_pool, uvicorn  # some are imported at their first use
packages = metadata.packages_distributions()
tops = {name.partition(".")[0] for name in sys.modules}
print(*sorted({re.sub("[-_.]+", "-", packages[top][0].lower()) for top in tops if top in packages and top != "google"}))
print(*sorted(top for top in tops if Path(top, "__init__.py").is_file()))
"""


def copied() -> set[str]:
    lines = re.findall(r"^COPY (?!--)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    return {word.partition("/")[0] for line in lines for word in line.split()}


def test_everything_that_controller_and_slots_import_is_in_the_lock() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=REPO, capture_output=True, text=True, check=True)
    packages, rooms = done.stdout.splitlines()

    # psutil: OpenTelemetry, which Pulumi's SDK brings, uses it if it is there.
    assert set(packages.split()) - {"setuptools", "psutil"} <= versions(LOCK).keys()
    assert set(rooms.split()) <= copied()
    assert {"components", "controller", "providers"} <= set(rooms.split())


def test_the_image_has_the_versions_that_were_tested() -> None:
    assert versions(LOCK).items() <= versions(REPO / "requirements.txt").items()


def test_its_engine_is_that_of_the_sdk() -> None:
    [engine] = re.findall(r"^ARG PULUMI=(\S+)$", CONTAINERFILE, re.MULTILINE)

    assert engine == versions(LOCK)["pulumi"]


def test_what_is_copied_is_what_is_sent_to_the_builder() -> None:
    sent = set(re.findall(r"^!(\S+)$", (REPO / ".dockerignore").read_text(), re.MULTILINE))

    assert copied() == sent


def test_its_user_has_a_name_because_pulumi_locks_nothing_without_one() -> None:
    [user] = re.findall(r"^USER (\d+):", CONTAINERFILE, re.MULTILINE)

    assert re.search(rf"^RUN echo \w+:x:{user}:{user}:\S* >>/etc/passwd", CONTAINERFILE, re.MULTILINE)
