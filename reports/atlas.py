"""The atlas: behaviours by releases, and in which release each changed; data and two renderings.

Every release is compared with the one listed before it. Texts in the data are printable
(reports.text) but not escaped for HTML or Markdown.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import wording
from reports.compare import Comparison, compare
from reports.example import lines
from reports.explanations import Explanation
from reports.finding import Entry, Finding, order
from reports.record import Observation, Record
from reports.text import code, fenced, markdown, plain
from reports.verdict import UNCHANGED, Verdict

SCHEMA = 1
TEMPLATES = Path(__file__).parent / "templates"
NAMES = ("atlas.json.gz", "atlas.md", "atlas.html")
QUIET = UNCHANGED | {Verdict.TIE}
SHOWN = ("transformers", "tokenizers", "huggingface_hub", "torch", "numpy")
OPTIONS = re.compile(r" \{|, | with ")
MOST = 12  # changes of a release in Markdown; the page shows all


class Change(TypedDict):
    """One entry of a comparison: what a person reads as one change."""

    section: str
    verdict: str
    heading: str
    scope: str
    count: int
    explains: str
    cause: str
    link: str
    origin: str
    numbers: str
    example: list[tuple[str, list[tuple[str, str]]]]
    reproduce: str


class Step(TypedDict):
    """From one listed release to the next; counts: row -> how many of its observations changed."""

    base: str
    new: str
    moved: list[tuple[str, str, str]]
    compared: int
    changed: int
    counts: dict[str, int]
    changes: list[Change]


class Atlas(TypedDict):
    """The data behind both renderings; skipped: release -> why it could not run."""

    schema: int
    suite: str
    torch: str
    checkpoints: list[str]
    releases: list[str]
    skipped: dict[str, str]
    sizes: dict[str, int]
    steps: list[Step]


def build(
    records: Iterable[tuple[str, Record]],
    explanations: Sequence[Explanation],
    skipped: Mapping[str, str],
) -> Atlas:
    """The atlas of (release, record) pairs, oldest first, at least two; two are held at a time."""
    steps: list[Step] = []
    releases: list[str] = []
    sizes: Counter[str] = Counter()
    record: Record | None = None
    for (base, before), (new, record) in pairwise(records):
        releases = releases or [base]
        releases.append(new)
        steps.append(_step(base, new, compare(before, record, explanations)))
        found = Counter(row(observation) for observation in record.observations.values())
        sizes |= found
    if record is None:
        raise ValueError("an atlas needs two records")
    environment = record.environment
    return {
        "schema": SCHEMA,
        "suite": plain(environment.suite),
        "torch": plain(environment.versions.get("torch", "absent")),
        "checkpoints": [plain(name) for name in environment.checkpoints],
        "releases": releases,
        "skipped": {plain(name): plain(reason, 200) for name, reason in skipped.items()},
        "sizes": dict(sizes),
        "steps": steps,
    }


def row(observation: Observation) -> str:
    """The row of an observation: section and the first two parts of its name, without options."""
    section, name = observation.group, "/".join(observation.observation.split("/")[:2])
    name = OPTIONS.split(name)[0]
    return plain(name if name.startswith(f"{section}/") else f"{section}/{name}", 60)


def _step(base: str, new: str, comparison: Comparison) -> Step:
    changed = [f for f in comparison.findings if f.verdict not in QUIET]
    before, after = comparison.base.environment.versions, comparison.new.environment.versions
    moved = [(name, before.get(name, "absent"), after.get(name, "absent")) for name in SHOWN]
    return {
        "base": base,
        "new": new,
        "moved": [(name, plain(a), plain(b)) for name, a, b in moved if a != b],
        "compared": comparison.paired,
        "changed": len(changed),
        "counts": dict(Counter(row(finding.seen) for finding in changed)),
        "changes": [_change(e) for e in comparison.entries if e.verdict not in QUIET],
    }


def _change(entry: Entry) -> Change:
    example: Finding = entry.example
    return {
        "section": entry.section,
        "verdict": entry.verdict.value,
        "heading": wording.heading(entry),
        "scope": wording.scope(entry),
        "count": len(entry.findings),
        "explains": wording.explains(entry),
        "cause": wording.because(entry),
        "link": entry.explanation.link if entry.explanation else "",
        "origin": wording.origin(entry),
        "numbers": wording.numbers(entry),
        "example": [
            (line.label, [(span.text, span.mark) for span in line.spans]) for line in lines(example)
        ],
        "reproduce": example.reproduction,
    }


def write(atlas: Atlas, directory: Path) -> list[Path]:
    """Write the data, the Markdown and the page; the files. The same atlas gives the same bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / name for name in NAMES]
    data = json.dumps(atlas, separators=(",", ":"), allow_nan=False).encode()
    paths[0].write_bytes(gzip.compress(data, 9, mtime=0))
    paths[1].write_text(to_markdown(atlas), encoding="utf-8")
    paths[2].write_text(to_html(atlas), encoding="utf-8")
    return paths


def read(path: Path) -> Atlas:
    """The data written before; ValueError when it is of another schema."""
    data: Any = json.loads(gzip.decompress(path.read_bytes()))
    if data.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {data.get('schema')!r}, this suite reads {SCHEMA}")
    atlas: Atlas = data
    return atlas


def rows(atlas: Atlas) -> list[tuple[str, list[int]]]:
    """(row, changed observations at each step), in reading order; rows that never changed last."""
    names = {name for step in atlas["steps"] for name in step["counts"]} | set(atlas["sizes"])
    found = [(name, [step["counts"].get(name, 0) for step in atlas["steps"]]) for name in names]
    return sorted(found, key=lambda r: (not any(r[1]), order(r[0].split("/")[0]), r[0]))


def to_markdown(atlas: Atlas) -> str:
    """The table, then what changed in each release."""
    head = ["", *(step["new"] for step in atlas["steps"]), "of"]
    table = [head, ["---", *["---:"] * (len(head) - 1)]]
    steady = [name for name, counts in rows(atlas) if not any(counts)]
    for name, counts in rows(atlas):
        if any(counts):
            cells = [str(count) if count else "·" for count in counts]
            table.append([code(name), *cells, str(atlas["sizes"].get(name, 0))])
    parts = [
        f"# What changed between releases, {atlas['releases'][0]} to {atlas['releases'][-1]}",
        markdown(introduction(atlas)),
        "\n".join(f"| {' | '.join(cells)} |" for cells in table),
    ]
    if steady:
        parts.append(f"Never changed: {', '.join(map(code, steady))}.")
    parts += [
        f"Could not run: {code(name)}, {markdown(why)}" for name, why in atlas["skipped"].items()
    ]
    for step in atlas["steps"]:
        parts += _step_markdown(step)
    return "\n\n".join(parts) + "\n"


def introduction(atlas: Atlas) -> str:
    """What the table shows, in a few sentences."""
    return (
        f"{len(atlas['checkpoints'])} checkpoints under {len(atlas['releases'])} releases of "
        f"transformers, torch {atlas['torch']}. A number says how many observations differ from the "
        "release to the left, or appeared, or vanished; differences within the derived tolerance are "
        "not counted. The last column is the number of observations."
    )


def _step_markdown(step: Step) -> list[str]:
    moved = ", ".join(f"{name} {a} → {b}" for name, a, b in step["moved"])
    parts = [f"## {step['new']}", f"{step['changed']:,} of {step['compared']:,} compared: {moved}"]
    for change in step["changes"][:MOST]:
        text = f"**{change['verdict']}** {code(change['heading'])} · {markdown(change['scope'])}"
        if change["cause"]:
            text += f"\n\n{markdown(change['cause'])} (<{change['link']}>)"
        if change["explains"]:
            text += f"\n\n{markdown(change['explains'])}"
        example = "\n".join(
            f"{label:<8}{''.join(text for text, _ in spans)}" for label, spans in change["example"]
        )
        parts += [text, *([fenced(example)] if example else [])]
    more = len(step["changes"]) - MOST
    return parts + ([f"_and {more} more, on the page (atlas.html)_"] if more > 0 else [])


def to_html(atlas: Atlas) -> str:
    """One static page; Jinja2 escapes everything a record holds."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("atlas.html")
    return page.render(atlas=atlas, rows=rows(atlas), introduction=introduction(atlas)) + "\n"


def main(arguments: Sequence[str]) -> int:
    """`python -m reports.atlas DIR`: draw both renderings again from the data in a directory."""
    [directory] = map(Path, arguments or ["reports"])
    for path in write(read(directory / NAMES[0]), directory):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
