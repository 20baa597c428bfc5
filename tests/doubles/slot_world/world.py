"""One main stack's elastic fleet `burst` around a real controller process: PostgreSQL, market, SSH and lease are real.

    with running_shared(folder) as shared:
        world = slot_world(shared, dsn, Elastic(max=2))
        world.process().start()
        world.disagreements() == []        # rows, slots' stacks and the market say the same

Played are Pulumi's command (`pulumi.py`) and the host behind the login (`logins.py`). So a slot boots in `boot_seconds`, and
one machine carries fifty.
"""

import contextlib
import http.server
import itertools
import json
import os
import secrets
import shutil
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from config.elastic import Elastic
from providers.elastic.slot_output import DIGEST
from providers.identity.tokens import token_for
from providers.vast.instance_request import rent_body
from providers.vast.pulumi_state import INSTANCE
from sandbox.daemon import Sandbox
from sandbox.market.server import KEY
from sandbox.settings import Settings
from tests.doubles.controller_process import ControllerProcess
from tests.doubles.slot_world.logins import Logins, running_logins
from tests.doubles.tls import Pair, pair

HERE = Path(__file__).parent
NETS, MOST_SLOTS = 8, 60
TIME_SCALE = 100.0
STACK, FLEET, CLIENT = "dev", "burst", "team"
NUMBERS = itertools.count()


@dataclass
class Doors:
    """Answers renewals of leases, and counts them by token."""

    port: int
    tls: Pair
    renewed: dict[str, int] = field(default_factory=dict)


@dataclass
class Shared:
    """What several worlds use together: a market, hosts' logins, and a door for leases."""

    folder: Path
    sandbox: Sandbox
    logins: Logins
    doors: Doors

    def contracts(self, label: str) -> list[int]:
        """Return the ids of all instances that were ever rented under a label."""
        return [one.id for one in self.sandbox.market.current_and_ended() if one.label == label]


@dataclass
class SlotWorld:
    """One stack, its folder, and how its controller is started. `gates` has a folder a host that is there."""

    shared: Shared
    folder: Path
    gates: Path
    dsn: str = field(repr=False)
    stack_id: str
    net: str
    key: str = field(repr=False)
    token_secret: str = field(repr=False)
    environment: dict[str, str] = field(repr=False)

    def process(self, name: str = "controller") -> ControllerProcess:
        """Return a controller process that is to be started. Each has a log of its own."""
        home = self.folder / name
        home.mkdir()
        return ControllerProcess(self.folder, self.environment, home / "log", STACK, self.dsn, self.key)

    def label(self, index: int) -> str:
        return f"gpu-fleet/{self.stack_id}/{FLEET}-s{index}"

    def renewals(self, index: int) -> int:
        """Return how often the lease of a slot's host was renewed."""
        return self.shared.doors.renewed.get(token_for(self.token_secret, f"{FLEET}-s{index}", 0), 0)

    def rows(self) -> dict[int, tuple[str, str | None]]:
        """Return the rows of slots: state and claim by index."""
        with psycopg.connect(self.dsn) as connection:
            found = connection.execute(
                "select index, state, claim from gpu_fleet.slots where state <> 'absent'"
            ).fetchall()
        return {index: (state, claim) for index, state, claim in found}

    def stacks(self) -> dict[int, dict[str, Any]]:
        """Return what the slots' stacks record, by index."""
        files = sorted((self.folder / "world" / "stacks").glob("*.json"))
        return {int(file.stem.rpartition("-")[2]): json.loads(file.read_text()) for file in files}

    def locks(self) -> list[str]:
        return [file.name for file in (self.folder / "world" / "stacks").glob("*.lock")]

    def rented(self) -> dict[int, list[int]]:
        """Return what the market charges for now: ids by slot."""
        found: dict[int, list[int]] = {}
        for one in self.shared.sandbox.market.all():
            stem = f"gpu-fleet/{self.stack_id}/{FLEET}-s"
            if str(one.label).startswith(stem):
                found.setdefault(int(str(one.label).removeprefix(stem)), []).append(one.id)
        return found

    def disagreements(self) -> list[str]:
        """Return in what rows, stacks and market differ, and which slot is not at rest."""
        rows, stacks, rented = self.rows(), self.stacks(), self.rented()
        said = [f"the row of {index} is {state}" for index, (state, _claim) in rows.items() if state != "ready"]
        for index in {*rows, *stacks, *rented}:
            there = stacks.get(index, {"instance": None, "pending": False})
            known = [] if there["instance"] is None else [there["instance"]]
            if rented.get(index, []) != known or (index in rows) != bool(known) or there["pending"]:
                said.append(f"slot {index}: row {rows.get(index)}, stack {there}, market {rented.get(index)}")
            if index in rows and not (self.gates / f"{self.net}.{index + 1}" / "open").exists():
                said.append(f"slot {index} is {rows[index]}, and its gate is closed")
        return said + [f"{name} is left" for name in self.locks()]


@contextlib.contextmanager
def running_shared(folder: Path) -> Iterator[Shared]:
    """Run market, hosts' logins and the door for leases until the block ends."""
    gates = folder / "gates"
    gates.mkdir(parents=True)
    addresses = [f"127.0.{net}.{n + 1}" for net in range(1, NETS + 1) for n in range(MOST_SLOTS)]
    with contextlib.ExitStack() as stack:
        logins = stack.enter_context(running_logins(gates, addresses))
        doors = stack.enter_context(_lease_doors(folder))
        sandbox = Sandbox(Settings(folder / "market", folder, market_only=True, time_scale=TIME_SCALE))
        sandbox.start()
        stack.callback(sandbox.stop)
        yield Shared(folder, sandbox, logins, doors)


def slot_world(shared: Shared, dsn: str, bounds: Elastic, boot_seconds: float = 0.3) -> SlotWorld:
    """Make a stack that has applied a fleet with these bounds, and a database that is empty."""
    number = next(NUMBERS) % NETS
    folder = shared.folder / f"world-{secrets.token_hex(4)}"
    home = folder / "world"
    home.mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: gpu-fleet\nruntime: python\n")
    programs = folder / "bin"
    programs.mkdir()
    _program(programs / "pulumi", (HERE / "pulumi.py").read_text())
    stack_id, net = secrets.token_hex(8), f"127.0.{number + 1}"
    gates = shared.folder / "gates"
    for left in gates.glob(f"{net}.*"):
        shutil.rmtree(left)
    (home / "gates").symlink_to(gates)
    secret, key = secrets.token_hex(32), secrets.token_urlsafe(32)
    applied = _applied(shared, stack_id, bounds, secret, key)
    world = {
        "elastic": applied,
        "label": f"gpu-fleet/{stack_id}",
        "net": net,
        "sshPort": shared.logins.port,
        "hostKey": shared.logins.host_key,
        "endpoint": f"https://127.0.0.1:{shared.doors.port}",
        "type": INSTANCE,
        "digestKey": DIGEST,
        "market": applied["marketUrl"],
        "key": KEY,
        "offers": [offer["id"] for offer in shared.sandbox.market.listed()],
        "rent": rent_body("image", 10, "", "true", 8443),
        "bootSeconds": boot_seconds,
    }
    (home / "world.json").write_text(json.dumps(world))
    environment = {
        "HOME": str(folder),
        "PATH": f"{programs}:/usr/sbin:/usr/bin:/bin",
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "SLOT_WORLD": str(home),
        "TMPDIR": str(folder),
    }
    return SlotWorld(shared, folder, gates, dsn, stack_id, net, key, secret, environment)


def _applied(shared: Shared, stack_id: str, bounds: Elastic, secret: str, key: str) -> Mapping[str, Any]:
    """Return the main stack's output `elastic`."""
    url = str(shared.sandbox.status()["market"]["url"])
    fleet = {
        "bounds": bounds.model_dump(by_alias=True),
        "model": "llama-3.1-8b",
        "gpus": ["RTX 4090"],
        "ceilingUsdPerHour": 0.6,
        "digest": "of-this-config",
        "instance": {"market": {"url": url, "timeScale": TIME_SCALE}, "server": {"port": 8443}},
    }
    client = {"scopes": ["provision", "read"], "maxInstances": 100, "maxTtlMinutes": 600, "apiKey": key}
    return {
        "version": 1,
        "stack": STACK,
        "project": "gpu-fleet",
        "stackId": stack_id,
        "fleets": {FLEET: fleet},
        "clients": {CLIENT: client},
        "marketUrl": url,
        "tokenSecret": secret,
        "sshKey": shared.logins.private_key,
        "caCertificate": shared.doors.tls.ca,
        "keys": {"vastApiKey": KEY},
    }


def _program(file: Path, text: str) -> None:
    """Write a Python program that ignores the environment of Python."""
    file.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{text}")
    file.chmod(0o755)


@contextlib.contextmanager
def _lease_doors(folder: Path) -> Iterator[Doors]:
    """Answer `POST /lease` over TLS on a loopback port."""
    tls = pair(("127.0.0.1",))
    (folder / "door.crt").write_text(tls.certificate)
    (folder / "door.key").write_text(tls.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "door.crt", folder / "door.key")
    doors = Doors(0, tls)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            doors.renewed[token] = doors.renewed.get(token, 0) + 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    doors.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield doors
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
