"""Which finding explains which: changed load facts first, then token ids, then numbers.

A finding gets at most one parent, of the same checkpoint. What explanations.toml explains has its
cause already, and what happens in the same way where no cause is seen was not caused by one.
A parent orders the reading; it never softens a verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from reports.edits import generic
from reports.finding import CHECKPOINTS, Finding
from reports.verdict import Verdict

EFFECTS = frozenset({Verdict.CHANGED, Verdict.BROKE, Verdict.REPAIRED})
LATER = ("outputs", "numbers", "generation")
# Calls that ask for something of their own: that one of them changed says nothing of the plain ones.
SPECIAL = (
    "forward/call/*", "forward/cache/*",
    "outputs/*", "pipelines/*",
)  # fmt: skip
PLAIN = "forward/call/as loaded"
# Other ways to load than the plain one: that one of them raises takes nothing else away.
WAYS = (
    "load/auto/", "load/option/", "load/resized/", "load/made ", "load/tokenizer/made ",
    "load/tokenizer/saved ", "load/tokenizer/tokenizer.json ", "load/tokenizer/vocabulary ",
    "load/tokenizer/use_fast", "load/tokenizer/of a subfolder", "load/tokenizer/class with ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """Load facts, by globs of observations, and the sections whose changes they explain.

    only: globs of the observations they can explain there.
    """

    name: str
    globs: tuple[str, ...]
    explains: tuple[str, ...]
    only: tuple[str, ...] = ("*",)

    def able(self, finding: Finding) -> bool:
        """Whether such a fact can be the cause of a finding."""
        return finding.section in self.explains and any(
            fnmatchcase(finding.seen.observation, glob) for glob in self.only
        )


PIPELINE = tuple(
    f"load/tokenizer/{part}"
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder")
)
# Everything else is loaded with the dtype and the attention implementation that the suite names.
DEFAULTS = ("pipelines/*",)
FAMILIES = (  # the first that can explain a finding does
    Family("files", ("*digest*",), ("tokenization", *LATER)),
    Family("dtype", ("*dtype*",), LATER, DEFAULTS),
    Family("attention", ("*attention*", "*attn*"), ("numbers", "generation"), DEFAULTS),
    Family("weights", ("load/model/weights", "load/model/size"), LATER),
    Family("generation", ("*generation*",), ()),
    Family("fingerprint", ("*fingerprint*",), ()),
    Family(
        "padding",
        ("load/tokenizer/padding_side",),
        ("tokenization",),
        (
            "tokenization/batch*",
            "tokenization/*padded*",
            "tokenization/chat mask*",
            "tokenization/coll*",
        ),
    ),
    Family(
        "inputs",
        ("load/tokenizer/model_input_names",),
        ("tokenization",),
        tuple(
            f"tokenization/{name}*"
            for name in (
                "batch",
                "chat mask",
                "collated",
                "cut",
                "keys",
                "pad",
                "pair",
                "windows",
                "words",
            )
        ),
    ),
    Family(
        "clean-up",
        ("load/tokenizer/clean_up_tokenization_spaces",),
        ("tokenization",),
        ("tokenization/*decoded*", "tokenization/after *", "tokenization/loaded *"),
    ),
    Family(
        "pipeline",
        PIPELINE,
        ("tokenization", "numbers", "generation"),
        ("tokenization/*", "forward/from text", "generation/text*"),
    ),
    Family(
        "added tokens",
        ("load/tokenizer/added",),
        ("tokenization", "numbers", "generation"),
        ("tokenization/*", "forward/from text", "generation/text*"),
    ),
    Family("tokenizer", ("*tokenizer*", "*backend*", "*is_fast*", "*special*"), ("tokenization",)),
)
LAST = {
    "generation": "generation",
    "tokenization": "fingerprint",
}  # section -> the fact that explains it when no other does


@cache
def family(observation: str) -> Family | None:
    """The family of a load fact."""
    return next(
        (f for f in FAMILIES if any(fnmatchcase(observation, glob) for glob in f.globs)), None
    )


def is_plain(finding: Finding) -> bool:
    """Whether numbers come of a call that asks for nothing of its own."""
    name = finding.seen.observation
    return name == PLAIN or not any(fnmatchcase(name, glob) for glob in SPECIAL)


def renamed(fact: Family, finding: Finding) -> bool:
    """Whether a tokenizer fact changed in a documented way: a new name encodes alike."""
    return fact.name == "tokenizer" and finding.verdict is Verdict.EXPECTED


def attribute(findings: Sequence[Finding], steady: Collection[str]) -> None:
    """Set the parent of every finding that another one explains.

    steady: checkpoints whose fingerprint is the same in both records; there a renamed tokenizer
    class changed no token and explains none.
    """
    grouped = defaultdict(list)
    for finding in findings:
        if finding.section != CHECKPOINTS:
            grouped[finding.seen.checkpoint].append(finding)
    for checkpoint, own in grouped.items():
        causes = Causes(own, checkpoint in steady)
        for finding in own:
            finding.parent = causes.of(finding)
    release(findings)


def release(findings: Sequence[Finding]) -> None:
    """Take the parent from findings whose every edit is also seen where nothing explains it."""
    alone = {
        (f.section, edit)
        for f in findings
        if f.parent is None and f.explanation is None
        for edit in f.judgement.edits
    }
    for finding in findings:
        edits = finding.judgement.edits
        if finding.parent and not any(
            generic(e) or (finding.section, e) not in alone for e in edits
        ):
            finding.parent = None


class Causes:
    """What changed in one checkpoint, by what it can explain."""

    def __init__(self, findings: Sequence[Finding], steady: bool) -> None:
        self.facts: dict[str, Finding] = {}
        self.ids: dict[str, Finding] = {}
        self.numbers: dict[str, Finding] = {}
        self.loading: dict[Verdict, Finding] = {}
        self.ways: dict[str, Finding] = {}
        self.outcomes: dict[tuple[str, Verdict], Finding] = {}
        for finding in findings:
            self.add(finding)
        if steady:
            self.facts.pop("tokenizer", None)

    def add(self, finding: Finding) -> None:
        """Remember a possible cause; the first of its kind counts."""
        seen, verdict = finding.seen, finding.judgement.verdict
        if verdict not in EFFECTS:
            return
        self.outcomes.setdefault((seen.observation, verdict), finding)
        if finding.section == "load":
            self.ways[seen.observation] = finding
            if verdict is not Verdict.CHANGED:
                if not seen.observation.startswith(WAYS):
                    self.loading.setdefault(verdict, finding)
            elif (fact := family(seen.observation)) and not renamed(fact, finding):
                self.facts.setdefault(fact.name, finding)
        elif finding.section == "tokenization" and seen.value.get("type") == "ids":
            self.ids.setdefault(seen.input, finding)
        elif finding.section == "numbers" and verdict is Verdict.CHANGED and is_plain(finding):
            self.numbers.setdefault(seen.input, finding)

    def of(self, finding: Finding) -> Finding | None:
        """The cause of one finding, None when it stands for itself."""
        verdict = finding.judgement.verdict
        if finding.explanation:
            return None
        if verdict in (Verdict.VANISHED, Verdict.APPEARED):
            outcome = Verdict.BROKE if verdict is Verdict.VANISHED else Verdict.REPAIRED
            return (
                self.of_call(finding, outcome) or self.of_way(finding) or self.loading.get(outcome)
            )
        if verdict not in EFFECTS:
            return None
        causes: tuple[Finding | None, ...] = (
            self.of_way(finding),
            self.of_token_ids(finding),
            self.of_fact(finding),
            self.of_numbers(finding),
            self.facts.get(LAST.get(finding.section, "")),
        )
        return next((cause for cause in causes if cause), None)

    def of_call(self, finding: Finding, outcome: Verdict) -> Finding | None:
        """The call that raises, or no longer does, for what else is seen of its value."""
        name = finding.seen.observation
        while name := name.rpartition("/")[0]:
            if found := self.outcomes.get((name, outcome)):
                return found
        return None

    def of_way(self, finding: Finding) -> Finding | None:
        """What one way of loading a tokenizer gives, for what was seen of that tokenizer."""
        way = finding.seen.observation.replace("tokenization/", "load/tokenizer/", 1)
        if finding.section != "tokenization":
            return None
        for part in ("length", "pipeline"):
            if rebuilt := self.ways.get(f"{way}/{part}"):
                return rebuilt
        found = self.ways.get(way)
        # another name for the class encodes alike
        return None if found and found.explanation and not found.explanation.defect else found

    def of_token_ids(self, finding: Finding) -> Finding | None:
        """Other token ids for the same input; they do not explain each other."""
        if "files" in self.facts or finding.section not in ("tokenization", *LATER):
            return None
        cause = self.ids.get(finding.seen.input)
        ids = finding.section == "tokenization" and finding.seen.value.get("type") == "ids"
        return None if ids else cause

    def of_fact(self, finding: Finding) -> Finding | None:
        """A changed load fact; another tokenizer class or backend explains a fingerprint."""
        if finding.section == "load":
            fact = family(finding.seen.observation)
            if fact is None or fact.name != "fingerprint":
                return None
            return self.facts.get("pipeline") or self.facts.get("tokenizer")
        able = [fact.name for fact in FAMILIES if fact.able(finding)]
        found = next((self.facts[name] for name in able if name in self.facts), None)
        repaired = finding.judgement.verdict is Verdict.REPAIRED
        # what is no defect mends nothing
        return None if repaired and found and found.verdict is Verdict.EXPECTED else found

    def of_numbers(self, finding: Finding) -> Finding | None:
        """Other numbers of a plain call, for the same input where seen; they do not explain each other."""
        later = finding.section == "generation" or (
            finding.section == "numbers" and not is_plain(finding)
        )
        if not later or not self.numbers or finding.judgement.verdict is not Verdict.CHANGED:
            return None
        return self.numbers.get(finding.seen.input) or next(iter(self.numbers.values()))
