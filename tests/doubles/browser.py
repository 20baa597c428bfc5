"""A real browser that opens a page without any network and says how it came out."""

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

from tools.packages import browser

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
SECONDS = 60
ANSWER = re.compile(r'<pre id="found">(.*?)</pre>', re.DOTALL)


def measure(page: str, script: str, folder: Path, width: int = 1280) -> Any:
    """Open a page and return what a script says of it: the body of a function that returns JSON's kinds of values."""
    told = f"""<script>addEventListener("load", () => {{
        const told = document.createElement("pre");
        told.textContent = JSON.stringify((() => {{ {script} }})());
        told.id = "found";
        document.body.append(told);
    }})</script>"""
    (folder / "page.html").write_text(page.replace("</html>", f"{told}</html>"))
    found = ANSWER.search(_run(folder, "--dump-dom", f"--window-size={width},900"))
    assert found is not None
    return json.loads(unescape(found[1]))


def picture(page: str, folder: Path, width: int = 1280, height: int = 900) -> Path:
    """Return a picture of a page's top, PNG."""
    (folder / "page.html").write_text(page)
    _run(folder, f"--screenshot={folder / 'page.png'}", f"--window-size={width},{height}")
    return folder / "page.png"


def _run(folder: Path, *words: str) -> str:
    program = browser()
    assert program is not None
    command = [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", *words, (folder / "page.html").as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
