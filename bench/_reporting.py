"""An emulated host that reports to a monitoring of this machine's own, as instance 4711."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bootstrap.kit import build_kit, installed_programs
from bootstrap.metrics_agent import Reporting
from components.metrics_kit import libraries
from providers.identity.metrics_credentials import Reporter, password_for
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.images import Images
from sandbox.services.monitoring import KEY, NAME_FOR_HOSTS, PORT_FOR_HOSTS, Monitoring
from sandbox.settings import folders
from tests.doubles.rented import STORE, Rented, prepared, rent

SCRAPE_SECONDS = 5


@contextlib.contextmanager
def reporting_host(monitoring: Monitoring, folder: Path) -> Iterator[Rented]:
    """Bring a host with vLLM's double to serve and to report; it is gone when the block ends."""
    hosts = NamespaceHosts(folders(os.environ)[1], Images("double", folders(os.environ)[1]))
    with prepared(folder) as things:
        try:
            programs = {**installed_programs(), "vmagent": Path(shutil.which("vmagent") or "")}
            kit = build_kit(folder / "reporting-kit", programs, extra=libraries())
            things.blobs.add(kit, folder / "reporting-kit")
            door = f"{NAME_FOR_HOSTS}:{PORT_FOR_HOSTS}"
            outward = {f"{STORE}:80": ("127.0.0.1", things.blobs.port), door: ("127.0.0.1", monitoring.door_port)}
            rented = rent(hosts, things, outward=outward, ca_pem=monitoring.ca_pem)
            user = Reporter("4711", "chat-0", "abc").user
            reporting = Reporting(f"https://{door}", user, password_for(KEY, user), SCRAPE_SECONDS)
            rented.spec = replace(rented.spec, kit=kit, reporting=reporting)
            rented.converge()
            yield rented
        finally:
            hosts.close()
