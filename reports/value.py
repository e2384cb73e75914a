"""A recorded VALUE, decoded and checked; the format is reports/schema/record.json."""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1 << 30  # bytes of one decoded array: a record is untrusted
STORED = {"float64": "<f8", "float32": "<f4", "float16": "<f4", "bfloat16": "<f4"}

Floats = NDArray[np.float64]


class ValueFormatError(ValueError):
    """A value that does not follow the record format; the message says how, in one line."""


@dataclass(frozen=True, slots=True)
class Exact:
    """JSON data compared exactly."""

    data: Any


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    data: str


@dataclass(frozen=True, slots=True)
class Ids:
    """Token ids, their strings, and gaps (top-1 minus top-2 logit) of the last, generated ones."""

    data: tuple[int, ...]
    tokens: tuple[str, ...] | None
    gaps: tuple[float, ...] | None

    @property
    def prompt(self) -> int:
        """How many leading ids were given, not generated."""
        return len(self.data) - len(self.gaps or ())


@dataclass(frozen=True, slots=True)
class Numbers:
    """An array; dtype is what the library computed, data holds it in float64."""

    dtype: str
    shape: tuple[int, ...]
    data: Floats


@dataclass(frozen=True, slots=True)
class TopK:
    """The most likely of each row: indices and logprobs (rows, k), rest and top (rows,)."""

    shape: tuple[int, ...]
    indices: NDArray[np.int64]
    logprobs: Floats
    rest: Floats
    top: Floats


@dataclass(frozen=True, slots=True)
class Error:
    """The outcome was an exception; only the kind is judged."""

    kind: str
    name: str
    text: str


Value = Exact | Text | Ids | Numbers | TopK | Error


def decode(raw: Mapping[str, Any]) -> Value:
    """Raises ValueFormatError."""
    decoder = DECODERS.get(str(raw.get("type")))
    if decoder is None:
        raise ValueFormatError(f"unknown type of value {raw.get('type')!r}")
    try:
        return decoder(raw)
    except ValueFormatError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error, zlib.error) as error:
        raise ValueFormatError(
            f"bad {raw['type']} value: {type(error).__name__} {error}"
        ) from error


def canonical(data: Any) -> str:
    """JSON data as one string: equal strings mean equal data, 1 differs from 1.0 and from true."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False)


def decode_text(raw: Mapping[str, Any]) -> Text:
    """A text value."""
    if not isinstance(raw["data"], str):
        raise ValueFormatError("data of a text value must be a string")
    return Text(raw["data"])


def decode_ids(raw: Mapping[str, Any]) -> Ids:
    """An ids value."""
    data, tokens, gaps = raw["data"], raw.get("tokens"), raw.get("gaps")
    if not isinstance(data, list) or not all(type(item) is int for item in data):
        raise ValueFormatError("data of an ids value must be a list of integers")
    if tokens is not None and len(tokens) != len(data):
        raise ValueFormatError(f"{len(tokens)} tokens for {len(data)} ids")
    if gaps is not None and len(gaps) > len(data):
        raise ValueFormatError(f"{len(gaps)} gaps for {len(data)} ids")
    return Ids(
        tuple(data),
        None if tokens is None else tuple(str(token) for token in tokens),
        None if gaps is None else tuple(float(gap) for gap in gaps),
    )


def decode_numbers(raw: Mapping[str, Any]) -> Numbers:
    """A numbers value; never decompresses more than its shape needs."""
    dtype, shape = raw["dtype"], checked_shape(raw["shape"])
    if dtype not in STORED:
        raise ValueFormatError(f"unknown dtype {dtype!r}")
    stored = np.dtype(STORED[dtype])
    size = math.prod(shape) * stored.itemsize
    if size > LARGEST:
        raise ValueFormatError(f"an array of {size} bytes is larger than the {LARGEST} allowed")
    inflater = zlib.decompressobj()
    data = inflater.decompress(base64.b64decode(raw["data"], validate=True), size + 1)
    if len(data) != size:
        raise ValueFormatError(f"the bytes do not fill the shape {list(shape)}")
    return Numbers(dtype, shape, np.frombuffer(data, stored).reshape(shape).astype(np.float64))


def decode_topk(raw: Mapping[str, Any]) -> TopK:
    """A topk value."""
    shape = checked_shape(raw["shape"])
    if not shape or shape[-1] < 1:
        raise ValueFormatError("the shape of a topk value must end with the vocabulary")
    rows = math.prod(shape[:-1])
    indices = np.asarray(raw["indices"], np.int64).reshape(rows, -1)
    logprobs = np.asarray(raw["logprobs"], np.float64).reshape(rows, -1)
    rest, top = (np.asarray(raw[name], np.float64).reshape(rows) for name in ("rest", "top"))
    if indices.shape != logprobs.shape or not (rows == 0 or indices.shape[1]):
        raise ValueFormatError("indices and logprobs must have the same shape, at least one a row")
    return TopK(shape, indices, logprobs, rest, top)


def checked_shape(shape: Any) -> tuple[int, ...]:
    """A shape, or ValueFormatError."""
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueFormatError(f"not a shape: {shape!r:.60}")
    return tuple(shape)


DECODERS: Mapping[str, Callable[[Mapping[str, Any]], Value]] = {
    "exact": lambda raw: Exact(raw["data"]),
    "text": decode_text,
    "ids": decode_ids,
    "numbers": decode_numbers,
    "topk": decode_topk,
    "error": lambda raw: Error(
        str(raw["kind"]), str(raw.get("class", "")), str(raw.get("text", ""))
    ),
}
