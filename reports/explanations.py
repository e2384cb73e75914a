"""Why a behaviour changed between versions: explanations.toml, matched narrowly.

An explanation applies when BASE is before the release range and NEW inside it, and only to
findings whose verdict, observation, checkpoint, tokenizer class, changed load facts and *value* it
names. Where it
names an edit, every edit of the finding must match, so that a second change hiding in the same
observation stays CHANGED.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from reports.record import Observation
from reports.value import (
    Error,
    Exact,
    Ids,
    Numbers,
    Text,
    TopK,
    ValueFormatError,
    canonical,
    decode,
)
from reports.verdict import Judgement, Verdict

SHIPPED = Path(__file__).parent / "explanations.toml"
REQUIRED = {"id", "cause", "release", "link", "observations"}
OPTIONAL = {
    "checkpoints",
    "facts",
    "given",
    "models",
    "tokenizers",
    "verdicts",
    "base",
    "new",
    "edit",
    "defect",
}
EXPLAINABLE = frozenset(
    {Verdict.CHANGED, Verdict.VANISHED, Verdict.BROKE, Verdict.APPEARED, Verdict.REPAIRED}
)


class ExplanationError(Exception):
    """An entry that cannot be used; the message names it and says why, in one line."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A checkpoint: its model_type, the tokenizer classes its records name, its changed load facts.

    tokenizers: with `Old → New` where a name changed.
    given: `observation=value` for each fact of the older record.
    """

    model: str = ""
    tokenizers: Collection[str] = ()
    facts: Collection[str] = ()
    given: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """One known change; names are matched by globs, values and edits by regular expressions."""

    id: str
    cause: str
    library: str
    release: SpecifierSet
    link: str
    observations: tuple[str, ...]
    checkpoints: tuple[str, ...]
    models: tuple[str, ...]
    tokenizers: tuple[str, ...]
    facts: tuple[str, ...]
    given: tuple[str, ...]
    verdicts: frozenset[Verdict]
    base: re.Pattern[str] | None
    new: re.Pattern[str] | None
    edit: re.Pattern[str] | None
    defect: bool

    @property
    def releases(self) -> str:
        """Such as `transformers>=5.0.0`."""
        return f"{self.library}{self.release}"

    def spans(self, base: Mapping[str, str], new: Mapping[str, str]) -> bool:
        """Whether the change lies between two sets of versions: NEW has it, the older BASE not."""
        try:
            before, after = Version(base[self.library]), Version(new[self.library])
        except (KeyError, InvalidVersion):
            return False
        inside = self.release.contains(after, prereleases=True)
        return before < after and inside and not self.release.contains(before, prereleases=True)

    def matches(
        self,
        base: Observation | None,
        new: Observation | None,
        judgement: Judgement,
        subject: Subject,
    ) -> bool:
        """Whether it explains this finding of a subject."""
        seen = base or new
        assert seen is not None
        return (
            judgement.verdict in self.verdicts
            and any(fnmatchcase(seen.observation, glob) for glob in self.observations)
            and any(fnmatchcase(seen.checkpoint, glob) for glob in self.checkpoints)
            and (not self.models or any_matches([subject.model], self.models))
            and (not self.tokenizers or any_matches(subject.tokenizers, self.tokenizers))
            and (not self.facts or any_matches(subject.facts, self.facts))
            and (not self.given or any_matches(subject.given, self.given))
            and (self.edit is None or all(map(self.edit.fullmatch, judgement.edits)))
            and (self.base is None or self.base.fullmatch(shown(base)) is not None)
            and (self.new is None or self.new.fullmatch(shown(new)) is not None)
        )


def any_matches(names: Iterable[str], globs: Iterable[str]) -> bool:
    """Whether one of the names matches one of the globs."""
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


def shown(observation: Observation | None) -> str:
    """The value that the patterns `base` and `new` are matched against."""
    if observation is None:
        return "absent"
    try:
        value = decode(observation.value)
    except ValueFormatError:
        return "unreadable"
    match value:
        case Text(text) | Exact(str(text)):
            found = text
        case Exact(data):
            found = canonical(data)
        case Ids(data, tokens):
            found = " ".join(map(str, data) if tokens is None else tokens)
        case Error(kind, name, text):
            found = f"{kind} {name}: {text}"
        case Numbers(dtype, shape):
            found = f"{dtype}{list(shape)}"
        case TopK(shape):
            found = f"topk{list(shape)}"
    return found


@lru_cache
def load(path: Path = SHIPPED) -> tuple[Explanation, ...]:
    """Every explanation of a file; raises ExplanationError at the first that cannot be used."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("explanation", [])
    found = tuple(explanation_from(entry) for entry in entries)
    names = [explanation.id for explanation in found]
    for name in names:
        if names.count(name) > 1:
            raise ExplanationError(f"explanation {name!r}: the id stands twice")
    return found


def explanation_from(entry: Mapping[str, Any]) -> Explanation:
    """One table of the file; raises ExplanationError."""
    name = entry.get("id", "without id")
    if problem := problem_with(entry):
        raise ExplanationError(f"explanation {name!r}: {problem}")
    try:
        requirement = Requirement(entry["release"])
        patterns = {
            key: re.compile(entry[key], re.DOTALL) if key in entry else None
            for key in ("base", "new", "edit")
        }
        verdicts = frozenset(Verdict(verdict) for verdict in entry.get("verdicts", ["CHANGED"]))
    except (InvalidRequirement, re.error, ValueError) as error:
        raise ExplanationError(f"explanation {name!r}: {error}") from error
    if not verdicts <= EXPLAINABLE or not requirement.specifier:
        raise ExplanationError(
            f"explanation {name!r}: {'a release range' if verdicts <= EXPLAINABLE else 'verdicts'}"
        )
    return Explanation(
        entry["id"],
        entry["cause"],
        requirement.name,
        requirement.specifier,
        entry["link"],
        tuple(entry["observations"]),
        tuple(entry.get("checkpoints", ["*"])),
        tuple(entry.get("models", ())),
        tuple(entry.get("tokenizers", ())),
        tuple(entry.get("facts", ())),
        tuple(entry.get("given", ())),
        verdicts,
        **patterns,
        defect=entry.get("defect", False),
    )


def problem_with(entry: Mapping[str, Any]) -> str | None:
    """What keeps an entry from being narrow and traceable, None when nothing does."""
    if missing := REQUIRED - entry.keys():
        return f"{', '.join(sorted(missing))} missing"
    if unknown := entry.keys() - REQUIRED - OPTIONAL:
        return f"unknown {', '.join(sorted(unknown))}"
    if not entry["link"].startswith("https://"):
        return "the link must start with https://"
    if not any(key in entry for key in ("base", "new", "edit")):
        return "needs a pattern for base, new or edit, else it would swallow any change"
    if any(not glob.strip("*/?") for glob in entry["observations"]):
        return "an observation glob that matches everything"
    return None
