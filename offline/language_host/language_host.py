"""The engine's Python language host, for an engine that was built from source and brings none.

Started by the engine as `pulumi-language-python ... <engine address>`. It prints the port of its gRPC server on the
first line of stdout, runs the program in a child process (run_program.py beside it) for each Run call, and ends with
the engine, because with_engine.py starts it.

It speaks the SDK's protocol without the SDK: `import pulumi` is half of the processor time and of the memory that this
process would take, for every command of the CLI.

It does not resolve packages or install dependencies: set-up has done that. It answers every other request with
"unimplemented" and one sentence, never with an empty success.
"""

# ruff: noqa: ARG002, N802  (names and parameters are those of the engine's interface)

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, metadata
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2

MESSAGE_SHOWN = 32  # the child's exit status for "the operator has seen the message"
CONFIG_LIMIT_BYTES = 128 * 1024 - len("PULUMI_CONFIG=") - 1  # Linux's bound on one environment string
MESSAGE_LIMIT_BYTES = 400 * 2**20  # what the engine itself accepts in one gRPC message
PROTOCOL = "engine_protocol"  # the name under which the SDK's generated files are imported


def protocol(name: str) -> Any:
    """Import one of the SDK's generated files by itself; `pulumi` and `pulumi.runtime` stay out of this process."""
    if PROTOCOL not in sys.modules:
        sdk = PathFinder.find_spec("pulumi")
        if sdk is None or not sdk.submodule_search_locations:
            raise ModuleNotFoundError("pulumi")
        package = ModuleType(PROTOCOL)
        package.__path__ = [str(Path(folder, "runtime", "proto")) for folder in sdk.submodule_search_locations]
        sys.modules[PROTOCOL] = package
    return import_module(f"{PROTOCOL}.{name}")


language_pb2, language_pb2_grpc, plugin_pb2 = map(protocol, ("language_pb2", "language_pb2_grpc", "plugin_pb2"))


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):  # type: ignore[misc, name-defined]
    """The calls that the engine makes; one child process a Run, several Runs at once are allowed."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def Handshake(self, request: Any, context: Any) -> Any:
        """Take the engine's address, which may come here instead of in argv."""
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """Say the SDK's version: this host serves whatever SDK the environment holds."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        """Ask for no plugin: those that the program needs are found on PATH, none can be downloaded here."""
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        """Ask for no package, for the same reason."""
        return language_pb2.GetRequiredPackagesResponse()

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        """List what the environment holds, for `pulumi about`."""
        found = sorted((d.metadata["Name"], d.version) for d in metadata.distributions())
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def About(self, request: Any, context: Any) -> Any:
        """Name the interpreter, for `pulumi about`."""
        return language_pb2.AboutResponse(executable=sys.executable, version=platform.python_version())

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        """Ask nothing: Pulumi.yaml is written."""
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        """Refuse with the command that does it: the environment is set-up's, pinned by digest."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Dependencies are installed by `make up` or `make test`.")

    def RunPlugin(self, request: Any, context: Any) -> Any:
        """Refuse policy packs and source plugins: nothing in this project has one."""
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "This language host runs programs only; policy packs and source plugins need Pulumi's own.",
        )

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program once in a child process and answer how it ended."""
        config = json.dumps(dict(request.config))
        if len(config.encode()) > CONFIG_LIMIT_BYTES:
            return language_pb2.RunResponse(
                error=f"The stack's config is {len(config.encode()):,} bytes; a program gets it as one "
                f"environment string, which ends at {CONFIG_LIMIT_BYTES:,}. Move long lists into a file that "
                "the program reads."
            )
        try:
            child = subprocess.Popen(
                [str(python_of(request)), "-u", str(Path(__file__).with_name("run_program.py"))],
                cwd=request.pwd or None,
                env=os.environ | self._environment(request, config),
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            return language_pb2.RunResponse(error=f"The program's Python cannot be started: {error}")
        with self._lock:
            self._children.add(child)
        try:
            status = child.wait()
        finally:
            with self._lock:
                self._children.discard(child)
        if status == 0:
            return language_pb2.RunResponse()
        if status == MESSAGE_SHOWN:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"The program ended with {describe(status)}.")

    def Cancel(self, request: Any, context: Any) -> Any:
        """End the running programs; the engine has given up on them."""
        self.end_children()
        return empty_pb2.Empty()

    def end_children(self) -> None:
        """Kill every running program: it holds nothing that could be lost, the engine owns the state."""
        with self._lock:
            for child in self._children:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()

    def _environment(self, request: Any, config: str) -> dict[str, str]:
        run = {
            "monitor": request.monitor_address,
            "engine": self._engine_address,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "root_directory": request.info.root_directory,
            "program": program_of(request),
            "host": os.getpid(),
            "arguments": list(request.args),
        }
        return {
            "GPU_FLEET_RUN": json.dumps(run),
            "PULUMI_CONFIG": config,
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }


def python_of(request: Any) -> Path:
    """Return the interpreter of Pulumi.yaml's `virtualenv` option, or this one if the option is absent."""
    options = dict(request.info.options)
    if not options.get("virtualenv"):
        return Path(sys.executable)
    return Path(request.info.root_directory, str(options["virtualenv"]), "bin", "python")


def program_of(request: Any) -> str:
    """Return the path of the program: a folder with a __main__.py, or one file."""
    entry = request.info.entry_point
    folder = request.info.program_directory or request.pwd
    return str(Path(folder, entry)) if entry else (request.program or folder)


def describe(status: int) -> str:
    """Say an exit status in words: a negative one is the signal that ended the process."""
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"


def serve(engine_address: str) -> NoReturn:
    """Serve until a signal comes, from the engine or, once that is gone, from with_engine.py. Ends the programs, too."""
    host = LanguageHost(engine_address)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8),
        options=[
            ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
            ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
        ],
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")

    def end(*_: object) -> NoReturn:
        host.end_children()
        os._exit(0)  # at once and silent: an orderly end prints tracebacks of whatever was waiting

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    server.start()
    print(port, flush=True)
    server.wait_for_termination()
    end()


if __name__ == "__main__":
    serve(sys.argv[-1])
