"""A comparison as JSON with every difference; the format is reports/schema/comparison.json."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from reports.compare import Comparison
from reports.explanations import Explanation
from reports.finding import Entry, Finding
from reports.record import Observation, Record
from reports.verdict import Verdict

SCHEMA = 1


def to_json(comparison: Comparison, failing: Collection[Verdict]) -> str:
    """ASCII JSON; numbers that JSON does not know are strings ("NaN", "Infinity")."""
    used = {f.explanation.id: f.explanation for f in comparison.findings if f.explanation}
    places = {id(finding): index for index, finding in enumerate(comparison.findings)}
    content = {
        "schema": SCHEMA,
        "kind": "comparison",
        "status": comparison.exit_code(failing),
        "failing": sorted(failing),
        "base": side(comparison.base),
        "new": side(comparison.new),
        "notes": list(comparison.notes),
        "totals": dict(comparison.totals),
        "groups": comparison.counts,
        "explanations": {name: explained(one) for name, one in used.items()},
        "entries": [entry_data(entry, places) for entry in comparison.entries],
        "differences": [difference(finding) for finding in comparison.findings],
    }
    return json.dumps(finite(content), indent=1, allow_nan=False) + "\n"


def side(record: Record) -> dict[str, Any]:
    """Where one record comes from."""
    environment = record.environment
    return {
        "name": record.name,
        "started": environment.started,
        "suite": environment.suite,
        "versions": dict(environment.versions),
        "machine": dict(environment.machine),
        "device": environment.device,
        "dtype": environment.dtype,
        "threads": environment.threads,
        "arguments": list(environment.arguments),
        "observations": len(record.observations),
        "complete": record.complete,
    }


def explained(explanation: Explanation) -> dict[str, str]:
    """Why a behaviour changed."""
    return {"cause": explanation.cause, "release": explanation.releases, "link": explanation.link}


def entry_data(entry: Entry, places: Mapping[int, int]) -> dict[str, Any]:
    """One change as people read it; places: id of a finding -> its index in `differences`."""
    return {
        "section": entry.section,
        "verdict": entry.verdict,
        "edit": entry.edit,
        "count": len(entry.findings),
        "observations": list(entry.observations),
        "checkpoints": list(entry.checkpoints),
        "explanation": entry.explanation.id if entry.explanation else None,
        "example": places[id(entry.example)],
        "differences": [places[id(finding)] for finding in entry.findings],
        "explains": [entry_data(child, places) for child in entry.children],
    }


def difference(finding: Finding) -> dict[str, Any]:
    """One observation that is not SAME."""
    seen = finding.seen
    return {
        "checkpoint": seen.checkpoint,
        "observation": seen.observation,
        "input": seen.input,
        "group": seen.group,
        "verdict": finding.verdict,
        "edits": list(finding.judgement.edits),
        "measures": dict(finding.judgement.measures),
        "explanation": finding.explanation.id if finding.explanation else None,
        "base": value(finding.base),
        "new": value(finding.new),
        "law": seen.law,
        "reproduce": finding.reproduction or None,
    }


def value(observation: Observation | None) -> Mapping[str, Any] | None:
    """A recorded value without the bytes of arrays, which stay in the record."""
    if observation is None:
        return None
    return {name: data for name, data in observation.value.items() if not bulky(observation, name)}


def bulky(observation: Observation, name: str) -> bool:
    """Whether a field of a value is an array's content."""
    return name in {"numbers": ("data",), "topk": ("indices", "logprobs", "rest", "top")}.get(
        str(observation.value.get("type")), ()
    )


def finite(data: Any) -> Any:
    """The same data with infinities and NaN as strings."""
    if isinstance(data, float) and not math.isfinite(data):
        return "NaN" if math.isnan(data) else "Infinity" if data > 0 else "-Infinity"
    if isinstance(data, Mapping):
        return {str(key): finite(item) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [finite(item) for item in data]
    return data
