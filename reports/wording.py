"""The sentences every rendering shares; printable, but not yet escaped for HTML or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.compare import Comparison
from reports.distance import sentence
from reports.finding import CHECKPOINTS, SECTIONS, SEVERITY, Entry
from reports.text import counted, listed, plain
from reports.verdict import FAILING, Verdict

LIBRARIES = ("transformers", "tokenizers", "torch")  # what a title names first
FEW = 4  # causes that are read at a glance without a list of them
NAMED = 2  # observations named in a heading; more are named below it
TITLES = {
    "checkpoints": "Checkpoints in one record only",
    "load": "What loading makes of the files",
    "tokenization": "Tokenization",
    "outputs": "Shapes, keys and errors",
    "numbers": "Numbers",
    "generation": "Text generation",
    "api": "Public calls and defaults",
    "laws": "Laws that one of them breaks",
}
MEANING: Mapping[Verdict, str] = {
    Verdict.SAME: "bit for bit",
    Verdict.EQUIVALENT: "within the allowed error",
    Verdict.TIE: "two tokens were equally likely",
    Verdict.EXPECTED: "explained by a documented change",
    Verdict.CHANGED: "differs",
    Verdict.APPEARED: "only in NEW",
    Verdict.VANISHED: "only in BASE",
    Verdict.BROKE: "worked, now raises",
    Verdict.REPAIRED: "raised, now works",
    Verdict.INCOMPARABLE: "nothing can be said",
}


def title(comparison: Comparison) -> str:
    """`transformers 4.57.6 → 5.23.0`, or what else differs."""
    changed = {name: f"{name} {before} → {after}" for name, before, after in comparison.versions()}
    if not changed:
        return f"{plain(comparison.base.name)}, recorded twice"
    preferred = [changed[name] for name in LIBRARIES if name in changed]
    return plain([*preferred, *changed.values()][0])


def outcome(comparison: Comparison) -> str:
    """The whole comparison in one sentence."""
    totals, paired = comparison.totals, comparison.paired
    if not paired:
        return "Nothing could be compared."
    parts = [f"{totals[v]:,} {v}" for v in SEVERITY if totals[v]]
    return f"{counted(paired, 'observation')} compared: {', '.join(parts)}."


def context(comparison: Comparison) -> list[str]:
    """Where the two runs happened, a line each."""
    sides = []
    for name, record in (("BASE", comparison.base), ("NEW", comparison.new)):
        e = record.environment
        machine = e.machine.get("processor") or e.machine.get("system") or "unknown machine"
        threads = f", {counted(e.threads, 'thread')}" if e.threads else ""
        sides.append(plain(f"{name:<5}{e.started}, {e.device} {e.dtype}, {machine}{threads}"))
    return sides


def section_title(section: str) -> str:
    """The heading of a section."""
    return TITLES.get(section, plain(section))


def sections(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """(section, its entries) in reading order."""
    names = dict.fromkeys([*SECTIONS, *(entry.section for entry in entries)])
    grouped = [(name, [entry for entry in entries if entry.section == name]) for name in names]
    return [(name, found) for name, found in grouped if found]


def columns(comparison: Comparison) -> list[Verdict]:
    """The verdicts that were given, harmless ones first."""
    return [verdict for verdict in Verdict if comparison.totals[verdict]]


@dataclass
class Cause:
    """What changed in a few words, the worst that came of it, and of how many observations."""

    heading: str
    verdict: Verdict
    count: int


def in_short(entries: Sequence[Entry]) -> list[Cause]:
    """One for each cause of something that fails, the largest first; none where they are few."""
    found: dict[str, Cause] = {}
    for entry in entries:
        every = [one for one in (entry, *entry.descendants()) if one.verdict in FAILING]
        if every:
            worst = min((one.verdict for one in every), key=SEVERITY.index)
            cause = found.setdefault(heading(entry), Cause(heading(entry), worst, 0))
            cause.verdict = min(cause.verdict, worst, key=SEVERITY.index)
            cause.count += sum(len(one.findings) for one in every)
    if len(found) < FEW:
        return []
    return sorted(found.values(), key=lambda cause: (-cause.count, cause.heading))


def heading(entry: Entry) -> str:
    """What changed, in a few words."""
    if entry.section == CHECKPOINTS:
        return plain(entry.edit)
    if entry.explanation:
        return entry.explanation.cause
    if entry.verdict is Verdict.TIE:
        return f"{observed(entry)}: a tie broke the other way"
    if entry.edit in ("APPEARED", "VANISHED") and len(entry.observations) > NAMED:
        place = entry.example.seen.observation.rpartition("/")[0]
        return f"{plain(place, 60)}/…: {len(entry.observations)} of them {entry.edit.lower()}"
    edit = {"APPEARED": "appeared", "VANISHED": "vanished"}.get(entry.edit, plain(entry.edit, 160))
    return f"{observed(entry)}: {edit}" if len(entry.observations) <= NAMED else edit


def observed(entry: Entry) -> str:
    """The names of an entry's observations."""
    return listed(entry.observations, NAMED + 1)


def scope(entry: Entry) -> str:
    """How much one entry stands for."""
    parts = (
        []
        if len(entry.observations) <= NAMED
        and entry.section != CHECKPOINTS
        and not entry.explanation
        else [observed(entry)]
    )
    if len(entry.findings) > 1:
        parts.append(counted(len(entry.findings), "observation"))
    if entry.inputs > 1:
        parts.append(counted(entry.inputs, "input"))
    parts.append(listed(entry.checkpoints, 4))
    return " · ".join(parts)


def others(entry: Entry) -> str:
    """The further edits seen in the same findings."""
    if entry.explanation or entry.verdict is Verdict.TIE:
        return ""
    found = [f"{plain(edit, 60)} ({count:,})" for edit, count in list(entry.others.items())[:3]]
    more = len(entry.others) - len(found)
    return ", ".join([*found, f"{more:,} more"] if more > 0 else found)


def because(entry: Entry) -> str:
    """The releases of an entry's explanation."""
    return f"since {entry.explanation.releases}" if entry.explanation else ""


def explains(entry: Entry) -> str:
    """`explains 152 more: 112 tokenization, 40 numbers`, empty when it explains nothing."""
    found = entry.explains
    if not found:
        return ""
    return f"explains {sum(found.values()):,} more: " + ", ".join(
        f"{count:,} {plain(name)}" for name, count in found.items()
    )


def origin(entry: Entry) -> str:
    """Checkpoint and input of the example; empty where the scope says it already."""
    seen = entry.example.seen
    parts = [plain(seen.checkpoint, 60)] if len(entry.checkpoints) > 1 else []
    if seen.input:
        parts.append(f"input {quoted(seen.input)}")
    return ", ".join(parts)


def quoted(text: str) -> str:
    """A string between quotation marks, blanks at its ends visible."""
    inner = plain(text, 90)
    stripped = inner.strip(" ")
    start, end = len(inner) - len(inner.lstrip(" ")), len(inner) - len(inner.rstrip(" "))
    return (
        f"“{inner.replace(' ', '␠')}”" if not stripped else f"“{'␠' * start}{stripped}{'␠' * end}”"
    )


def numbers(entry: Entry) -> str:
    """The deciding numbers of the example, empty when there are none."""
    return plain(sentence(entry.example.judgement.measures))
