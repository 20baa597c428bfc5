"""The cloud on this machine: `python -m sandbox up|down|clean|status|faults|fault|key`.

One daemon holds the market, its hosts and the object store; when it ends, in whatever way, all of that ends with it.
"""

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sandbox import settings as defaults
from sandbox.control import Unreachable, ask
from sandbox.daemon import SandboxError, read_log, serve
from sandbox.faults import commands
from sandbox.market.keys import SCOPES
from sandbox.settings import Settings, folders, store_folder

START_SECONDS = 90.0
STOP_SECONDS = 90.0
LOOK_SECONDS = 0.05


def main(arguments: list[str]) -> int:
    """Run one command; 1 and a sentence on stderr where it cannot be done."""
    options = parser().parse_args(arguments)
    state, cache = folders(os.environ)
    state = Path(options.state).resolve() if options.state else state
    try:
        if options.command == "up":
            up(settings(options, state, cache), arguments)
        elif options.command == "down":
            down(state)
        elif options.command == "clean":
            clean(state)
        elif options.command == "status":
            status(state, as_json=options.json)
        elif options.command == "faults":
            print(commands.armed(_reach(state, "faults")["armed"]) if options.armed else commands.listed())
        elif options.command == "fault":
            arm(state, commands.asked(options))
        elif options.command == "key":
            make_key(state, options.scopes, options.account)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__.splitlines()[0] if __doc__ else None)
    words = top.add_subparsers(dest="command", required=True)
    start = words.add_parser("up", help="start the sandbox, or say that it runs")
    start.add_argument("--vllm", choices=("real", "double"), default="real", help="what images bring to hosts")
    start.add_argument("--time-scale", type=_above_nought, default=defaults.TIME_SCALE, help="market seconds a second")
    start.add_argument("--seed", type=int, default=1, help="which machines the market has")
    start.add_argument("--market-port", type=int, default=defaults.MARKET_PORT)
    start.add_argument("--store-port", type=int, default=defaults.STORE_PORT)
    start.add_argument("--store-https-port", type=int, default=defaults.STORE_HTTPS_PORT)
    start.add_argument("--prometheus-port", type=int, default=defaults.PROMETHEUS_PORT)
    start.add_argument("--alertmanager-port", type=int, default=defaults.ALERTMANAGER_PORT)
    start.add_argument("--exporter-port", type=int, default=defaults.EXPORTER_PORT)
    start.add_argument("--door-port", type=int, default=defaults.DOOR_PORT)
    start.add_argument("--kubernetes-port", type=int, default=defaults.KUBERNETES_PORT)
    start.add_argument(
        "--monitoring",
        choices=("on", "off"),
        default="off",
        help="Prometheus, Alertmanager, exporter, door, API server",
    )
    start.add_argument("--old-list", action="store_true", help="the market's list has its first version, too")
    start.add_argument("--market-only", action="store_true", help="no object store, and hosts that nobody can log into")
    start.add_argument("--foreground", action="store_true", help="stay in this process, until it is terminated")
    stop = words.add_parser("down", help="end the sandbox and everything in it")
    wipe = words.add_parser("clean", help="remove what the object store of an ended sandbox has kept")
    show = words.add_parser("status", help="what runs, and what the market's meter says")
    show.add_argument("--json", action="store_true")
    faults = words.add_parser("faults", help="list what can be made to go wrong, or what is armed")
    commands.describe_list(faults)
    fault = words.add_parser("fault", help="let something go wrong")
    commands.describe_one(fault)
    key = words.add_parser("key", help="make a key for the market that opens the calls of its scopes alone")
    key.add_argument("--account", help="whose key, made if there is no account of that name (default: the first one)")
    key.add_argument("--scopes", required=True, help=f"comma-separated: {', '.join(SCOPES)}")
    for command in (start, stop, wipe, show, faults, fault, key):
        command.add_argument("--state", help="folder of the sandbox's state")
    return top


def settings(options: argparse.Namespace, state: Path, cache: Path) -> Settings:
    """Return what `up` was asked for."""
    return Settings(
        state=state,
        cache=cache,
        vllm=options.vllm,
        time_scale=options.time_scale,
        seed=options.seed,
        market_port=options.market_port,
        store_port=options.store_port,
        store_https_port=options.store_https_port,
        prometheus_port=options.prometheus_port,
        alertmanager_port=options.alertmanager_port,
        exporter_port=options.exporter_port,
        door_port=options.door_port,
        kubernetes_port=options.kubernetes_port,
        monitoring=options.monitoring == "on",
        market_only=options.market_only,
        old_list=options.old_list,
    )


def up(wanted: Settings, arguments: list[str]) -> None:
    """Start the daemon and return when everything answers; one that runs is told which vLLM to bring from now on."""
    lock = _lock(wanted.state)
    if lock is None:
        _await(wanted, None)
        print("The sandbox is running already.")
        _print(_reach(wanted.state, "vllm", vllm=wanted.vllm))
        return
    if "--foreground" in arguments:
        # The lock stays held until this process has ended, which is what `down` waits for.
        serve(wanted)
        return
    os.close(lock)
    with wanted.log.open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *arguments, "--foreground", "--state", str(wanted.state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
    found = _await(wanted, daemon)
    print("The sandbox is up.")
    _print(found)


def down(state: Path) -> None:
    """End the daemon and return when its process is gone, and all that it held with it."""
    lock = _lock(state)
    if lock is not None:
        os.close(lock)
        print("The sandbox is not running.")
        return
    _reach(state, "down")
    deadline = time.monotonic() + STOP_SECONDS
    while (lock := _lock(state)) is None:
        if time.monotonic() > deadline:
            raise SandboxError(f"It did not end within {STOP_SECONDS:.0f} s. Its log: {state / 'sandbox.log'}")
        time.sleep(LOOK_SECONDS)
    os.close(lock)
    print("The sandbox is down: every host and the object store have ended.")


def clean(state: Path) -> None:
    """Remove the buckets that outlived their sandbox: a killed one empties none, and they belong to stacks.

    Refused while a sandbox runs, whose stacks may need them. Cleaning twice is harmless.
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
    """Print what runs. As JSON, a sandbox that does not run is an answer like any other: its market is null."""
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
    answered = _reach(state, "fault", **asked)
    if "error" in answered:
        raise SandboxError(answered["error"])
    print(f"{asked['name']}: {answered['said']}")


def make_key(state: Path, scopes: str, account: str | None) -> None:
    """Print a new key for the market. Raises SandboxError."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    answered = _reach(state, "key", scopes=wanted, account=account)
    if "error" in answered:
        raise SandboxError(answered["error"])
    print(answered["key"])


def _await(wanted: Settings, daemon: "subprocess.Popen[bytes] | None") -> dict[str, Any]:
    """Return the status as soon as there is one. `daemon` is the process that was started for it, if any."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            return ask(wanted.state, "status")
        except Unreachable:
            if daemon is not None and daemon.poll():
                raise SandboxError(read_log(wanted.log).removeprefix("sandbox: ")) from None
        time.sleep(LOOK_SECONDS)
    if daemon is not None:
        daemon.terminate()
    raise SandboxError(f"It did not answer within {START_SECONDS:.0f} s. Its log: {wanted.log}")


def _reach(state: Path, word: str, **options: object) -> dict[str, Any]:
    try:
        return ask(state, word, **options)
    except Unreachable:
        raise SandboxError(_not_running()) from None


def _not_running() -> str:
    return "The sandbox is not running, or still starting. Start it with: python -m sandbox up"


def _lock(state: Path) -> int | None:
    """Take the lock that a running daemon holds; None where one does. Raises SandboxError."""
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


def _print(found: dict[str, Any]) -> None:
    market, store = found["market"], found["store"]
    print(f"  market       {market['url']}  (key {market['key']}, {found['time_scale']:g} market seconds a second)")
    if store:
        print(f"  store        {store['endpoint']}  (hosts know it as {store['host_endpoint']})")
    for name, url in found["monitoring"].items():
        print(f"  {name:12} {url}")
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


def _above_nought(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
