"""The timer of a host that is left alone, read by the shell: it ends after today's silence, whoever armed it."""

import re
import subprocess
from pathlib import Path

import pytest

from bootstrap.boot_timer import ATTENDED, TIMER, UPTIME, send_heartbeat
from bootstrap.host import Result
from bootstrap.remote_scripts import ETC
from providers.identity.ssh_key import new_ssh_key
from providers.vast.renting.onstart import script

NEW = script(new_ssh_key("test").public, "https://console.vast.ai", 9000).split("<<'END'\n")[1].split("END\n")[0]
OF_AN_OLDER_VERSION = """while [ ! -e /opt/gpu-fleet/etc/online ]; do
  sleep 10
  [ $(($(cut -d. -f1 /proc/uptime) - $(cat /opt/gpu-fleet/etc/attended))) -gt 3375 ] || continue
  python3 -S -c '
import os, urllib.request
headers = {"Authorization": "Bearer " + os.environ["CONTAINER_API_KEY"], "Content-Type": "application/json"}
url = "https://console.vast.ai/api/v0/instances/" + os.environ["CONTAINER_ID"] + "/"
urllib.request.urlopen(urllib.request.Request(url, b"{}", headers, method="DELETE"), timeout=60)'
  sleep 60
done
"""


class Folder:
    """A host whose files lie in a folder; it runs commands with this machine's shell."""

    def __init__(self, root: Path) -> None:
        self.root = root
        Path(self.here(TIMER)).parent.mkdir(parents=True)

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        done = subprocess.run(
            ["sh", "-c", self.here(command)], input=stdin, capture_output=True, timeout=timeout, check=False
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def here(self, text: str) -> str:
        return text.replace(ETC, f"{self.root}{ETC}").replace(TIMER, f"{self.root}{TIMER}")

    def put(self, content: bytes, path: str, mode: int) -> None:
        raise AssertionError((content, path, mode))

    def close(self) -> None:
        raise AssertionError("not ours to close")


def uptime() -> int:
    return int(float(Path("/proc/uptime").read_text().split()[0]))


@pytest.fixture
def host(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "host")


@pytest.mark.parametrize(
    ("timer", "seconds"),
    [(NEW, 9000), (NEW, 60), (OF_AN_OLDER_VERSION, 9000), (OF_AN_OLDER_VERSION, 3375.5), (OF_AN_OLDER_VERSION, 60)],
)
def test_a_timer_ends_after_the_silence_of_today_and_no_earlier(host: Folder, timer: str, seconds: float) -> None:
    Path(host.here(TIMER)).write_text(timer)

    before = uptime()
    send_heartbeat(host, "chat-0", seconds)

    attended = int(Path(host.here(ATTENDED)).read_text())
    ends = attended + int(re.findall(r"-gt (\d+) \]", timer)[0])
    assert before + seconds <= ends <= uptime() + seconds + 1


@pytest.mark.parametrize("timer", [None, "", "another text -gt soon ]"])
def test_without_a_timer_that_can_be_read_the_mark_is_now(host: Folder, timer: str | None) -> None:
    if timer is not None:
        Path(host.here(TIMER)).write_text(timer)

    before = uptime()
    send_heartbeat(host, "chat-0", 60)

    assert before <= int(Path(host.here(ATTENDED)).read_text()) <= uptime()


@pytest.mark.parametrize("mark", [-7200, 0, 100])
def test_the_timer_counts_from_any_mark(host: Folder, mark: int) -> None:
    Path(host.here(TIMER)).write_text(NEW)
    attended = Path(host.here(ATTENDED))
    attended.parent.mkdir(parents=True, exist_ok=True)
    attended.write_text(f"{mark}\n")

    condition = next(line for line in NEW.splitlines() if "-gt 9000" in line).partition("||")[0]
    silent = host.run(condition.replace(UPTIME, "echo 5000")).status == 0

    assert silent == (5000 - mark > 9000)
