"""Findings gathered into the few entries a person reads: one for a kind of edit, causes first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby

from reports.edits import generic
from reports.finding import Entry, Finding, importance, order
from reports.verdict import UNCHANGED, Verdict

SPECIFIC_WEIGHT = 5  # how much rarer a telling edit may be than a generic one, and be chosen
SINGLES = 3  # so many one-off edits of one observation are listed; more are one entry
VARIOUS = "various edits"
ONE_SIDED = (Verdict.APPEARED, Verdict.VANISHED)

Key = tuple[int | None, str, Verdict, str | None, str, str | None]


def entries(findings: Sequence[Finding]) -> tuple[Entry, ...]:
    """Top-level entries, most important first; EQUIVALENT findings are no entry."""
    read = sorted(
        (f for f in findings if f.verdict not in UNCHANGED), key=lambda f: order(f.section)
    )
    placed: dict[int, Entry] = {}
    top: list[Entry] = []
    for _, section in groupby(read, key=lambda f: order(f.section)):
        for entry, parent in gathered(list(section), placed):
            (top if parent is None else parent.children).append(entry)
    for entry in placed.values():
        entry.children.sort(key=importance)
    return tuple(sorted(top, key=importance))


def gathered(findings: list[Finding], placed: dict[int, Entry]) -> list[tuple[Entry, Entry | None]]:
    """The entries of one section with their parents; `placed` (id of finding -> entry) grows.

    A cause may stand in the same section as its effect, so causes are placed first.
    """
    chosen = choose(findings)
    found: dict[Key, tuple[Entry, Entry | None]] = {}
    for finding in sorted(findings, key=depth):
        edit = chosen[id(finding)]
        parent = placed.get(id(finding.parent)) if finding.parent else None
        key = key_of(finding, edit, parent)
        if key not in found:
            found[key] = (
                Entry(finding.section, finding.verdict, edit, finding.explanation),
                parent,
            )
        found[key][0].findings.append(finding)
        placed[id(finding)] = found[key][0]
    return merged(list(found.values()), placed)


def depth(finding: Finding) -> int:
    """How many causes stand above a finding."""
    return 0 if finding.parent is None else 1 + depth(finding.parent)


def key_of(finding: Finding, edit: str, parent: Entry | None) -> Key:
    """What findings of one entry share.

    One explanation is one entry. An edit that says little is kept apart by observation; what only
    one record holds, by the first parts of its name.
    """
    above = id(parent) if parent else None
    if finding.explanation:
        return above, finding.section, finding.verdict, finding.explanation.id, "", None
    name = finding.seen.observation if generic(edit) else None
    if name and finding.verdict in ONE_SIDED:
        name = name.rpartition("/")[0]
    return above, finding.section, finding.verdict, None, edit, name


def choose(findings: Sequence[Finding]) -> dict[int, str]:
    """id of finding -> the edit it shares with most others, telling ones preferred."""
    counts = Counter((f.verdict, edit) for f in findings for edit in f.judgement.edits)

    def weight(finding: Finding, edit: str) -> int:
        """How much is read under an edit."""
        return counts[finding.verdict, edit] * (1 if generic(edit) else SPECIFIC_WEIGHT)

    return {
        id(f): "tie"
        if f.verdict is Verdict.TIE
        else max(f.judgement.edits, key=lambda edit: weight(f, edit))
        for f in findings
    }


def merged(
    found: list[tuple[Entry, Entry | None]], placed: dict[int, Entry]
) -> list[tuple[Entry, Entry | None]]:
    """One-off edits of one observation made one entry where there are many of them."""
    singles = defaultdict(list)
    for entry, parent in found:
        if len(entry.findings) == 1 and not entry.explanation:
            singles[id(parent), entry.verdict, entry.findings[0].seen.observation].append(
                (entry, parent)
            )
    gone: set[int] = set()
    added: list[tuple[Entry, Entry | None]] = []
    for group in singles.values():
        if len(group) > SINGLES:
            first, parent = group[0]
            every = [entry.findings[0] for entry, _ in group]
            added.append((Entry(first.section, first.verdict, VARIOUS, None, every), parent))
            placed.update((id(finding), added[-1][0]) for finding in every)
            gone.update(id(entry) for entry, _ in group)
    return [pair for pair in found if id(pair[0]) not in gone] + added
