"""Runs the Pulumi program once, as the child process of language_host.py.

Exit status: 0 = done; 32 = failed, and the operator has seen one message; anything else = the interpreter itself
failed. A `pulumi.RunError` is one sentence without a traceback; any other exception is a bug and shows the program's
own frames.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pulumi
import pulumi.runtime

MESSAGE_SHOWN = 32
PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def main() -> NoReturn:
    """Run what the environment's GPU_FLEET_RUN describes and end the process without Python's own shutdown."""
    request = json.loads(os.environ.pop("GPU_FLEET_RUN"))
    die_with(request["host"])
    signal.signal(signal.SIGINT, lambda *_: os._exit(MESSAGE_SHOWN))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # after a failed step it complains of abandoned futures
    status = run(request)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads that still wait for the engine would hold an orderly exit, and print tracebacks


def run(request: dict[str, Any]) -> int:
    """Set the SDK up for this order and run the program; returns the exit status."""
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            monitor=request["monitor"],
            engine=request["engine"],
            project=request["project"],
            stack=request["stack"],
            organization=request["organization"],
            parallel=request["parallel"],
            dry_run=request["dry_run"],
            root_directory=request["root_directory"],
        )
    )
    program = request["program"]
    sys.argv = [program, *request["arguments"]]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # The SDK waits for each registration in a thread; Python's default (cores + 4) would let six run at once.
    loop.set_default_executor(ThreadPoolExecutor(max_workers=4 * max(request["parallel"], 1)))

    def start() -> None:
        runpy.run_path(program, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(start))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return MESSAGE_SHOWN
    except SystemExit as error:
        return exit_status(error)
    except BaseException as error:  # noqa: BLE001 - whatever the program raised ends here, told to the operator
        pulumi.log.error("The program failed with an unexpected exception:\n" + traceback_of(error, program))
        return MESSAGE_SHOWN
    return 0


def exit_status(error: SystemExit, show: Callable[[str], None] = pulumi.log.error) -> int:
    """Translate sys.exit(...) as Python does: a text is shown and means failure."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    show(str(error.code))
    return MESSAGE_SHOWN


def traceback_of(error: BaseException, program: str) -> str:
    """Format the traceback from the program's first frame on; whole if no frame is the program's."""
    folder = Path(program).resolve()
    folder = folder if folder.is_dir() else folder.parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [n for n, frame in enumerate(frames) if is_own(Path(frame.filename), folder)]
    shown = traceback.TracebackException.from_exception(error)
    if own:
        shown.stack = traceback.StackSummary.from_list(frames[own[0] :])
    return "".join(shown.format())


def is_own(file: Path, folder: Path) -> bool:
    """Say whether a frame's file is the program's: neither Python's own ("<frozen runpy>") nor an installed
    package's."""
    return file.is_absolute() and "site-packages" not in file.parts and file.resolve().is_relative_to(folder)


def die_with(host: int) -> None:
    """Have Linux kill this process when the language host ends, however it ends; end now if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != host:
        os._exit(1)


if __name__ == "__main__":
    main()
