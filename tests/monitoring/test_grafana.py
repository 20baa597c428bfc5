"""Grafana's documents: what its dashboard linter asks for, restated as checks over the JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.grafana import GRAFANA_UNITS, document
from monitoring.dashboards.panels import UNITS, Dashboard

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
LARGEST = 256 * 1024  # what a ConfigMap may hold that a client applies


def panels(made: Any) -> list[Any]:
    return [panel for panel in made["panels"] if panel["type"] != "row"]


@pytest.fixture(params=BOARDS, ids=lambda board: board.uid)
def both(request: pytest.FixtureRequest) -> tuple[Dashboard, Any]:
    return request.param, json.loads(document(request.param))


def test_a_dashboard_is_read_only_in_utc_with_a_stable_name(both: tuple[Dashboard, Any]) -> None:
    board, made = both

    assert (made["uid"], made["title"], made["timezone"], made["editable"]) == (board.uid, board.title, "utc", False)
    assert made["schemaVersion"] == 42
    assert made["tags"] == ["gpu-fleet"]
    assert made["refresh"] == "30s"
    assert document(board) == document(board)
    assert len(document(board)) < LARGEST


def test_the_data_source_is_a_variable_everywhere(both: tuple[Dashboard, Any]) -> None:
    _, made = both
    [variable] = made["templating"]["list"]

    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    for panel in panels(made):
        assert panel["datasource"] == SOURCE
        assert [target["datasource"] for target in panel["targets"]] == [SOURCE] * len(panel["targets"])


def test_every_panel_has_what_the_linter_asks_for(both: tuple[Dashboard, Any]) -> None:
    board, made = both
    drawn = panels(made)

    assert [panel["title"] for panel in drawn] == [panel.title for panel in board.panels]
    for panel, wanted in zip(drawn, board.panels, strict=True):
        assert panel["description"] == wanted.about
        assert panel["fieldConfig"]["defaults"]["unit"] == GRAFANA_UNITS[wanted.unit]
        assert panel["fieldConfig"]["defaults"]["noValue"]
        assert len({target["refId"] for target in panel["targets"]}) == len(wanted.queries)
        assert [target["expr"] for target in panel["targets"]] == [query.expression for query in wanted.queries]
        assert [target["legendFormat"] for target in panel["targets"]] == [query.legend for query in wanted.queries]
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        assert [step["value"] for step in steps] == ([] if wanted.bound is None else [None, wanted.bound])


def test_dashboards_lead_to_each_other_and_show_what_came_online(both: tuple[Dashboard, Any]) -> None:
    _, made = both
    [link] = made["links"]

    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["gpu-fleet"], True)
    [annotation] = [one for one in made["annotations"]["list"] if one["name"] == "came online"]
    assert "vast_instance_served_timestamp_seconds" in annotation["expr"]


def test_no_two_panels_lie_on_one_another(both: tuple[Dashboard, Any]) -> None:
    _, made = both
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_every_unit_has_one_of_grafanas() -> None:
    assert set(GRAFANA_UNITS) == set(UNITS)


def test_the_command_writes_one_file_a_dashboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", str(tmp_path / "out")]) == 0

    assert sorted(file.stem for file in (tmp_path / "out").iterdir()) == sorted(board.uid for board in BOARDS)
    assert len(capsys.readouterr().out.splitlines()) == len(BOARDS)
    (tmp_path / "file").touch()
    assert main(["dashboards", str(tmp_path / "file")]) == 1
