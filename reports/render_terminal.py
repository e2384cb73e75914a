"""A comparison, or one record, in a terminal."""

from __future__ import annotations

from collections import Counter

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from reports import wording
from reports.compare import Comparison
from reports.example import Line, Mark, lines
from reports.finding import Entry, order
from reports.record import Record
from reports.text import counted, plain
from reports.verdict import BARE, Verdict

MOST = 12  # entries of a section shown in full
CHILDREN = 3  # explained entries shown below their cause
DEEPEST = 1  # what an explained entry explains in turn is only counted
COLOURS = {
    Verdict.BROKE: "bold white on red",
    Verdict.CHANGED: "bold black on yellow",
    Verdict.VANISHED: "bold black on yellow",
    Verdict.EXPECTED: "bold white on blue",
    Verdict.APPEARED: "cyan",
    Verdict.REPAIRED: "green",
    Verdict.TIE: "cyan",
    Verdict.INCOMPARABLE: "bold black on bright_black",
    Verdict.EQUIVALENT: "green",
    Verdict.SAME: "green",
}
MARKS: dict[Mark, str] = {"same": "", "gone": "bold red", "come": "bold green", "dim": "dim"}


def show(comparison: Comparison, console: Console) -> None:
    """Print a comparison; text of records is never read as markup."""
    console.print(Text(wording.title(comparison), "bold"))
    for name, before, after in comparison.versions():
        console.print(Text(f"  {plain(name):<18}{plain(before)} → {plain(after)}"))
    for line in wording.context(comparison):
        console.print(Text(f"  {line}", "dim"))
    for note in comparison.notes:
        console.print(Text(f"  ! {note}", "yellow"))
    console.print()
    console.print(matrix(comparison))
    if causes := wording.in_short(comparison.entries):
        console.print()
        console.print(in_short(causes))
    for section, entries in wording.sections(comparison.entries):
        console.print()
        console.print(Rule(Text(wording.section_title(section), "bold"), align="left", style="dim"))
        for entry in entries[:MOST]:
            console.print(block(entry))
        if more := entries[MOST:]:
            console.print(rest(more, 0))
    console.print()
    console.print(Text(wording.outcome(comparison), "bold"))


def matrix(comparison: Comparison) -> Table:
    """Groups x verdicts."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("")
    verdicts = wording.columns(comparison)
    for verdict in verdicts:
        table.add_column(verdict.value, justify="right")
    for group in sorted(comparison.counts, key=order):
        counts = comparison.counts[group]
        cells = [
            Text(f"{counts[v]:,}", plain_colour(v)) if counts.get(v) else Text("·", "dim")
            for v in verdicts
        ]
        table.add_row(Text(plain(group, 30)), *cells)
    return table


def in_short(causes: list[wording.Cause]) -> RenderableType:
    """What fails, one line for each cause, the largest first."""
    lines = [Text("In short, the failing observations by what changed", "bold")]
    for cause in causes[:MOST]:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"  {cause.verdict.value:<9}", plain_colour(cause.verdict))
        line.append(f"{cause.count:>6,}  {cause.heading}")
        lines.append(line)
    if (left := len(causes) - MOST) > 0:
        lines.append(Text(f"  and {left:,} more, each below", "dim"))
    return Group(*lines)


def plain_colour(verdict: Verdict) -> str:
    """The colour of a verdict's number."""
    return {
        Verdict.BROKE: "bold red",
        Verdict.CHANGED: "bold yellow",
        Verdict.VANISHED: "bold yellow",
    }.get(verdict, "")


def block(entry: Entry, level: int = 0) -> RenderableType:
    """One entry with its example and what it explains."""
    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(f" {entry.verdict} ", COLOURS[entry.verdict]), Text(wording.heading(entry), "bold")
    )
    body: list[RenderableType] = [Text(wording.scope(entry), "dim")]
    if entry.explanation:
        why = entry.explanation
        body.append(Text(wording.because(entry), "blue"))
        body.append(Text(why.link, f"dim link {why.link}"))
    if entry.example.judgement.verdict not in BARE:
        body += details(entry, brief=level > 0)
    if text := wording.explains(entry):
        body.append(Text(text, "magenta"))
    if level < DEEPEST:
        body += [block(child, level + 1) for child in entry.children[:CHILDREN]]
        if entry.children[CHILDREN:]:
            body.append(rest(entry.children[CHILDREN:], level + 1))
    return Padding(
        Group(head, Padding(Group(*body), (0, 0, 0, 3))), (int(not level), 0, 0, 2 * level)
    )


def details(entry: Entry, brief: bool) -> list[RenderableType]:
    """Example and deciding numbers; law and reproduction unless brief."""
    seen = entry.example.seen
    origin = wording.origin(entry)
    found: list[RenderableType] = [Text(origin, "italic")] if origin else []
    found += [drawn(line) for line in lines(entry.example)]
    if others := wording.others(entry):
        found.append(Text(f"also: {others}", "dim"))
    if numbers := wording.numbers(entry):
        found.append(Text(numbers))
    if seen.law and not brief:
        found.append(Text(f"law: {plain(seen.law, 200)}", "dim"))
    snippet = entry.example.reproduction
    if snippet and not brief:
        code = "\n".join(f"│ {plain(line, 200)}" for line in snippet.split("\n"))
        found.append(Text(code, "dim"))
    return found


def drawn(line: Line) -> Text:
    """An example line; never wrapped, so that base and new stay aligned."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{line.label:<8}", "dim")
    for span in line.spans:
        text.append(span.text, MARKS[span.mark])
    return text


def rest(entries: list[Entry], level: int) -> RenderableType:
    """One line for the entries not shown."""
    findings = sum(len(entry.findings) + sum(entry.explains.values()) for entry in entries)
    verdicts = Counter(entry.verdict for entry in entries)
    kinds = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    more = counted(len(entries), "more kind")
    text = f"and {more} of change ({kinds}; {counted(findings, 'observation')}): see --html"
    return Padding(Text(text, "dim"), (int(not level), 0, 0, 2 * level))


def show_record(record: Record, console: Console) -> None:
    """Print what a record holds."""
    environment = record.environment
    console.print(Text(plain(record.name), "bold"))
    versions = ", ".join(
        f"{name} {version}" for name, version in environment.versions.items() if version != "absent"
    )
    for label, text in (
        ("recorded", f"{environment.started} by suite {environment.suite}"),
        ("versions", versions),
        ("machine", ", ".join(f"{name} {value}" for name, value in environment.machine.items())),
        (
            "run",
            f"{environment.device} {environment.dtype}, {counted(environment.threads or 0, 'thread')}",
        ),
        ("arguments", " ".join(environment.arguments) or "none"),
    ):
        console.print(Text(f"  {label:<11}{plain(text)}"))
    for note in record.notes:
        console.print(Text(f"  ! {note}", "yellow"))
    console.print()
    console.print(contents(record))


def contents(record: Record) -> Table:
    """Checkpoints x groups, with the observations that were errors."""
    counts: dict[str, Counter[str]] = {}
    for observation in record.observations.values():
        row = counts.setdefault(observation.checkpoint, Counter())
        row[observation.group] += 1
        row["errors"] += observation.value.get("type") == "error"
    groups = sorted({group for row in counts.values() for group in row} - {"errors"}, key=order)
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("checkpoint")
    for name in [*groups, "errors"]:
        table.add_column(Text(plain(name, 30)), justify="right")
    for checkpoint, row in counts.items():
        cells = [Text(f"{row[name]:,}" if row[name] else "·") for name in [*groups, "errors"]]
        table.add_row(Text(plain(checkpoint, 40)), *cells)
    return table
