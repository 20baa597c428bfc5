"""Debian packages that the sandbox's hosts, the kit and a Kubernetes node need; other systems are told what to bring."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tools.machine.steps import SetupError, run, step

PROGRAMS = {"sshd": "openssh-server", "runsv": "runit"}  # program: the package that brings it
# The programs that a Kubernetes node calls or that make its images.
NODE_PROGRAMS = {
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "nft": "nftables",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}
NODE_WHAT_FOR = "a Kubernetes node runs and connects pods by them, and buildah and mmdebstrap make the images of pods"
BROWSER_WHAT_FOR = "tests look at the pages in it; without a browser they skip that"
BROWSERS = ("chromium", "google-chrome-stable", "google-chrome", "chromium-browser")
WHAT_FOR = "emulated hosts run its sshd, and its supervisor (runit) goes to each rented host"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLICY = Path("/usr/sbin/policy-rc.d")


def missing(which: Callable[[str], str | None], programs: Mapping[str, str] = PROGRAMS) -> list[str]:
    """Return the packages whose program is not found, sorted."""
    return sorted({package for program, package in programs.items() if not which(program)})


def install_packages(environ: dict[str, str]) -> None:
    """Install the missing packages through apt-get, without starting any service; SetupError with the command otherwise."""
    if wanted := missing(_found):
        install(wanted, environ, WHAT_FOR)


def install_node_packages(environ: dict[str, str]) -> None:
    """Install what a Kubernetes node and its images lack, as `install_packages` does."""
    if wanted := missing(_found, NODE_PROGRAMS):
        install(wanted, environ, NODE_WHAT_FOR)


def _found(program: str) -> str | None:
    return shutil.which(program, path=SYSTEM_PATH)


def install_browser(environ: dict[str, str]) -> None:
    """Install Chromium if there is no browser that tests can look at pages with; without one they say so and skip."""
    if browser() is None:
        try:
            install(["chromium"], environ, BROWSER_WHAT_FOR)
        except SetupError as error:
            print(f"set-up: no browser, so the tests look at no page. {error}", file=sys.stderr)


def browser() -> str | None:
    """Return the browser that tests look at pages with."""
    return next(filter(None, (shutil.which(name, path=SYSTEM_PATH) for name in BROWSERS)), None)


def install(wanted: Sequence[str], environ: dict[str, str], what_for: str) -> None:
    """Install packages; `what_for` tells the operator why. Raises SetupError."""
    names = " ".join(wanted)
    if not shutil.which("apt-get", path=SYSTEM_PATH):
        raise SetupError(f"This needs the programs of Debian's packages {names}; install them and try again.")
    prefix = become_root()
    if prefix is None:
        raise SetupError(
            f"This needs Debian's {names}: {what_for}. "
            f"Only root may install them: sudo apt-get install {names}. Without them, `make check` works."
        )
    env = environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = [*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
    print(
        f"set-up: root is needed once, for Debian's {names}: {what_for}. Without root, `make check` works.",
        file=sys.stderr,
        flush=True,
    )
    with step(f"Debian packages {names}"), no_service_starts(prefix, environ):
        run([*prefix, "apt-get", "update", "-qq"], "Reading Debian's package lists", env)
        run(install, "Installing Debian packages", env)


def become_root() -> list[str] | None:
    """Return the words in front of a command that make it root's: none for root, sudo if it asks nothing."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    try:
        run(["sudo", "-n", "true"], "sudo")
    except SetupError:
        return None
    return ["sudo", "-n", "--preserve-env=DEBIAN_FRONTEND"]


@contextlib.contextmanager
def no_service_starts(prefix: list[str], environ: dict[str, str]) -> Iterator[None]:
    """Keep package scripts from starting services: the sandbox starts its own sshd, this machine's stays as it was.

    Debian asks /usr/sbin/policy-rc.d, where 101 means "forbidden". One that is there already (containers) is left
    alone. Where systemd runs, an sshd that came with the package is also kept from starting at the next boot.
    """
    had_sshd = bool(shutil.which("sshd", path=SYSTEM_PATH))
    if POLICY.exists():
        yield
        return
    run(
        [*prefix, "sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' >{POLICY} && chmod 755 {POLICY}"],
        "Holding services",
    )
    try:
        yield
    finally:
        run([*prefix, "rm", "-f", POLICY], "Letting services start again")
        if not had_sshd and Path("/run/systemd/system").is_dir():
            run([*prefix, "systemctl", "disable", "ssh"], "Keeping sshd from starting at boot", environ)
