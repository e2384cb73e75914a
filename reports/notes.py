"""What a reader of a comparison must know first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from packaging.version import InvalidVersion, Version

from reports.causes import LATER
from reports.finding import Finding
from reports.record import Environment, Record
from reports.text import counted, listed, plain
from reports.verdict import FAILING


def choices(own: Environment, other: Environment) -> str:
    """The arguments of one run that the other had not, without where its record went."""
    left = [x for x in own.arguments if x not in other.arguments]
    places = {y for x, y in pairwise(own.arguments) if x == "--record"}
    return " ".join(x for x in left if x not in places and not x.startswith("--record="))


def newer_files(base: Record, new: Record, findings: Sequence[Finding]) -> dict[str, set[str]]:
    """Checkpoints that compute something else, by what saved them, when it is newer than one side."""
    changed = {f.seen.checkpoint for f in findings if f.section in LATER and f.verdict in FAILING}
    oldest = min(
        (numbered(record.environment.versions.get("transformers", "")) for record in (base, new)),
    )
    described = {**base.environment.checkpoints, **new.environment.checkpoints}
    found: dict[str, set[str]] = {}
    for name in changed:
        saved_by = str(described.get(name, {}).get("saved_by") or "")
        if oldest < numbered(saved_by):
            found.setdefault(saved_by, set()).add(name)
    return found


def numbered(version: str) -> Version:
    """A version that can be compared; 0 for what is none."""
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")


def notes(base: Record, new: Record, findings: Sequence[Finding], broken: int) -> list[str]:
    """What a reader must know first, one line each; broken: arrays with NaN in both records."""
    a, b = base.environment, new.environment
    found = [
        f"{side}: {note}"
        for side, record in (("BASE", base), ("NEW", new))
        for note in record.notes
    ]
    if a.suite != b.suite:
        found.append(f"suite {a.suite} → {b.suite}: what only one of them observes is INCOMPARABLE")
    if (a.device, a.dtype) != (b.device, b.dtype):
        found.append(f"{a.device} {a.dtype} → {b.device} {b.dtype}: numbers are INCOMPARABLE")
    own = [choices(x, y) for x, y in ((a, b), (b, a))]
    if own != ["", ""]:
        found.append(f"arguments only of BASE: {own[0] or 'none'}; only of NEW: {own[1] or 'none'}")
    shared = [name for name in a.checkpoints if name in b.checkpoints]
    other = [
        name
        for name in shared
        if a.checkpoints[name].get("digest") != b.checkpoints[name].get("digest")
    ]
    if other:
        found.append(
            f"the files of {listed(tuple(other), 5)} differ, which may explain any difference there"
        )
    for saved_by, names in sorted(newer_files(base, new, findings).items()):
        found.append(
            f"{listed(tuple(sorted(names)), 5)}: saved by transformers {saved_by}, and an older one "
            "may not know all that config.json says"
        )
    if broken:
        found.append(
            f"NaN at the same places on both sides: {counted(broken, 'array')}, judged by the rest"
        )
    return [plain(note) for note in found]
