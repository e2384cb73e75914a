"""A comparison as GitHub-flavoured Markdown, for a pull request or the summary of a CI job."""

from __future__ import annotations

from reports import wording
from reports.compare import Comparison
from reports.example import lines
from reports.finding import Entry, order
from reports.text import code, counted, fenced, plain
from reports.text import markdown as escape
from reports.verdict import BARE, FAILING, Verdict

MOST = 20  # entries of a section; a job summary holds 1 MiB
CHILDREN = 5
LONGEST = 900_000  # characters


def markdown(comparison: Comparison) -> str:
    """The whole document; nothing a record holds is read as markup."""
    parts = [
        f"## {escape(wording.title(comparison))}",
        f"**{escape(wording.outcome(comparison))}**",
    ]
    parts += [f"> {escape(note)}" for note in comparison.notes]
    versions = [f"{code(name)} {escape(a)} → {escape(b)}" for name, a, b in comparison.versions()]
    parts.append(", ".join(versions) or "The same versions twice.")
    parts.append(matrix(comparison))
    for section, entries in wording.sections(comparison.entries):
        parts.append(f"### {escape(wording.section_title(section))}")
        parts += [block(entry) for entry in entries[:MOST]]
        if len(entries) > MOST:
            parts.append(f"_and {counted(len(entries) - MOST, 'more kind')} of change_")
    text = "\n\n".join(parts) + "\n"
    return (
        text
        if len(text) <= LONGEST
        else text[:LONGEST] + "\n```\n\n_Cut here: the page is too long._\n"
    )


def matrix(comparison: Comparison) -> str:
    """Groups x verdicts."""
    verdicts = wording.columns(comparison)
    rows = [["", *verdicts], ["---", *["---:"] * len(verdicts)]]
    for group in sorted(comparison.counts, key=order):
        counts = comparison.counts[group]
        rows.append([escape(plain(group, 30)), *[bold(v, counts.get(v, 0)) for v in verdicts]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def bold(verdict: Verdict, count: int) -> str:
    """A count, failing ones standing out."""
    if not count:
        return "·"
    return f"**{count:,}**" if verdict in FAILING else f"{count:,}"


def block(entry: Entry) -> str:
    """One entry with its example, its reproduction folded away."""
    parts = [f"**{entry.verdict}** {code(wording.heading(entry))}", escape(wording.scope(entry))]
    if entry.explanation:
        parts.append(f"[{escape(wording.because(entry))}]({entry.explanation.link})")
    if entry.example.judgement.verdict not in BARE:
        parts += details(entry)
    if text := wording.explains(entry):
        parts.append(f"It {escape(text)}")
        parts.append("\n".join(child(entry) for entry in entry.children[:CHILDREN]))
    return "\n\n".join(parts)


def details(entry: Entry) -> list[str]:
    """Example, deciding numbers, law and reproduction."""
    seen = entry.example.seen
    example = [
        wording.origin(entry),
        *[f"{line.label:<8}{line.text}" for line in lines(entry.example)],
    ]
    parts = [fenced("\n".join(line for line in example if line))]
    parts += [
        escape(text)
        for text in (wording.numbers(entry), seen.law and f"Law: {plain(seen.law)}")
        if text
    ]
    if others := wording.others(entry):
        parts.append(f"Also: {escape(others)}")
    if entry.example.reproduction:
        snippet = fenced(entry.example.reproduction, "python")
        parts.append(f"<details><summary>Reproduce</summary>\n\n{snippet}\n\n</details>")
    return parts


def child(entry: Entry) -> str:
    """One explained entry as an item of a list."""
    return f"- **{entry.verdict}** {code(wording.heading(entry))} {escape(wording.scope(entry))}"
