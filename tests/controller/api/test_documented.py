"""docs/elastic.md, followed: its curl lines against the API, and its tables against what the API is."""

import json
import os
import re
import subprocess

from controller.api.app import create_app
from tests.doubles.api import KEYS, Api
from tests.doubles.documented import ASKED, REPO, commands_of, known_as, played_by

PAGE = (REPO / "docs/elastic.md").read_text()


def test_the_lines_of_the_page_ask_follow_show_and_give_back(api: Api) -> None:
    ask, follow, show, give_back = [one for one in commands_of("docs/elastic.md") if known_as(one) in played_by(ASKED)]
    environment = {"PATH": os.environ["PATH"], "GPU_FLEET_API_URL": api.url, "GPU_FLEET_API_KEY": KEYS["ci"]}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    ask = ask.replace('"tiny"', '"llama-3.1-8b"')  # the model of the sandbox's fleet `burst`, and of this one's
    environment["ID"] = run(f'{ask}\nprintf %s "$ID"')
    assert json.loads(run(show))["status"] == "provisioning"
    api.serve(api.rent(environment["ID"]))
    assert "event: ready" in run(follow)
    shown = json.loads(run(show))
    assert (shown["endpoint"], shown["token"]) == ("https://192.0.2.0:8443", "token-of-burst-s0")
    assert json.loads(run(give_back))["status"] == "ended"
    assert api.store.claims() == ()


def test_the_page_has_every_path_and_every_error(api: Api) -> None:
    app = create_app(api.store, api.offers)
    paths = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    section = PAGE.partition("## The API")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:`[^|]*`(?:, )?)+) \|", section, re.MULTILINE)
    named = {tuple(words.split()) for row in rows for words in re.findall(r"`((?:GET|POST|DELETE) /[^`]*)`", row)}
    named |= {("GET", path) for row in rows for path in re.findall(r"`(/[^`]*)`", row)} - {("GET", "/openapi.json")}
    assert named == paths

    code = "".join(path.read_text() for path in sorted((REPO / "controller/api").glob("*.py")))
    raised = set(re.findall(r'ApiError\(\s*[\w.\[\]]+, "(\w+)"', code))
    assert len(raised) > 10
    assert raised == set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| \d{3} \| ([^|]*) \|", section, re.MULTILINE))))
