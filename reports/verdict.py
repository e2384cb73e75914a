"""Two observations, one verdict: a pure function, with the numbers that decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reports import edits as kinds
from reports.distance import Bounds, Distance, Measures, distance, topk_distance
from reports.record import Observation
from reports.value import (
    Error,
    Exact,
    Ids,
    Numbers,
    Text,
    TopK,
    Value,
    ValueFormatError,
    canonical,
    decode,
)


class Verdict(StrEnum):
    """The outcome of comparing one observation in two records."""

    SAME = "SAME"
    EQUIVALENT = "EQUIVALENT"
    TIE = "TIE"
    EXPECTED = "EXPECTED"
    CHANGED = "CHANGED"
    APPEARED = "APPEARED"
    VANISHED = "VANISHED"
    BROKE = "BROKE"
    REPAIRED = "REPAIRED"
    INCOMPARABLE = "INCOMPARABLE"


FAILING = frozenset({Verdict.CHANGED, Verdict.VANISHED, Verdict.BROKE})
UNCHANGED = frozenset({Verdict.SAME, Verdict.EQUIVALENT})
BARE = frozenset({Verdict.INCOMPARABLE, Verdict.APPEARED, Verdict.VANISHED})  # no example says more
WARNINGS = "/warnings"  # what a call said beside its value
FACTS = ("load", "api")  # groups whose strings are names, not text
OTHER_DEVICE = "the runs used different devices or dtypes"
PAIRED = frozenset(Verdict) - BARE


@dataclass(frozen=True, slots=True)
class Conditions:
    """What two records share: numbers may only be compared on one device in one dtype."""

    same_device: bool = True
    same_suite: bool = True
    base_complete: bool = True
    new_complete: bool = True
    dtype: str = "float32"

    def one_sided(self, in_base: bool) -> tuple[Verdict, str]:
        """The verdict on what only one record holds, and the reason."""
        if not self.same_suite:
            return Verdict.INCOMPARABLE, "only one version of the suite looks at this"
        if not (self.new_complete if in_base else self.base_complete):
            return Verdict.INCOMPARABLE, "the other record was cut short"
        verdict = Verdict.VANISHED if in_base else Verdict.APPEARED
        return verdict, f"only in {'BASE' if in_base else 'NEW'}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, the kinds of edit it was given for, and the deciding numbers."""

    verdict: Verdict
    edits: tuple[str, ...] = ()
    measures: Measures = field(default_factory=dict)


SAME = Judgement(Verdict.SAME)


def judge(base: Observation | None, new: Observation | None, conditions: Conditions) -> Judgement:
    """At least one observation must be given; never raises for what a record holds."""
    if base is None or new is None:
        verdict, reason = conditions.one_sided(in_base=base is not None)
        if verdict is Verdict.VANISHED and base is not None and base.observation.endswith(WARNINGS):
            return Judgement(Verdict.REPAIRED, ("no longer warns",))
        edit = reason if verdict is Verdict.INCOMPARABLE else verdict.value
        return Judgement(verdict, (edit,))
    numeric = base.value.get("type") in ("numbers", "topk")
    if not numeric and identical(base.value, new.value):
        return SAME
    try:
        before, after = (read_value(observation) for observation in (base, new))
    except ValueFormatError as error:
        return Judgement(Verdict.INCOMPARABLE, (kinds.generalised(f"unreadable value: {error}"),))
    bounds = Bounds(larger(base.tolerance, new.tolerance), larger(base.noise, new.noise))
    return judge_values(before, after, bounds, conditions, "logits" in base.observation)


def read_value(observation: Observation) -> Value:
    """The decoded value; a string in a fact is a name, not text."""
    value = decode(observation.value)
    return Exact(value.data) if isinstance(value, Text) and observation.group in FACTS else value


def identical(base: Mapping[str, object], new: Mapping[str, object]) -> bool:
    """Bit for bit, whatever the order of keys; errors by kind."""
    if base.get("type") == new.get("type") == "error":
        return base.get("kind") == new.get("kind")
    return repr(base) == repr(new) or (base == new and canonical(base) == canonical(new))


def larger(base: float | None, new: float | None) -> float | None:
    """The larger of two numbers that may be absent."""
    return max((bound for bound in (base, new) if bound is not None), default=None)


def judge_values(
    base: Value, new: Value, bounds: Bounds, conditions: Conditions, logits: bool
) -> Judgement:
    """Two decoded values."""
    match base, new:
        case (Error(), _) | (_, Error()):
            found = judge_errors(base, new)
        case (Numbers() | TopK(), Numbers() | TopK()) if not conditions.same_device:
            found = Judgement(Verdict.INCOMPARABLE, (OTHER_DEVICE,))
        case Numbers(), Numbers():
            found = by_distance(distance(base, new, bounds, conditions.dtype, logits))
        case TopK(), TopK():
            found = by_distance(topk_distance(base, new, bounds, conditions.dtype))
        case Ids(), Ids():
            found = judge_ids(base, new, bounds, conditions)
        case (Text(a), Text(b)) | (Exact(a), Exact(b)) if canonical(a) == canonical(b):
            found = SAME
        case _:
            found = changed(base, new)
    return found


def changed(base: Value, new: Value) -> Judgement:
    """A difference nothing allows."""
    return Judgement(Verdict.CHANGED, kinds.edits(base, new))


def judge_errors(base: Value, new: Value) -> Judgement:
    """At least one outcome is an exception: class and text are metadata, the kind is judged."""
    if isinstance(base, Error) and isinstance(new, Error):
        return SAME if base.kind == new.kind else changed(base, new)
    return Judgement(
        Verdict.BROKE if isinstance(new, Error) else Verdict.REPAIRED, kinds.edits(base, new)
    )


def by_distance(found: Distance) -> Judgement:
    """Numbers: bit for bit, within the bounds, or changed."""
    if not found.within:
        return Judgement(Verdict.CHANGED, (found.kind,), found.measures)
    exact = not found.measures or not (found.measures["max_abs_error"] or found.measures.get("kl"))
    return Judgement(Verdict.SAME if exact else Verdict.EQUIVALENT, (found.kind,), found.measures)


def judge_ids(base: Ids, new: Ids, bounds: Bounds, conditions: Conditions) -> Judgement:
    """Token ids: equal, or a tie at the first difference, where comparing stops."""
    if base.data == new.data:
        same_strings = base.tokens is None or new.tokens is None or base.tokens == new.tokens
        return SAME if same_strings else changed(base, new)
    generated = base.gaps is not None or new.gaps is not None
    if generated and not conditions.same_device:
        return Judgement(Verdict.INCOMPARABLE, (OTHER_DEVICE,))
    if generated:
        return judge_generated(base, new, bounds)
    return changed(base, new)


def judge_generated(base: Ids, new: Ids, bounds: Bounds) -> Judgement:
    """Generated ids.

    Logits that are each off by at most the allowed error swap two tokens only where the gaps seen
    before and after the swap add up to at most twice that error: both sides were near a tie.
    """
    shorter = min(len(base.data), len(new.data))
    first = next((i for i in range(shorter) if base.data[i] != new.data[i]), shorter)
    steps = [(side.gaps, first - side.prompt) for side in (base, new) if side.gaps is not None]
    gaps = [gaps[step] for gaps, step in steps if 0 <= step < len(gaps)]
    allowed = bounds.allowed()
    judgement = changed(base, new)
    if not gaps:
        return judgement
    measures: Measures = {"gap": max(gaps), "allowed": allowed, "step": steps[0][1]}
    if sum(gaps) <= len(gaps) * allowed:
        return Judgement(Verdict.TIE, judgement.edits, measures)
    return Judgement(Verdict.CHANGED, judgement.edits, measures)
