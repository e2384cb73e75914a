"""Two records, compared: observations paired, judged, explained, differences gathered by cause."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from reports.causes import attribute, family
from reports.distance import coarser
from reports.explanations import Explanation, Subject, shown
from reports.finding import CHECKPOINTS, Entry, Finding, section_of
from reports.grouping import entries
from reports.notes import notes
from reports.record import LAW, Observation, Record
from reports.text import plain
from reports.verdict import PAIRED, SAME, Conditions, Judgement, Verdict, judge

NOTHING_COMPARED = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """counts: group -> verdict -> how many observations; findings: every one that is not SAME."""

    base: Record
    new: Record
    counts: Mapping[str, Mapping[Verdict, int]]
    findings: Sequence[Finding]
    entries: Sequence[Entry]
    notes: Sequence[str]

    @property
    def totals(self) -> Counter[Verdict]:
        """Verdict -> how many observations."""
        return sum((Counter(group) for group in self.counts.values()), Counter())

    @property
    def paired(self) -> int:
        """How many observations could be compared."""
        return sum(self.totals[verdict] for verdict in PAIRED)

    def exit_code(self, failing: Collection[Verdict]) -> int:
        """0, 1 when a failing verdict was given, 2 when nothing could be compared."""
        if not self.paired:
            return NOTHING_COMPARED
        return int(any(self.totals[verdict] for verdict in failing))

    def versions(self) -> list[tuple[str, str, str]]:
        """(library, base, new) for everything whose version differs."""
        base, new = self.base.environment.versions, self.new.environment.versions
        names = [*base, *(name for name in new if name not in base)]
        pairs = [(name, base.get(name, "absent"), new.get(name, "absent")) for name in names]
        return [(name, before, after) for name, before, after in pairs if before != after]


def compare(base: Record, new: Record, explanations: Sequence[Explanation] = ()) -> Comparison:
    """Raises nothing for what records hold."""
    conditions = conditions_of(base, new)
    judge_pair = Judge(base, new, conditions)
    counts: dict[str, Counter[Verdict]] = {}
    findings: list[Finding] = []
    broken = 0
    for key in [
        *base.observations,
        *(key for key in new.observations if key not in base.observations),
    ]:
        before, after = base.observations.get(key), new.observations.get(key)
        # what was not asked of one is neither held nor broken there
        if key[1].startswith(LAW) and not (before and after):
            continue
        finding = judge_pair(before, after)
        broken += "nan_in_both" in finding.judgement.measures
        if finding.judgement is SAME:
            counts.setdefault(finding.section, Counter())[Verdict.SAME] += 1
        else:
            findings.append(finding)
    explain(findings, base, new, explanations)
    for finding in findings:
        counts.setdefault(section_of(finding.seen), Counter())[finding.verdict] += 1
    attribute(findings, steady(base, findings))
    return Comparison(
        base, new, counts, findings, entries(findings), tuple(notes(base, new, findings, broken))
    )


def conditions_of(base: Record, new: Record) -> Conditions:
    """What the two runs have in common."""
    a, b = base.environment, new.environment
    return Conditions(
        same_device=(a.device, a.dtype) == (b.device, b.dtype),
        same_suite=a.suite == b.suite,
        base_complete=base.complete,
        new_complete=new.complete,
        dtype=coarser(a.dtype, b.dtype),
    )


class Judge:
    """Judges pairs of two records; knows their checkpoints."""

    def __init__(self, base: Record, new: Record, conditions: Conditions) -> None:
        self.conditions = conditions
        self.names = [{key[0] for key in record.observations} for record in (base, new)]
        self.checkpoints = {**base.environment.checkpoints, **new.environment.checkpoints}

    def __call__(self, base: Observation | None, new: Observation | None) -> Finding:
        judgement = judge(base, new, self.conditions)
        seen = new or base
        assert seen is not None
        finding = Finding(base, new, judgement, section_of(seen))
        if judgement is SAME:
            return finding
        finding.checkpoint = self.checkpoints.get(seen.checkpoint, {})
        if not all(seen.checkpoint in names for names in self.names):
            finding.section = CHECKPOINTS
            finding.judgement = Judgement(
                judgement.verdict, (f"checkpoint {plain(seen.checkpoint)}",)
            )
        return finding


def explain(
    findings: Sequence[Finding], base: Record, new: Record, explanations: Sequence[Explanation]
) -> None:
    """Give every finding the first explanation that matches."""
    versions = base.environment.versions, new.environment.versions
    able = [explanation for explanation in explanations if explanation.spans(*versions)]
    tokenizers, facts, given = (
        tokenizers_of(findings, base, new),
        facts_of(findings),
        given_of(base),
    )
    for finding in findings:
        name = finding.seen.checkpoint
        model = str(finding.checkpoint.get("model_type") or "")
        subject = Subject(model, tokenizers.get(name, ()), facts.get(name, ()), given.get(name, ()))
        if finding.section != CHECKPOINTS:
            finding.explanation = next(
                (
                    e
                    for e in able
                    if e.matches(finding.base, finding.new, finding.judgement, subject)
                ),
                None,
            )


def tokenizers_of(
    findings: Sequence[Finding], base: Record, new: Record
) -> Mapping[str, Collection[str]]:
    """Checkpoint -> the names its tokenizer facts give, and `Old → New` where one changed."""
    found = defaultdict(set)
    for observation in [*base.observations.values(), *new.observations.values()]:
        if observation.group == "load" and "tokenizer" in observation.observation:
            data = observation.value.get("data")
            if isinstance(data, str) and data.isidentifier():
                found[observation.checkpoint].add(data)
    for finding in findings:
        names = {shown(finding.base), shown(finding.new)}
        if finding.section == "load" and names <= found[finding.seen.checkpoint]:
            change = f"{shown(finding.base)} → {shown(finding.new)}"
            found[finding.seen.checkpoint].add(change)
    return found


def facts_of(findings: Sequence[Finding]) -> Mapping[str, Collection[str]]:
    """Checkpoint -> its load facts that changed."""
    found = defaultdict(set)
    for finding in findings:
        if finding.section == "load":
            found[finding.seen.checkpoint].add(finding.seen.observation)
    return found


def given_of(base: Record) -> Mapping[str, Collection[str]]:
    """Checkpoint -> what BASE reads in its configuration, as `observation=value`."""
    found = defaultdict(set)
    for observation in base.observations.values():
        if observation.observation.startswith("load/config/"):
            found[observation.checkpoint].add(f"{observation.observation}={shown(observation)}")
    return found


def steady(base: Record, findings: Sequence[Finding]) -> set[str]:
    """Checkpoints with a fingerprint, not an error, and none that changed."""
    fingerprinted = {
        key[0]
        for key, seen in base.observations.items()
        if is_fingerprint(key[1]) and seen.value.get("type") != "error"
    }
    return fingerprinted - {
        f.seen.checkpoint for f in findings if is_fingerprint(f.seen.observation)
    }


def is_fingerprint(observation: str) -> bool:
    """Whether an observation is the encoding of the hostile text."""
    fact = family(observation)
    return fact is not None and fact.name == "fingerprint"
