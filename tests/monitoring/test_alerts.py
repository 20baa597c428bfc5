"""Every alert fires on what it is for and stays silent on what looks like it, by promtool; and tells what to do."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import alerts, rules
from tests.monitoring.alert_cases import CASES, Case

RUNBOOKS = Path(alerts.__file__).parent / "runbooks.md"
PARTS = ("**Means.**", "**Costs.**", "**Look.**", "**Do.**")
pytestmark = pytest.mark.xdist_group("promtool")


def promtool(*words: str) -> str:
    """Run promtool and return what it says; it must succeed."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def document(cases: Sequence[Case]) -> dict[str, object]:
    """Return promtool's test file: how many alerts of the name fire at that moment."""
    return {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [
            {
                "name": f"{case.alert}: {case.about}",
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)',
                        "eval_time": case.at,
                        "exp_samples": [{"labels": "{}", "value": case.fires}],
                    }
                ],
            }
            for case in cases
        ],
    }


def only(name: str) -> dict[str, Any]:
    """Return the rule file with one alert, because promtool evaluates every rule of the file at each step."""
    (group,) = alerts.document()["groups"]
    return {"groups": [{**group, "rules": [rule for rule in group["rules"] if rule["alert"] == name]}]}


@pytest.mark.monitoring
@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)
def test_it_fires_on_what_it_is_for_and_stays_silent_on_the_rest(alert: alerts.Alert, tmp_path: Path) -> None:
    cases = [case for case in CASES if case.alert == alert.name]
    fires = {bool(case.fires) for case in cases}
    assert fires == ({True} if alert.name == "Watchdog" else {True, False})
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(only(alert.name)))
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document(cases)))

    promtool("test", "rules", str(tmp_path / "tests.yml"))


@pytest.mark.monitoring
def test_a_case_that_expects_the_wrong_thing_is_noticed(tmp_path: Path) -> None:
    wrong = [Case("Watchdog", "never", {}, 0)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(only("Watchdog")))
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document(wrong)))

    with pytest.raises(AssertionError, match="Watchdog"):
        promtool("test", "rules", str(tmp_path / "tests.yml"))


@pytest.mark.monitoring
def test_prometheus_takes_every_rule(tmp_path: Path) -> None:
    for name, content in (("alerts.yml", alerts.document()), ("records.yml", rules.document())):
        (tmp_path / name).write_text(yaml.safe_dump(content))

    said = promtool("check", "rules", str(tmp_path / "alerts.yml"), str(tmp_path / "records.yml"))

    assert f"{len(alerts.ALERTS)} rules found" in said
    assert f"{len(rules.RECORDED)} rules found" in said


@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)
def test_its_page_says_what_it_means_and_costs_where_to_look_and_what_to_do(alert: alerts.Alert) -> None:
    pages = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL))

    page = pages.pop(alert.name)

    assert [part for part in PARTS if part not in page] == []
    assert set(pages) <= {one.name for one in alerts.ALERTS}


def test_the_page_has_every_alert_in_the_row_of_its_severity() -> None:
    page = (RUNBOOKS.parents[1] / "docs" / "monitoring.md").read_text()
    table = page.partition("| severity | alerts |\n")[2].partition("\n\n")[0].splitlines()[1:]
    shown = {
        severity: re.findall(r"\b[A-Z]\w+", names)
        for severity, names in (row.strip("| ").split(" | ") for row in table)
    }

    severities = {alert.severity for alert in alerts.ALERTS}
    assert {severity: sorted(names) for severity, names in shown.items()} == {
        severity: sorted(alert.name for alert in alerts.ALERTS if alert.severity == severity) for severity in severities
    }
