"""Run one command of Pulumi's CLI in a private work folder, so that no config file or salt lands in the checkout.

The folder's Pulumi.yaml names the checkout as `main:`. It is gone after the command. Secrets go through the environment.
Several commands may run at once: each has a folder and a process of its own.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.dialect import DialectError, read_yaml

SALTS = ("secretsprovider", "encryptedkey", "encryptionsalt")  # keys of a stack's file that say how it encrypts
PID = "pid-"


@dataclass(frozen=True)
class PulumiFolders:
    """Where slots are run from. `environment` is added to this process's own: backend, passphrase, keys of the backend.

    `project` is the folder of the program, `work` a folder for work folders, which only this user may read.
    """

    project: Path
    work: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit status, stdout and stderr."""

    status: int
    stdout: str
    stderr: str


Line = Callable[[str], None]
Command = Callable[[Sequence[str], Path, Mapping[str, str], Line], Finished]
Start = Callable[[Sequence[str], Path, Mapping[str, str], int], AbstractContextManager["subprocess.Popen[str]"]]


@contextmanager
def started(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], complaints: int
) -> Iterator[subprocess.Popen[str]]:
    """Start a process whose stdout is a pipe and whose stderr goes to the file `complaints`; wait for its end.

    The process has a session of its own: a Ctrl-C of the controller is not for it. Raises OSError.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        start_new_session=True,
    ) as process:
        yield process


def run_command(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    on_line: Line,
    start: Start = started,
) -> Finished:
    """Run `pulumi WORDS` in a folder; `on_line` gets each line of stdout at once. `start` starts the process."""
    lines = []
    try:
        with (
            tempfile.TemporaryFile("w+") as complaints,
            start(["pulumi", "--non-interactive", *words], folder, environment, complaints.fileno()) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                on_line(line)
            status = process.wait()
            complaints.seek(0)
            return Finished(status, "".join(lines), complaints.read())
    except OSError as error:
        return Finished(127, "", f"`pulumi` cannot be started: {error.strerror}")


@contextmanager
def work_folder(place: PulumiFolders, stack: str, main_stack: str) -> Iterator[Path]:
    """Make the folder from which Pulumi runs one command of a stack, and remove it at the end.

    The stack encrypts as the main stack does, if the project has the main stack's file. Folders of processes that were
    killed are removed, too.
    """
    place.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in place.work.glob(f"{PID}*"):
        number = left.name.removeprefix(PID).partition("-")[0]
        if number.isdigit() and not Path("/proc", number).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PID}{os.getpid()}-", dir=place.work))
    try:
        (folder / "Pulumi.yaml").write_text(json.dumps(project_of(place.project)))
        kept = _kept_keys(place.project / f"Pulumi.{main_stack}.yaml")
        if kept:
            (folder / f"Pulumi.{stack}.yaml").write_text(json.dumps(kept))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def project_of(project: Path) -> dict[str, object]:
    """Return the work folder's Pulumi.yaml: the project's name and runtime, with paths that hold from anywhere."""
    own = read_yaml((project / "Pulumi.yaml").read_text())
    runtime = own.get("runtime")
    runtime = {"name": runtime} if isinstance(runtime, str) else dict(runtime or {})
    options = dict(runtime.get("options") or {})
    if options.get("virtualenv"):
        options["virtualenv"] = str((project / str(options["virtualenv"])).absolute())
    return {"name": own["name"], "main": str(project.absolute()), "runtime": {**runtime, "options": options}}


def _kept_keys(file: Path) -> dict[str, str]:
    try:
        found = read_yaml(file.read_text())
    except (OSError, DialectError):
        return {}
    return {key: str(found[key]) for key in SALTS if isinstance(found, Mapping) and found.get(key)}
