"""How far two arrays, or two summaries of logits, are apart, and whether that is allowed.

The allowed error is stated here and nowhere else. Both records carry an absolute tolerance
(derived by the suite) and a noise floor: allowed = max(tolerance, min(4 x tolerance, noise)), each
the larger of the two records'. An observation without a tolerance gets 64 units in the last place
of its largest magnitude, in the coarser of the two dtypes: room for a few dozen reordered
additions, not for another computation.

NaN equals nothing: on one side only, it is a change whatever the tolerance. NaN at the same places
on both sides is the same broken outcome twice, as an error of the same kind is: nothing changed
there, the rest is judged, and `nan_in_both` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reports.text import number
from reports.value import Floats, Numbers, TopK

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
DEFAULT_ULPS = 64
NOISE_FACTOR = 4
TOP = 5  # log-probabilities of the base's most likely tokens that are compared
LOGPROB_FACTOR = 2  # logits off by at most d move a log-softmax by at most 2 d

Measures = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Absolute tolerance and noise floor, the larger of both records'; None where absent."""

    tolerance: float | None
    noise: float | None

    def allowed(self, default: float = 0.0) -> float:
        """The largest difference that is no change."""
        tolerance = default if self.tolerance is None else self.tolerance
        return max(tolerance, min(NOISE_FACTOR * tolerance, self.noise or 0.0))


@dataclass(frozen=True, slots=True)
class Distance:
    """Within the bounds or not, the kind of difference, and the deciding numbers."""

    within: bool
    kind: str
    measures: Measures = field(default_factory=dict)


def ulp(magnitude: float, dtype: str) -> float:
    """The unit in the last place of a magnitude in a dtype (float32 when unknown); 0 for 0."""
    if not 0 < magnitude < np.inf:
        return 0.0
    exponent = int(np.floor(np.log2(magnitude)))
    return float(np.ldexp(EPS.get(dtype, EPS["float32"]), exponent))


def coarser(*dtypes: str) -> str:
    """The dtype with the largest eps."""
    return max(dtypes, key=lambda dtype: EPS.get(dtype, 0.0))


def distance(base: Numbers, new: Numbers, bounds: Bounds, run_dtype: str, logits: bool) -> Distance:
    """Two arrays; `logits` asks for what differs in the distributions along the last axis."""
    if base.dtype != new.dtype:
        return Distance(False, f"dtype {base.dtype} → {new.dtype}")
    if base.shape != new.shape:
        return Distance(False, "shape", {"shape": f"{list(base.shape)} → {list(new.shape)}"})
    a, b = base.data, new.data
    nan = np.isnan(a)
    if not np.array_equal(nan, np.isnan(b)):
        return one_sided_nan(nan, np.isnan(b))
    error = np.zeros(a.shape)
    apart = (a != b) & ~nan
    error[apart] = np.abs(a[apart] - b[apart])
    magnitude = largest(a, b)
    dtype = coarser(base.dtype, run_dtype)
    allowed = bounds.allowed(DEFAULT_ULPS * ulp(magnitude, dtype))
    worst = float(error.max(initial=0.0))
    measures: dict[str, float | int | str] = {"max_abs_error": worst, "allowed": allowed}
    if nan.any():
        measures["nan_in_both"] = int(nan.sum())
    if worst <= allowed:
        return Distance(True, "within tolerance", measures)
    measures |= magnitudes(error, allowed, magnitude, dtype)
    if logits and a.ndim and a.shape[-1] > 1:
        measures |= distributions(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]))
    return Distance(False, "numbers beyond tolerance", measures)


def one_sided_nan(base: NDArray[np.bool_], new: NDArray[np.bool_]) -> Distance:
    """NaN where the other record has a number."""
    gained, lost = int((new & ~base).sum()), int((base & ~new).sum())
    kind = "NaN appeared" if gained else "NaN gone"
    return Distance(False, kind, {"nan_gained": gained, "nan_lost": lost, "elements": base.size})


def largest(a: Floats, b: Floats) -> float:
    """The largest finite magnitude in either array, 0 when there is none."""
    return max(float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in (a, b))


def magnitudes(
    error: Floats, allowed: float, magnitude: float, dtype: str
) -> dict[str, float | int | str]:
    """Where and how large the differences are."""
    place = np.unravel_index(int(error.argmax()), error.shape)
    unit = ulp(magnitude, dtype)
    return {
        "ulps": float(error.max() / unit) if unit else np.inf,
        "max_magnitude": magnitude,
        "at": str([int(index) for index in place]),
        "beyond": int((error > allowed).sum()),
        "elements": error.size,
    }


def log_softmax(rows: Floats) -> Floats:
    """Of each row (rows, V); rows without a finite maximum give NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = rows - rows.max(-1, keepdims=True)
        result: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def distributions(base: Floats, new: Floats) -> dict[str, float | int | str]:
    """Logits (rows, V) as distributions: top-k log-probabilities, KL(base, new), argmax flips."""
    usable = np.isfinite(base.max(-1)) & np.isfinite(new.max(-1))
    base, new = base[usable], new[usable]
    if not len(base):
        return {}
    p, q = log_softmax(base), log_softmax(new)
    top = np.argsort(-p, axis=-1, kind="stable")[:, :TOP]
    with np.errstate(invalid="ignore"):
        moved = np.abs(np.take_along_axis(p, top, -1) - np.take_along_axis(q, top, -1))
        terms = np.where(p > -np.inf, np.exp(p) * (p - q), 0.0)
    flipped = base.argmax(-1) != new.argmax(-1)
    result: dict[str, float | int | str] = {
        "topk_logprob_difference": float(np.nanmax(moved, initial=0.0)),
        "kl": float(max(0.0, terms.sum(-1).max())),
        "argmax_flips": int(flipped.sum()),
        "rows": len(base),
    }
    if flipped.any():
        ordered = np.sort(base[flipped], axis=-1)
        result["largest_flipped_margin"] = float((ordered[:, -1] - ordered[:, -2]).max())
    return result


def topk_distance(base: TopK, new: TopK, bounds: Bounds, run_dtype: str) -> Distance:
    """Two summaries of logits.

    A token that only one record lists has, in the other, at most the smallest listed
    log-probability: the difference counted for it is the least it can be.
    """
    if base.shape != new.shape:
        return Distance(False, "shape", {"shape": f"{list(base.shape)} → {list(new.shape)}"})
    if not all(np.isfinite(x).all() for x in (base.logprobs, new.logprobs, base.top, new.top)):
        same = all(np.array_equal(x, y, equal_nan=True) for x, y in arrays(base, new))
        return Distance(same, "NaN in both" if same else "NaN appeared or gone")
    magnitude = largest(base.top, new.top)
    dtype = coarser("float32", run_dtype)
    allowed = bounds.allowed(DEFAULT_ULPS * ulp(magnitude, dtype))
    rows = [row_distance(base, new, row) for row in range(len(base.top))]
    moved = max((row[0] for row in rows), default=0.0)
    raised = float(np.abs(base.top - new.top).max(initial=0.0))
    flips = [row for row in range(len(rows)) if base.indices[row, 0] != new.indices[row, 0]]
    measures: dict[str, float | int | str] = {
        "max_abs_error": raised,
        "allowed": allowed,
        "topk_logprob_difference": moved,
        "kl": max((row[1] for row in rows), default=0.0),
        "argmax_flips": len(flips),
        "rows": len(rows),
    }
    if flips and base.logprobs.shape[1] > 1:
        measures["largest_flipped_margin"] = float(
            (base.logprobs[flips, 0] - base.logprobs[flips, 1]).max()
        )
    if raised <= allowed and moved <= LOGPROB_FACTOR * allowed:
        return Distance(True, "within tolerance", measures)
    measures |= {
        "ulps": raised / ulp(magnitude, dtype) if magnitude else 0.0,
        "max_magnitude": magnitude,
    }
    return Distance(False, "numbers beyond tolerance", measures)


def arrays(base: TopK, new: TopK) -> list[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """The arrays of two summaries, paired."""
    return [
        (getattr(base, name), getattr(new, name)) for name in ("indices", "logprobs", "rest", "top")
    ]


def row_distance(base: TopK, new: TopK, row: int) -> tuple[float, float]:
    """The largest log-probability difference of one row, and KL(base, new).

    What not both list counts as one outcome, so that KL is a lower bound.
    """
    p = dict(zip(base.indices[row].tolist(), base.logprobs[row].tolist(), strict=True))
    q = dict(zip(new.indices[row].tolist(), new.logprobs[row].tolist(), strict=True))
    shared = p.keys() & q.keys()
    moved = [abs(p[token] - q[token]) for token in shared]
    moved += [
        max(0.0, value - min(q.values())) for token, value in p.items() if token not in shared
    ]
    moved += [
        max(0.0, value - min(p.values())) for token, value in q.items() if token not in shared
    ]
    rest_p = base.rest[row] + sum(
        np.exp(value) for token, value in p.items() if token not in shared
    )
    rest_q = new.rest[row] + sum(np.exp(value) for token, value in q.items() if token not in shared)
    divergence = sum(float(np.exp(p[token])) * (p[token] - q[token]) for token in shared)
    if rest_p > 0 and rest_q > 0:
        divergence += float(rest_p * np.log(rest_p / rest_q))
    return max(moved), max(0.0, float(divergence))


def sentence(measures: Measures) -> str:
    """The deciding numbers as one line."""
    found = {
        name: value if isinstance(value, str) else number(value) for name, value in measures.items()
    }
    return ", ".join(words.format(**found) for needed, words in PHRASES if needed in measures)


PHRASES = (
    ("shape", "shape {shape}"),
    ("nan_gained", "NaN gained {nan_gained}, lost {nan_lost}, of {elements} elements"),
    ("max_abs_error", "max |error| {max_abs_error}, allowed {allowed}"),
    ("ulps", "{ulps} ulp of max |value| {max_magnitude}"),
    ("beyond", "{beyond} of {elements} elements beyond, the largest at {at}"),
    ("topk_logprob_difference", "top-k log-prob difference {topk_logprob_difference}, KL {kl}"),
    ("argmax_flips", "argmax flipped in {argmax_flips} of {rows} rows"),
    ("largest_flipped_margin", "largest margin flipped {largest_flipped_margin}"),
    ("gap", "top-2 gap {gap} at step {step}, allowed {allowed}"),
    ("nan_in_both", "NaN at the same {nan_in_both} places in both"),
)
