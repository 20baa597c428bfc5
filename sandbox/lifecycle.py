"""Starts, ends and asks the daemon, the process that is the cloud on this machine.

One daemon holds the market, its hosts and the object store. When it ends, also by kill -9, all of that ends with it.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.control import Unreachable, ask
from sandbox.errors import SandboxError
from sandbox.settings import Settings, store_folder

START_SECONDS, NODE_SECONDS = 90.0, 240.0
STOP_SECONDS = 90.0
LOOK_SECONDS = 0.05
# The variables of a shell that a controller needs to run Pulumi as that shell would.
HANDED_OVER = ("PATH", "PYDANTIC_DISABLE_PLUGINS")
HANDED_OVER_FROM = "PULUMI_"


def up(wanted: Settings, words: list[str], foreground: bool) -> None:
    """Start the daemon and return when everything answers.

    A running daemon switches to the wanted vLLM for new hosts, and starts monitoring if it is wanted and missing.
    `words` are the options of `up` for the daemon's process.
    """
    lock = _lock(wanted.state)
    if lock is None:
        _await(wanted, None)
        print("The sandbox is running already.")
        found = reach(wanted.state, "vllm", vllm=wanted.vllm)
        if wanted.hetzner != "off" and not found["hetzner"]:
            found = start_hetzner(wanted.state, wanted.hetzner == "api")
        found = _join_monitoring(wanted.state) if wanted.watched and not found["monitoring"] else found
        if wanted.watched and bool(wanted.node_images) != found["node"]:
            has = "has a node" if found["node"] else "has no node"
            raise SandboxError(f"It runs, and its cluster {has}. To change that, end it first: make down")
        _print(found)
        return
    if foreground:
        # The lock stays held until this process has ended, which is what `down` waits for.
        from sandbox.serving import serve  # noqa: PLC0415 -- takes a second, and only the daemon needs it

        serve(wanted)
        return
    os.close(lock)
    with wanted.log.open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "up", *words, "--foreground", "--state", str(wanted.state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
    found = _await(wanted, daemon)
    print("The sandbox is up.")
    _print(found)


def _join_monitoring(state: Path) -> dict[str, Any]:
    """Start monitoring in the running daemon and return the new status. Raises SandboxError."""
    found = reach(state, "monitoring")
    if "error" in found:
        raise SandboxError(f"It runs, and its monitoring did not start: {found['error']}")
    print("Its monitoring and its cluster run now, too.")
    return found


def start_hetzner(state: Path, api_only: bool) -> dict[str, Any]:
    """Start the emulated Hetzner in the running daemon, print how it is reached, return the status. Raises SandboxError."""
    found = reach(state, "hetzner", api_only=api_only)
    if "error" in found:
        raise SandboxError(f"The emulated Hetzner did not start: {found['error']}")
    _print_hetzner(found["hetzner"])
    return found


def run_controller(state: Path, stack: str, environ: Mapping[str, str]) -> None:
    """Have the daemon run the controller of a stack's elastic fleets, with this shell's Pulumi and the program in the current
    folder. Raises SandboxError.

    Backend and passphrase go through the control socket, which only this user opens.
    """
    handed = {key: text for key, text in environ.items() if key in HANDED_OVER or key.startswith(HANDED_OVER_FROM)}
    handed["GPU_FLEET_PROJECT"] = str(Path.cwd())
    found = reach(state, "controller", stack=stack, environment=handed)
    if "error" in found:
        raise SandboxError(f"The controller did not start: {found['error']}")
    print(f"The controller of stack {stack} runs at {found['controller']['url']}.")


def stop_controller(state: Path) -> None:
    """End the controller; rented instances stay. Raises SandboxError if no sandbox runs."""
    reach(state, "controller", off=True)
    print("No controller runs.")


def down(state: Path) -> None:
    """End the daemon and return when its process and everything in it is gone."""
    lock = _lock(state)
    if lock is not None:
        os.close(lock)
        print("The sandbox is not running.")
        return
    reach(state, "down")
    deadline = time.monotonic() + STOP_SECONDS
    while (lock := _lock(state)) is None:
        if time.monotonic() > deadline:
            raise SandboxError(f"It did not end within {STOP_SECONDS:.0f} s. Its log: {state / 'sandbox.log'}")
        time.sleep(LOOK_SECONDS)
    os.close(lock)
    print("The sandbox is down: every host and the object store have ended.")


def clean(state: Path) -> None:
    """Remove the buckets that a killed sandbox left; they belong to stacks, and only a stack empties its own.

    Refuses while a sandbox runs, because its stacks may need them. Cleaning twice is harmless.
    """
    lock = _lock(state)
    if lock is None:
        raise SandboxError("It is running, so nothing was removed. End it first: python -m sandbox down")
    store = store_folder(state)
    try:
        if store.exists():
            shutil.rmtree(store)
            print(f"Removed what the sandbox's object store kept: {store}")
    except OSError as error:
        raise SandboxError(f"{error.filename or store} cannot be removed: {error.strerror}.") from None
    finally:
        os.close(lock)


def status(state: Path, as_json: bool) -> None:
    """Print the running services. As JSON, a stopped sandbox is a normal answer: its market is null."""
    try:
        found = ask(state, "status")
    except Unreachable:
        if not as_json:
            raise SandboxError(_not_running()) from None
        found = {"market": None, "store": None}
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)


def arm(state: Path, asked: dict[str, Any]) -> None:
    """Arm a fault in the sandbox that runs, or switch it off."""
    answered = reach(state, "fault", **asked)
    if "error" in answered:
        raise SandboxError(answered["error"])
    print(f"{asked['name']}: {answered['said']}")


def make_key(state: Path, scopes: str, account: str | None) -> None:
    """Print a new key for the market. Raises SandboxError."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    answered = reach(state, "key", scopes=wanted, account=account)
    if "error" in answered:
        raise SandboxError(answered["error"])
    print(answered["key"])


def _await(wanted: Settings, daemon: "subprocess.Popen[bytes] | None") -> dict[str, Any]:
    """Return the status as soon as the daemon answers. `daemon` is the process that this call started, if any."""
    patience = NODE_SECONDS if wanted.node_images else START_SECONDS
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            return ask(wanted.state, "status")
        except Unreachable:
            if daemon is not None and daemon.poll():
                raise SandboxError(_last_line(wanted.log).removeprefix("sandbox: ")) from None
        time.sleep(LOOK_SECONDS)
    if daemon is not None:
        daemon.terminate()
    raise SandboxError(f"It did not answer within {patience:.0f} s. Its log: {wanted.log}")


def reach(state: Path, word: str, **options: object) -> dict[str, Any]:
    """Ask the running daemon. Raises SandboxError if none runs."""
    try:
        return ask(state, word, **options)
    except Unreachable:
        raise SandboxError(_not_running()) from None


def _not_running() -> str:
    return "The sandbox is not running, or still starting. Start it with: python -m sandbox up"


def _lock(state: Path) -> int | None:
    """Take the lock that a running daemon holds; None if a daemon holds it. Raises SandboxError."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SandboxError(f"The state folder {state} cannot be used: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _last_line(log: Path) -> str:
    """Return the last line of a daemon's log, which says why it ended."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1] if lines else f"It wrote nothing to {log}."


def _print(found: dict[str, Any]) -> None:
    market, store = found["market"], found["store"]
    print(f"  market       {market['url']}  (key {market['key']}, {found['time_scale']:g} market seconds a second)")
    if store:
        print(f"  store        {store['endpoint']}  (hosts know it as {store['host_endpoint']})")
    if found["postgres"]:
        print(f"  postgres     {found['postgres']['dsn']}")
    if found["controller"]:
        print(f"  controller   {found['controller']['url']}")
    for name, url in found["monitoring"].items():
        print(f"  {name:12} {url}")
    if found["hetzner"]:
        _print_hetzner(found["hetzner"])
    rented = market["instances"]
    print(
        f"  meter        {len(rented)} rented, ${market['usd_per_hour']:.4f}/h now, ${market['usd_billed']:.4f} so far"
    )
    for one in rented:
        print(
            f"               {one['id']}  {one['status']:10} {one['gpu']:18} ${one['usd_per_hour']:.4f}/h  {one['label']}"
        )
    for route, count in found["market"]["not_emulated"].items():
        print(f"  not emulated {route}, called {count} x")
    for name, left in found["faults"].items():
        print(f"  fault        {name}, {'until it is switched off' if left is None else f'{left} x to come'}")


def _print_hetzner(one: dict[str, Any]) -> None:
    print(f"  hetzner      HCLOUD_ENDPOINT={one['url']} HCLOUD_TOKEN={one['token']}")
    print(f"               k3s {one['k3s']['version']}, sha256 {one['k3s']['sha256']}")
    for server in one["servers"]:
        print(f"               {server['id']}  {server['status']:10} {server['ipv4'] or '-':16} {server['name']}")
