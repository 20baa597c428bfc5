"""A `pulumi` for PATH that plays slots' stacks: each has a state, a lock and at most one instance on an emulated market.

It stands where the real engine is not what is tested. Standard library alone, so that a command takes no second. The folder
SLOT_WORLD has world.json (see `world.py`), `stacks` with a file a stack, and `gates` with a folder a host. It shares with the
engine: a lock that names its process, an unfinished create that the state records, adoption by label, and an end that the
market confirms.
"""

import json
import os
import random
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HOME = Path(os.environ["SLOT_WORLD"])
WORLD = json.loads((HOME / "world.json").read_text())
LOCKED, FAILED = 255, 1
TRIES = 200


def main(words):
    """Run one command; return its exit status."""
    if words[:2] == ["stack", "output"] and words[2] == "elastic":
        print(json.dumps(WORLD["elastic"]))
        return 0
    stack = Stack(words[words.index("--stack") + 1] if "--stack" in words else words[2 if words[0] == "stack" else 1])
    if words[:2] == ["stack", "init"]:
        if stack.file.exists():
            return fail(f"error: stack '{stack.name}' already exists")
        stack.file.parent.mkdir(exist_ok=True)
        stack.write({"pending": False, "instance": None})
        return 0
    if words[0] == "cancel":
        stack.lock.unlink(missing_ok=True)
        return 0
    if not stack.file.exists():
        return fail(f"error: no stack named '{stack.name}' found")
    if words[:2] in (["stack", "export"], ["stack", "output"]):
        return stack.show(words[1])
    if holder := stack.take():
        return fail(holder, LOCKED)
    try:
        return {"up": stack.up, "destroy": stack.destroy, "refresh": stack.refresh, "stack": stack.remove}[words[0]]()
    finally:
        stack.lock.unlink(missing_ok=True)


def fail(text, status=FAILED):
    """Complain as Pulumi does."""
    print(text, file=sys.stderr)
    return status


class Stack:
    """One slot's stack."""

    def __init__(self, name):
        self.name = name
        self.file, self.lock = HOME / "stacks" / f"{name}.json", HOME / "stacks" / f"{name}.lock"
        fleet, _, index = name.rpartition(".")[2].rpartition("-")
        self.index = int(index or 0)
        self.label = f"{WORLD['label']}/{fleet}-s{index}"
        self.address = f"{WORLD['net']}.{self.index + 1}"
        self.gate = HOME / "gates" / self.address

    def read(self):
        return json.loads(self.file.read_text())

    def write(self, state):
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(state))
        part.replace(self.file)

    def take(self):
        """Take the lock, or return what Pulumi says of the one that is there."""
        try:
            number = os.open(self.lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            who = f"created by root@{socket.gethostname()} (pid {self.lock.read_text() or 1}) at 2026-01-01T00:00:00Z"
            return f"error: the stack is currently locked by 1 lock(s).\n  file:///lock: {who}"
        os.write(number, str(os.getpid()).encode())
        os.close(number)
        return ""

    def show(self, what):
        state = self.read()
        if what == "output":
            print(json.dumps({"digest": state.get("digest", "none")}))
            return 0
        rows = []
        if state["instance"] is not None:
            outputs = {
                "endpoint": WORLD["endpoint"],
                "ssh": f"{self.address}:{WORLD['sshPort']}",
                "hostKey": WORLD["hostKey"],
                "instanceId": state["instance"],
                "chargedUsdPerHour": 0.4,
                "usdPerHour": 0.4,
                "drift": [],
            }
            rows.append({"type": WORLD["type"], "outputs": outputs})
        if "digest" in state:
            rows.append({"type": "pulumi:pulumi:Stack", "outputs": {WORLD["digestKey"]: state["digest"]}})
        pending = [{"type": "creating"}] if state["pending"] else []
        print(json.dumps({"deployment": {"resources": rows, "pending_operations": pending}}))
        return 0

    def up(self):
        """Rent or adopt, boot, open the gate."""
        state = self.read()
        if state["pending"]:
            print("pending operations from previous deployment")
        if state["instance"] is None:
            self.write({**state, "pending": True})
        found = self.listed()
        number = found[0] if found else self.rent()
        if state["instance"] is None:
            time.sleep(WORLD["bootSeconds"])
        self.gate.mkdir(parents=True, exist_ok=True)
        (self.gate / "open").touch()
        digest = WORLD["elastic"]["fleets"]["burst"]["digest"]
        self.write({"pending": state["pending"], "instance": number, "digest": digest})
        return 0

    def destroy(self):
        """Close the gate, give back, and see it gone."""
        (self.gate / "open").unlink(missing_ok=True)
        for _try in range(TRIES):
            found = self.listed()
            if not found:
                break
            for number in found:
                call("DELETE", f"/api/v0/instances/{number}/")
        else:
            return fail("error: the market does not confirm the end")
        for file in self.gate.glob("*"):
            file.unlink()
        if self.gate.exists():
            self.gate.rmdir()
        self.write({**self.read(), "instance": None})
        return 0

    def refresh(self):
        """Forget creates that were not finished."""
        self.write({**self.read(), "pending": False})
        return 0

    def remove(self):
        if self.read()["instance"] is not None:
            return fail(f"error: '{self.name}' still has resources; removal rejected")
        self.file.unlink()
        return 0

    def listed(self):
        """Return the ids of the instances under the label."""
        found, token = [], None
        while True:
            page = call("GET", "/api/v1/instances/" + (f"?after_token={token}" if token else ""))
            found += [row["id"] for row in page["instances"] if row["label"] == self.label]
            token = page.get("next_token")
            if not token:
                return found

    def rent(self):
        for _try in range(TRIES):
            try:
                body = {**WORLD["rent"], "label": self.label}
                return call("PUT", f"/api/v0/asks/{random.choice(WORLD['offers'])}/", body)["new_contract"]
            except urllib.error.HTTPError as error:
                if error.code not in (400, 404, 410):  # somebody else has this machine
                    raise
        raise SystemExit("no offer is left")


def call(method, path, body=None):
    """Call the market; a call that came too early comes again."""
    headers = {
        "Authorization": f"Bearer {WORLD['key']}",
        "Content-Type": "application/json",
        "User-Agent": "slot-world",
    }
    data = None if body is None else json.dumps(body).encode()
    for _try in range(TRIES):
        asked = urllib.request.Request(WORLD["market"] + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            if error.code == 404 and method == "DELETE":
                return {}
            if error.code != 429:
                raise
        time.sleep(0.02)
    raise SystemExit("the market refuses for too long")


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
