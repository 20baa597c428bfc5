"""The environment in which Pulumi runs the project, for a command that was called in a shell without it."""

import os
import shutil

from cli.errors import CommandError

SANDBOX_STACK = "local"
SHELL = '`eval "$(make -s env)"` gives it to this shell, `eval "$(make -s env STACK=NAME)"` for a real stack'


def ensure(stack: str | None) -> None:
    """Enter the environment of the stack that is named if this shell has none. Raises CommandError.

    A shell with `pulumi` on PATH is the operator's own and stays as it is; only the sandbox's stack also needs its backend.
    """
    sandbox = stack == SANDBOX_STACK
    if shutil.which("pulumi") and (os.environ.get("PULUMI_BACKEND_URL") or not sandbox):
        return
    from offline import engine  # noqa: PLC0415 -- the image of the exporter has no set-up
    from tools import env  # noqa: PLC0415
    from tools.machine import paths  # noqa: PLC0415
    from tools.machine.steps import complete  # noqa: PLC0415

    where = paths.find(env.CHECKOUT, os.environ)
    if not complete(where.venv) or not (where.engine_bin.is_dir() or engine.own_pulumi(where, os.environ)):
        raise CommandError("set-up has not run for this checkout; `make setup` brings what is missing")
    if stack is None:
        raise CommandError(f"this shell has not the project's environment: {SHELL}. Or name a stack with --stack.")
    if sandbox:
        env.enter(env.sandbox_environment(where, os.environ))
    else:
        wanted = {**os.environ, **env.real_environment(where, os.environ)}
        env.enter({name: value for name, value in wanted.items() if value is not None})
