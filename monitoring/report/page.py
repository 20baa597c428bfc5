"""Makes one HTML document from texts and charts. The document needs neither script nor network."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:24px;color:#0f172a;background:#f8fafc}
h1{margin:0}h2{margin:36px 0 8px;border-bottom:1px solid #cbd5e1;padding-bottom:4px}h3{margin:20px 0 6px;color:#475569}
.about{color:#475569;margin:2px 0 10px}.grid{display:grid;gap:14px}
.grid{grid-template-columns:repeat(auto-fill,minmax(min(520px,100%),1fr))}.panel,.wide{overflow-x:auto}
.panel,.wide{background:#fff;border:1px solid #e2e8f0;border-radius:8px;padding:10px 14px}.panel h4,.wide h4{margin:0}
svg{width:100%;height:auto}table{border-collapse:collapse;width:100%;background:#fff}
td,th{text-align:left;padding:5px 10px;border-bottom:1px solid #e2e8f0;vertical-align:top}
.pass{color:#15803d;font-weight:600}.fail{color:#b91c1c;font-weight:600}.no{color:#a16207;font-weight:600}
.big{font-size:34px;font-weight:600}code{font-size:12px;color:#475569;overflow-wrap:anywhere}details{margin-top:4px}
"""


@dataclass(frozen=True)
class Drawn:
    """One panel. `body` is HTML that this program made, never text from outside."""

    title: str
    about: str
    body: str
    queries: Sequence[str]


@dataclass(frozen=True)
class Section:
    """One dashboard, its panels under their headings."""

    title: str
    about: str
    rows: Sequence[tuple[str, Sequence[Drawn]]]


@dataclass(frozen=True)
class Report:
    """Everything on the page. `verdicts`: (word, criterion, measured values, queries)."""

    source: str
    begin: float
    end: float
    verdicts: Sequence[tuple[str, str, str, Sequence[str]]]
    alerts: Sequence[tuple[str, str]]
    timeline: str
    sections: Sequence[Section] = field(default_factory=list)


def render(report: Report) -> str:
    """Return the document."""
    begin, end = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}" for at in (report.begin, report.end))
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=width=device-width>",
        "<title>gpu-fleet report</title>",
        f"<style>{STYLE}</style><h1>gpu-fleet</h1>",
        f"<p class=about>{begin} to {end} UTC, from {escape(report.source)}</p>",
        "<h2>Success criteria</h2>",
        table(("", "criterion", "measured"), [_verdict(row) for row in report.verdicts]),
        "<h2>Alerts</h2>",
        table(("alert", "of"), [[escape(name), escape(of)] for name, of in report.alerts])
        if report.alerts
        else "<p class=about>No alert fired in this time.</p>",
        "<h2>How each instance came online</h2>",
        f"<div class=wide>{report.timeline}</div>" if report.timeline else "<p class=about>None came online yet.</p>",
    ]
    for section in report.sections:
        parts.append(f"<h2>{escape(section.title)}</h2><p class=about>{escape(section.about)}</p>")
        for heading, panels in section.rows:
            parts.append(f"<h3>{escape(heading)}</h3><div class=grid>{''.join(map(_panel, panels))}</div>")
    return "\n".join(parts) + "</html>\n"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table. The cells are HTML already."""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def queries(expressions: Sequence[str]) -> str:
    """Return expressions, folded behind the word `query`."""
    rows = "".join(f"<div><code>{escape(one)}</code></div>" for one in expressions)
    return f"<details><summary class=about>query</summary>{rows}</details>"


def _verdict(row: tuple[str, str, str, Sequence[str]]) -> list[str]:
    word, name, measured, asked = row
    return [f"<span class={word.split()[0]}>{escape(word)}</span>", escape(name), escape(measured) + queries(asked)]


def _panel(panel: Drawn) -> str:
    about = f"<h4>{escape(panel.title)}</h4><p class=about>{escape(panel.about)}</p>"
    return f"<div class=panel>{about}{panel.body}{queries(panel.queries)}</div>"
