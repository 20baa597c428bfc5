"""The images that a node's pods run from, made without a registry: by buildah, into archives that containerd imports.

The project's own image is built from its Containerfile, unchanged. Its base, a Debian with Python, is made by mmdebstrap from
Debian's packages under the name that the Containerfile asks for. Programs that set-up built become images of one file.
Grafana cannot be built here, so it has no image: its pod is scheduled and never starts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitoring.kubernetes.images import IMAGES
from tools.machine.paths import Paths
from tools.machine.steps import mark_complete, run, step

BASE = "docker.io/library/python:3.11-slim-bookworm"  # as Containerfile names it
DEBIAN, PACKAGES = "bookworm", "python3,python3-pip,python3-venv,ca-certificates"  # bookworm's Python is 3.11
OWN = "docker.io/library/gpu-fleet-monitoring:local"  # as Pulumi.local.yaml names it
NOBODY, PAUSE_USER, ROOT = "65534:65534", "65535:65535", "0:0"
# pip reads the machine's settings and trust, as it does for the other environments.
OF_MACHINE = ("/etc/ssl/certs", "/etc/pip.conf")
KEPT = 3  # sets of images: those of so many states of the code
BASE_RECIPE = """FROM scratch
ADD {archive} /
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -sf python3 /usr/bin/python
"""


@dataclass(frozen=True)
class OneFile:
    """An image of one program: its name, and the user that it runs as."""

    name: str
    user: str
    inside: str


def programs(paths: Paths) -> dict[Path, OneFile]:
    """Return the images of one file by the program on this machine, under the names that pods ask for."""
    watching = {
        paths.monitoring_bin / name: OneFile(f"docker.io/{IMAGES[name]}", NOBODY, f"/bin/{name}")
        for name in ("prometheus", "alertmanager")
    }
    return {
        paths.node_bin / "pause": OneFile("registry.local/pause:1", PAUSE_USER, "/pause"),
        paths.node_bin / "coredns": OneFile("registry.local/coredns:1", ROOT, "/coredns"),
        **watching,
    }


def make_images(paths: Paths, environ: Mapping[str, str]) -> None:
    """Make the missing archives, each whole or not at all. Raises SetupError."""
    folder = paths.node_images
    if (folder / "complete").is_file():
        return
    builder = Builder(paths.image_store, environ)
    bring_base(paths, builder)
    folder.mkdir(parents=True, exist_ok=True)
    for program, image in programs(paths).items():
        if not (folder / f"{program.name}.tar").is_file():
            with step(f"the image of {program.name}"), tempfile.TemporaryDirectory() as context:
                shutil.copy(program, context)
                builder.build(Path(context), recipe(program.name, image), image.name)
                builder.write(image.name, folder / f"{program.name}.tar")
    with step("the project's own image, from its Containerfile"):
        builder.build(paths.checkout, (paths.checkout / "Containerfile").read_text(), OWN)
        builder.write(OWN, folder / "monitoring.tar")
    mark_complete(folder)
    forget_old(folder)


def bring_base(paths: Paths, builder: Builder) -> None:
    """Have the base under its public name. Raises SetupError."""
    make_base(paths)
    builder.build(paths.base_image.parent, BASE_RECIPE.format(archive=paths.base_image.name), BASE)


def make_base(paths: Paths) -> None:
    """Make the Debian with Python, once for all checkouts. Raises SetupError."""
    if paths.base_image.is_file():
        return
    paths.base_image.parent.mkdir(parents=True, exist_ok=True)
    fresh = paths.base_image.with_name(f"fresh.{os.getpid()}.tar")
    with step(f"Debian {DEBIAN} with Python, the base of images (about 2 minutes)"):
        try:
            words: list[str | Path] = [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={PACKAGES}",
                DEBIAN,
                fresh,
            ]
            run(words, "Making the base of images")
            fresh.replace(paths.base_image)
        finally:
            fresh.unlink(missing_ok=True)


def recipe(program: str, image: OneFile) -> str:
    """Return the Containerfile of an image of one program.

    >>> print(recipe("pause", OneFile("registry.local/pause:1", "65535:65535", "/pause")))
    FROM scratch
    COPY pause /pause
    USER 65535:65535
    ENTRYPOINT ["/pause"]
    <BLANKLINE>
    """
    return f'FROM scratch\nCOPY {program} {image.inside}\nUSER {image.user}\nENTRYPOINT ["{image.inside}"]\n'


@dataclass(frozen=True)
class Builder:
    """buildah with layers of its own, so that it touches no other images of the machine."""

    store: Path
    environ: Mapping[str, str]

    def build(self, context: Path, containerfile: str, name: str) -> None:
        """Build an image and name it. Raises SetupError."""
        shown = [f"--volume={path}:{path}:ro" for path in OF_MACHINE if Path(path).exists()]
        with tempfile.NamedTemporaryFile("w", prefix="Containerfile.") as file:
            file.write(containerfile)
            file.flush()
            # chroot: a build needs no namespaces, of which the machine may allow none. Layers: unchanged steps are kept.
            words = ["--isolation=chroot", "--network=host", "--pull-never", "--layers", *shown]
            try:
                self._run("bud", *words, f"--file={file.name}", f"--tag={name}", str(context), what=f"Building {name}")
            finally:
                # buildah keeps the container of a stage that a later one copies from, and its mount with it.
                self._run("rm", "--all", what="Removing what a build of images left")

    def write(self, name: str, archive: Path) -> None:
        """Write an image as an archive for containerd. Raises SetupError."""
        fresh = archive.with_name(f"{archive.name}.{os.getpid()}")
        try:
            self._run("push", "--quiet", name, f"docker-archive:{fresh}:{name}", what=f"Writing {archive.name}")
            fresh.replace(archive)
        finally:
            fresh.unlink(missing_ok=True)

    def _run(self, command: str, *words: str, what: str) -> None:
        places: list[str | Path] = [
            "--root",
            self.store / "storage",
            "--runroot",
            self.store / "run",
            "--storage-driver",
            "overlay",
        ]
        run(["buildah", *places, command, *words], what, dict(self.environ))


def forget_old(newest: Path) -> None:
    """Remove all sets of images but the last ones, of whatever checkout: they can be made again."""
    sets: Sequence[Path] = [each.parent for each in newest.parent.glob("*/complete")]
    for old in sorted(sets, key=lambda each: (each / "complete").stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
