"""A comparison as one static page: no script, nothing loaded from elsewhere, light and dark."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import wording
from reports.compare import Comparison
from reports.example import lines
from reports.finding import SEVERITY, order
from reports.text import counted, plain
from reports.verdict import BARE, Verdict

TEMPLATES = Path(__file__).parent / "templates"
NARROWEST = (
    0.6  # per cent of the bar that any verdict given gets, so that one change among thousands shows
)


def html(comparison: Comparison) -> str:
    """The whole page; Jinja2 escapes everything a record holds."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    environment.filters["counted"] = counted
    return environment.get_template("comparison.html").render(
        comparison=comparison,
        wording=wording,
        lines=lines,
        bar=bar(comparison),
        verdicts=[verdict for verdict in SEVERITY if comparison.totals[verdict]],
        groups=sorted(comparison.counts, key=order),
        sections=wording.sections(comparison.entries),
        bare=BARE,
    )


def bar(comparison: Comparison) -> list[tuple[Verdict, int, float]]:
    """(verdict, count, width in per cent), failing ones first."""
    totals = comparison.totals
    given = [verdict for verdict in SEVERITY if totals[verdict]]
    widths = [max(NARROWEST, 100 * totals[verdict] / totals.total()) for verdict in given]
    return [
        (v, totals[v], round(100 * w / sum(widths), 3)) for v, w in zip(given, widths, strict=True)
    ]
