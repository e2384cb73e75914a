"""One compared observation, and the entries that gather findings with one cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reports.explanations import Explanation
from reports.record import Observation
from reports.reproduction import reproduction
from reports.verdict import Judgement, Verdict

CHECKPOINTS = "checkpoints"
SECTIONS = (CHECKPOINTS, "load", "tokenization", "outputs", "numbers", "generation", "api", "laws")
SEVERITY = (
    Verdict.BROKE,
    Verdict.CHANGED,
    Verdict.VANISHED,
    Verdict.INCOMPARABLE,
    Verdict.EXPECTED,
    Verdict.REPAIRED,
    Verdict.APPEARED,
    Verdict.TIE,
    Verdict.EQUIVALENT,
    Verdict.SAME,
)


@dataclass(slots=True, eq=False)
class Finding:
    """A pair of observations, or one without a partner, and what was made of it.

    section: where people read it; the observation's group, or `checkpoints` when only one record
    has its checkpoint.
    parent: the finding that explains this one.
    checkpoint: what the environment says of its checkpoint.
    """

    base: Observation | None
    new: Observation | None
    judgement: Judgement
    section: str
    explanation: Explanation | None = None
    parent: Finding | None = None
    checkpoint: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seen(self) -> Observation:
        """Either side."""
        found = self.new or self.base
        assert found is not None
        return found

    @property
    def reproduction(self) -> str:
        """Python that shows this observation, empty when its record names no call."""
        return reproduction(self.seen, self.checkpoint)

    @property
    def verdict(self) -> Verdict:
        """The verdict, EXPECTED when explained by a change that is no defect."""
        if self.explanation and not self.explanation.defect:
            return Verdict.EXPECTED
        return self.judgement.verdict


@dataclass(eq=False)
class Entry:
    """Findings with one verdict and one kind of edit: what a person reads as one change."""

    section: str
    verdict: Verdict
    edit: str
    explanation: Explanation | None
    findings: list[Finding] = field(default_factory=list)
    children: list[Entry] = field(default_factory=list)

    @cached_property
    def example(self) -> Finding:
        """The largest error, else the fewest edits and the shortest input that is not empty."""
        return min(self.findings, key=clarity)

    @property
    def observations(self) -> tuple[str, ...]:
        """Names of the observations, most frequent first."""
        return ranked(finding.seen.observation for finding in self.findings)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names of the checkpoints, most frequent first."""
        return ranked(finding.seen.checkpoint for finding in self.findings)

    @property
    def inputs(self) -> int:
        """How many different inputs."""
        return len({finding.seen.input for finding in self.findings})

    @property
    def others(self) -> Mapping[str, int]:
        """Edits that the example does not show, with how many findings have each."""
        every = Counter(edit for finding in self.findings for edit in finding.judgement.edits)
        shown = {self.edit, *self.example.judgement.edits}
        return {edit: count for edit, count in every.most_common() if edit not in shown}

    @property
    def explains(self) -> Mapping[str, int]:
        """Section -> how many findings this one is the cause of."""
        found = Counter(entry.section for entry in self.descendants() for _ in entry.findings)
        return {section: found[section] for section in sorted(found, key=order)}

    def descendants(self) -> Iterator[Entry]:
        """Every entry this one explains, directly or not."""
        for child in self.children:
            yield child
            yield from child.descendants()


def clarity(finding: Finding) -> tuple[float, int, bool, int]:
    """Sort key of the finding to show first."""
    error = float(finding.judgement.measures.get("max_abs_error", 0.0))
    text = finding.seen.input
    return -error, len(finding.judgement.edits), not text, len(text)


def ranked(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, most frequent first."""
    return tuple(name for name, _ in Counter(names).most_common())


def section_of(observation: Observation) -> str:
    """The section of an observation: its group, or the first part of its name where that is one."""
    if observation.group in SECTIONS:
        return observation.group
    first = observation.observation.split("/", 1)[0]
    return first if first in SECTIONS else observation.group


def order(section: str) -> int:
    """The place of a section in a report; unknown ones come last."""
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)


def importance(entry: Entry) -> tuple[int, int, int, str]:
    """Sort key: section, the worst verdict of it and its effects, then how much it explains."""
    verdicts = [entry.verdict, *(child.verdict for child in entry.descendants())]
    explained = len(entry.findings) + sum(entry.explains.values())
    return order(entry.section), min(map(SEVERITY.index, verdicts)), -explained, entry.edit
