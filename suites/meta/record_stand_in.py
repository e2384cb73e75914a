"""Records written by hand, for tests of the comparison."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reports.compare import Comparison, compare
from reports.explanations import load
from reports.record import read
from reports.verdict import Verdict

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "schema": 1,
    "suite": "0.1.0",
    "started": "2026-11-22T18:00:00+00:00",
    "machine": {"processor": "a processor"},
    "threads": 1,
    "device": "cpu",
    "dtype": "float32",
    "arguments": [],
    "checkpoints": [{"name": "bert", "digest": "0", "model_type": "bert"}],
}


def observed(value: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """One line of a record."""
    line = {"checkpoint": "bert", "observation": "tokenization/ids", "input": "a b"}
    return {**line, "group": "tokenization", "value": value, **changes}


def exact(data: Any) -> dict[str, Any]:
    """An exact value."""
    return {"type": "exact", "data": data}


def error(kind: str, name: str = "ValueError", text: str = "no") -> dict[str, Any]:
    """The value of an outcome that was an exception."""
    return {"type": "error", "kind": kind, "class": name, "text": text}


def ids(tokens: str, gaps: list[float] | None = None) -> dict[str, Any]:
    """Token ids with their strings, one for each word."""
    words = tokens.split()
    return {
        "type": "ids",
        "data": [zlib.crc32(w.encode()) for w in words],
        "tokens": words,
        "gaps": gaps,
    }


def numbers(
    *values: float, shape: list[int] | None = None, dtype: str = "float32"
) -> dict[str, Any]:
    """An array."""
    data = struct.pack(f"<{len(values)}{'d' if dtype == 'float64' else 'f'}", *values)
    encoded = base64.b64encode(zlib.compress(data)).decode()
    return {"type": "numbers", "dtype": dtype, "shape": shape or [len(values)], "data": encoded}


def written(
    directory: Path, lines: Iterable[Mapping[str, Any]], *, ended: bool = True, **changes: Any
) -> Path:
    """Write a record and return its directory; one called `new` is of transformers 5.23.0."""
    version = "5.23.0" if directory.name == "new" else "4.57.6"
    directory.mkdir()
    environment = {**ENVIRONMENT, "versions": {"transformers": version}, **changes}
    (directory / "environment.json").write_text(json.dumps(environment))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    end = json.dumps({"end": "now", "observations": 1}) + "\n"
    (directory / "observations-main.jsonl").write_text(text + end * ended)
    return directory


def compared(
    directory: Path, base: list[dict[str, Any]], new: list[dict[str, Any]], **changes: Any
) -> Comparison:
    """Write two records and compare them; the changes are those of NEW's environment."""
    first, second = written(directory / "base", base), written(directory / "new", new, **changes)
    return compare(read(first), read(second), load())


def verdicts(comparison: Comparison) -> dict[Verdict, int]:
    """What was given."""
    return {verdict: count for verdict, count in comparison.totals.items() if count}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line."""
    command = [sys.executable, "-m", "reports", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def conforms(data: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> bool:
    """Whether data follows a schema, for the keywords these schemas use."""
    root = root or schema
    if "$ref" in schema:
        return conforms(data, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "oneOf" in schema and sum(conforms(data, one, root) for one in schema["oneOf"]) != 1:
        return False
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    fits = [data is None if kind == "null" else isinstance(data, TYPES[kind]) for kind in kinds]
    if (kinds and not any(fits)) or data not in schema.get("enum", [data]):
        return False
    if isinstance(data, list):
        return all(conforms(item, schema.get("items", {}), root) for item in data)
    if not isinstance(data, dict):
        return True
    inner, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    return all(name in data for name in schema.get("required", ())) and all(
        conforms(item, inner.get(name, rest), root) for name, item in data.items()
    )
