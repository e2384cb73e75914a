"""The whole matrix: every fault against every check, written as the table reports/faults.md.

python -m suites.meta.matrix              # every fault on its checkpoint; about half an hour
python -m suites.meta.matrix NAME ...     # prints these faults only, writes nothing
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from suites.meta.faults import Fault
from suites.meta.planting import all_faults, checks_by_file, run_checks

TABLE = Path(__file__).parent.parent.parent / "reports" / "faults.md"


def noticed(fault: Fault, already: dict[str, set[str]]) -> set[str]:
    """The checks that fail with the fault and pass without it, on its checkpoint."""
    if fault.checkpoint not in already:
        already[fault.checkpoint] = run_checks(fault.checkpoint).failed
    return run_checks(fault.checkpoint, (), fault).failed - already[fault.checkpoint]


def table(found: dict[str, tuple[Fault, set[str]]]) -> str:
    """The matrix as Markdown: a row for each fault, then how often each check noticed one."""
    missed = [fault.name for fault, checks in found.values() if not checks]
    counts = Counter(check for _, checks in found.values() for check in checks)
    lines = [
        "# Planted faults",
        "",
        f"{len(found)} faults, each planted alone in the installed library; "
        f"{len(found) - len(missed)} noticed{', not: ' + ', '.join(missed) if missed else ''}. "
        "Written by `python -m suites.meta.matrix`.",
        "",
        "| fault | what it breaks | checkpoint | noticed by |",
        "| --- | --- | --- | --- |",
    ]
    lines += [row(fault, checks) for fault, checks in found.values()]
    lines += ["", "| check | faults it noticed |", "| --- | --- |"]
    stated = sorted(name for names in checks_by_file().values() for name in names)
    lines += [f"| `{check}` | {counts[check]} |" for check in dict.fromkeys(stated)]
    return "\n".join(lines) + "\n"


def row(fault: Fault, checks: set[str]) -> str:
    """One line of the table: the checks that claim the fault first, at most six named."""
    ordered = sorted(checks, key=lambda check: (check not in fault.caught_by, check))
    named = ", ".join(f"`{check}`" for check in ordered[:6]) or "**none**"
    more = f" and {len(ordered) - 6} more" if len(ordered) > 6 else ""
    return f"| {fault.name} | {fault.says} | {fault.checkpoint} | {named}{more} |"


def main(names: list[str]) -> int:
    """Run the matrix; returns how many faults no check noticed."""
    already: dict[str, set[str]] = {}
    found: dict[str, tuple[Fault, set[str]]] = {}
    for fault in all_faults():
        if names and fault.name not in names:
            continue
        checks = noticed(fault, already)
        found[fault.name] = (fault, checks)
        print(f"{fault.name}: {', '.join(sorted(checks)) or 'NOT NOTICED'}", flush=True)
    if not names:
        TABLE.write_text(table(found), encoding="utf-8")
    return sum(not checks for _, checks in found.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
