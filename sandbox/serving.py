"""The daemon's process: one sandbox until its end, and the answers to the commands of its control socket."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from sandbox.control_socket import ControlSocket
from sandbox.daemon import Sandbox
from sandbox.errors import SandboxError
from sandbox.faults import FAULTS, FaultUnknown
from sandbox.market.keys import ScopeUnknown
from sandbox.settings import Settings


def serve(settings: Settings) -> None:
    """Run a sandbox until the command `down` or a signal to end.

    The caller holds the lock of the state folder until the process ends. Raises SandboxError.
    """
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    sandbox = Sandbox(settings)
    sandbox.start()
    control = ControlSocket(settings.state, answer(sandbox, over))
    control.start()
    try:
        over.wait()
    finally:
        control.stop()
        sandbox.stop()


def answer(sandbox: Sandbox, over: threading.Event) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Return the function that answers the commands of the control socket: status, fault, faults, key, vllm, monitoring,
    controller, hetzner, down.
    """

    def one(word: str, options: dict[str, Any]) -> dict[str, Any]:
        if word == "fault":
            return _fault(sandbox, options)
        if word == "faults":
            return {"armed": sandbox.market.faults.report()}
        if word == "key":
            return _make_key(sandbox, options)
        if word == "vllm":
            sandbox.switch_vllm(options["vllm"])
        elif word in ("monitoring", "controller", "hetzner"):
            try:
                _join(sandbox, word, options)
            except SandboxError as error:
                return {"error": str(error)}
        elif word == "down":
            over.set()
        return sandbox.status()

    return one


def _join(sandbox: Sandbox, word: str, options: dict[str, Any]) -> None:
    if word == "monitoring":
        sandbox.join_monitoring()
    elif word == "hetzner":
        sandbox.join_hetzner(with_machines=not options.get("api_only"))
    elif options.get("off"):
        sandbox.stop_controller()
    else:
        sandbox.run_controller(str(options["stack"]), options["environment"])


def _fault(sandbox: Sandbox, options: dict[str, Any]) -> dict[str, Any]:
    name = str(options.pop("name", ""))
    try:
        if options.pop("off", False):
            return {"said": f"{sandbox.disarm(name)} switched off."}
        sandbox.arm(name, **options)
    except FaultUnknown as error:
        return {"error": str(error)}
    return {"said": FAULTS[name].sentence}


def _make_key(sandbox: Sandbox, options: dict[str, Any]) -> dict[str, Any]:
    try:
        scopes = list(map(str, options.get("scopes", ())))
        return {"key": sandbox.make_key(scopes, str(options.get("account") or ""))}
    except ScopeUnknown as error:
        return {"error": f"Of the scopes asked for, {error}."}
