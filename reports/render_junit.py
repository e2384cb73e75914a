"""A comparison as JUnit XML: a suite for each section, a case for each change."""

from __future__ import annotations

from collections.abc import Collection
from xml.etree import ElementTree

from reports import wording
from reports.compare import Comparison
from reports.example import lines
from reports.finding import Entry, order
from reports.text import counted, plain
from reports.verdict import UNCHANGED, Verdict


def junit(comparison: Comparison, failing: Collection[Verdict]) -> str:
    """Effects are cases as well; failing verdicts are failures, INCOMPARABLE is skipped."""
    root = ElementTree.Element("testsuites", name=plain(wording.title(comparison)))
    every = [entry for top in comparison.entries for entry in (top, *top.descendants())]
    sections = {entry.section for entry in every} | set(comparison.counts)
    for section in sorted(sections, key=order):
        suite = ElementTree.SubElement(root, "testsuite", name=plain(section))
        for entry in every:
            if entry.section == section:
                add_case(suite, entry, failing)
        unchanged = sum(comparison.counts.get(section, {}).get(verdict, 0) for verdict in UNCHANGED)
        if unchanged:
            name = f"{counted(unchanged, 'observation')} unchanged"
            ElementTree.SubElement(suite, "testcase", classname=plain(section), name=name)
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    ElementTree.indent(root)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )


def add_case(suite: ElementTree.Element, entry: Entry, failing: Collection[Verdict]) -> None:
    """One change."""
    name = f"{wording.heading(entry)} ({wording.scope(entry)})"
    case = ElementTree.SubElement(suite, "testcase", classname=plain(entry.section), name=name)
    message = f"{entry.verdict}: {wording.MEANING[entry.verdict]}"
    if entry.verdict in failing:
        ElementTree.SubElement(case, "failure", type=entry.verdict, message=message).text = body(
            entry
        )
    elif entry.verdict is Verdict.INCOMPARABLE:
        ElementTree.SubElement(case, "skipped", message=plain(entry.edit))
    else:
        ElementTree.SubElement(case, "system-out").text = f"{message}\n{body(entry)}"


def body(entry: Entry) -> str:
    """Example, numbers, law and reproduction as lines."""
    seen = entry.example.seen
    found = [
        wording.origin(entry),
        *[f"{line.label:<8}{line.text}" for line in lines(entry.example)],
    ]
    found.append(wording.numbers(entry))
    found.append(f"law: {plain(seen.law)}" if seen.law else "")
    found += [plain(line) for line in entry.example.reproduction.split("\n")]
    if entry.explanation:
        found += [wording.because(entry), entry.explanation.link]
    return "\n".join(line for line in found if line)
