"""The example of an entry: base and new aligned, what differs marked, blanks visible.

Every renderer draws these lines; their text is printable (reports.text), but not yet escaped for
HTML or Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Literal

import numpy as np

from reports.distance import row_distance
from reports.edits import operations, short
from reports.finding import Finding
from reports.record import Observation
from reports.text import padded, plain, visible, width
from reports.value import Error, Exact, Ids, Numbers, Text, TopK, Value, ValueFormatError
from reports.verdict import read_value

COLUMNS = 72  # of an aligned line
BEFORE = 20  # columns shown before the first difference
ALIKE = 0.6  # of 1: strings less alike are shown whole
LISTED = 6  # edits of an object
CELL = 28  # columns of one token

Mark = Literal["same", "gone", "come", "dim"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text and how it is marked."""

    text: str
    mark: Mark = "same"


@dataclass(frozen=True, slots=True)
class Line:
    """A labelled line: `base`, `new` or `differs`."""

    label: str
    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        """Without marks."""
        return "".join(span.text for span in self.spans).rstrip()


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands above each other in the two lines; None where one line has nothing."""

    base: str | None
    new: str | None

    @property
    def width(self) -> int:
        """Columns it takes."""
        return max(width(self.base or ""), width(self.new or ""))


def lines(finding: Finding) -> list[Line]:
    """A few lines that show the difference."""
    base, new = (None if one is None else value_of(one) for one in (finding.base, finding.new))
    if isinstance(base, Ids) and isinstance(new, Ids):
        return aligned(token_cells(base, new), " ")
    if isinstance(base, Text) and isinstance(new, Text):
        return strings(base.data, new.data)
    if isinstance(base, Exact) and isinstance(new, Exact):
        return data_lines(base, new, finding.judgement.edits)
    if isinstance(base, TopK) and isinstance(new, TopK) and base.shape == new.shape:
        return row_lines(base, new)
    if isinstance(base, Numbers) and isinstance(new, Numbers) and base.shape == new.shape:
        return number_lines(base, new)
    sides: tuple[tuple[str, Value | None, Mark], ...] = (
        ("base", base, "gone"),
        ("new", new, "come"),
    )
    return [
        Line(label, (Span(brief(value), mark),))
        for label, value, mark in sides
        if value is not None
    ]


def value_of(observation: Observation) -> Value | None:
    """The value as it was judged, None when it cannot be decoded."""
    try:
        return read_value(observation)
    except ValueFormatError:
        return None


def brief(value: Value) -> str:
    """A value in one line."""
    if isinstance(value, Error):
        return f"{plain(value.name, 60)} ({plain(value.kind, 20)}): {plain(value.text, 200)}"
    if isinstance(value, Numbers):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, TopK):
        return f"the {value.indices.shape[-1]} most likely of {list(value.shape)}"
    if isinstance(value, Ids):
        return visible(" ".join(value.tokens or map(str, value.data)), COLUMNS)
    return plain(written(value), COLUMNS)


def written(value: Text | Exact) -> str:
    """Text as it is, other data as JSON."""
    data = value.data
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def row_lines(base: TopK, new: TopK) -> list[Line]:
    """The most likely tokens of the row that is furthest off."""
    rows = range(len(base.top))
    row = max(rows, key=lambda row: row_distance(base, new, row)[0], default=None)
    if row is None:
        return []
    note = Span(f"  row {row} of {list(base.shape)}", "dim")
    sides: tuple[tuple[str, TopK, Mark], ...] = (("base", base, "gone"), ("new", new, "come"))
    return [Line(label, (Span(likely(side, row), mark), note)) for label, side, mark in sides]


def likely(value: TopK, row: int) -> str:
    """The first tokens of a row with their log-probabilities."""
    pairs = zip(value.indices[row].tolist(), value.logprobs[row].tolist(), strict=True)
    return ", ".join(f"{token} ({logprob:.4g})" for token, logprob in list(pairs)[:3])


def number_lines(base: Numbers, new: Numbers) -> list[Line]:
    """The two numbers that are furthest apart, a NaN on one side before all others."""
    apart = (base.data != new.data) & ~(np.isnan(base.data) & np.isnan(new.data))
    if not apart.any():
        return []
    error = np.where(apart, np.nan_to_num(np.abs(base.data - new.data), nan=np.inf), -1.0)
    place = tuple(int(index) for index in np.unravel_index(int(error.argmax()), error.shape))
    sides: tuple[tuple[str, Numbers, Mark], ...] = (("base", base, "gone"), ("new", new, "come"))
    return [
        Line(
            label,
            (
                Span(f"{side.data[place]:.9g}", mark),
                Span(f"  at {list(place)} of {brief(side)}", "dim"),
            ),
        )
        for label, side, mark in sides
    ]


def data_lines(base: Exact, new: Exact, edits: Sequence[str]) -> list[Line]:
    """Objects as their edits, lists by element, other data by character."""
    if isinstance(base.data, dict) and isinstance(new.data, dict):
        more = [f"and {len(edits) - LISTED} more"] if len(edits) > LISTED else []
        shown = [*edits[:LISTED], *more]
        found = [Line("" if i else "differs", (Span(edit),)) for i, edit in enumerate(shown)]
        long = next((p for p in leaves(base.data, new.data) if not short(*p)), None)
        return [*found, *strings(*long)] if long else found
    if isinstance(base.data, list) and isinstance(new.data, list):
        return aligned(
            cells(*([brief(Exact(item)) for item in side.data] for side in (base, new))), " "
        )
    return strings(written(base), written(new))


def strings(base: str, new: str) -> list[Line]:
    """Two strings: by character where they are alike, else one below the other."""
    if SequenceMatcher(None, base, new, autojunk=False).ratio() < ALIKE:
        return aligned([Cell(visible(base, COLUMNS), visible(new, COLUMNS))], "")
    return aligned(text_cells(base, new), "")


def leaves(base: Any, new: Any) -> Iterator[tuple[str, str]]:
    """The strings that differ at the same keys of two objects."""
    for key, item in base.items():
        other = new.get(key)
        if isinstance(item, dict) and isinstance(other, dict):
            yield from leaves(item, other)
        elif isinstance(item, str) and isinstance(other, str) and item != other:
            yield item, other


def token_cells(base: Ids, new: Ids) -> list[Cell]:
    """A cell for each token, or id where the records have no tokens or the same."""
    if base.tokens is None or new.tokens is None or base.tokens == new.tokens:
        return cells([str(item) for item in base.data], [str(item) for item in new.data])
    return cells(base.tokens, new.tokens)


def cells(base: Sequence[str], new: Sequence[str]) -> list[Cell]:
    """A cell for each element, equal ones above each other."""
    found: list[Cell] = []
    i = 0
    for _, i1, i2, j1, j2 in [*operations(base, new), ("end", len(base), len(base), 0, 0)]:
        found += [Cell(visible(element, CELL), visible(element, CELL)) for element in base[i:i1]]
        pairs = zip_longest(base[i1:i2], new[j1:j2])
        found += [Cell(*(None if e is None else visible(e, CELL) for e in pair)) for pair in pairs]
        i = i2
    return found


def text_cells(base: str, new: str) -> list[Cell]:
    """A cell for each stretch; blanks are shown where they differ and at both ends."""
    found: list[Cell] = []
    i = 0
    for _, i1, i2, j1, j2 in [*operations(base, new), ("end", len(base), len(base), 0, 0)]:
        found += [Cell(plain(character), plain(character)) for character in base[i:i1]]
        if i2 > i1 or j2 > j1:
            removed, added = visible(base[i1:i2], COLUMNS), visible(new[j1:j2], COLUMNS)
            found.append(Cell(removed or None, added or None))
        i = i2
    for end in (0, -1):
        if found and found[end].base == found[end].new == " ":
            found[end] = Cell("␠", "␠")
    return found


def aligned(found: list[Cell], gap: str) -> list[Line]:
    """Two lines around the first difference, as wide as COLUMNS allow."""
    first = next((i for i, cell in enumerate(found) if cell.base != cell.new), 0)
    start = first
    while start > 0 and sum(cell.width + len(gap) for cell in found[start - 1 : first]) <= BEFORE:
        start -= 1
    stop, used = start, 0
    while stop < len(found) and (stop <= first or used + found[stop].width + len(gap) <= COLUMNS):
        used += found[stop].width + len(gap)
        stop += 1
    before = (Span("… ", "dim"),) if start else ()
    after = (Span("…", "dim"),) if stop < len(found) else ()
    shown = found[start:stop]
    return [
        Line(
            "base",
            (*before, *spans([(c.base, c.new, c.width) for c in shown], gap, "gone"), *after),
        ),
        Line(
            "new", (*before, *spans([(c.new, c.base, c.width) for c in shown], gap, "come"), *after)
        ),
    ]


def spans(cells: list[tuple[str | None, str | None, int]], gap: str, mark: Mark) -> list[Span]:
    """One side's cells (own, other, columns), marked where they differ."""
    found: list[Span] = []
    for own, other, columns in cells:
        text = padded(own or "", columns)
        found += (
            [Span(own or "", mark), Span(text[len(own or "") :] + gap)]
            if own != other
            else [Span(text + gap)]
        )
    joined: list[Span] = []
    for span in found:
        if joined and joined[-1].mark == span.mark:
            joined[-1] = Span(joined[-1].text + span.text, span.mark)
        elif span.text:
            joined.append(span)
    return joined
