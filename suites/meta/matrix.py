"""Which checks notice which fault, written as the table reports/faults.md.

python -m suites.meta.matrix              # the checks that claim each fault; two minutes
python -m suites.meta.matrix --every      # every check on each fault's checkpoint; an hour on two cores
python -m suites.meta.matrix NAME ...     # every check on these faults; prints, writes nothing

A process on each core; OMP_NUM_THREADS=1 keeps them out of each other's way.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from multiprocessing import current_process, get_context
from pathlib import Path

from fixtures.loading import installed
from suites.meta.faults import Fault
from suites.meta.planting import all_faults, checks_by_file, run_checks

TABLE = Path(__file__).parent.parent.parent / "reports" / "faults.md"
Found = dict[str, tuple[Fault, set[str]]]


def noticed(name: str, every: bool) -> set[str]:
    """The checks that fail with the fault of this name, of all or of those that claim it."""
    fault = next(fault for fault in all_faults() if fault.name == name)
    return run_checks(fault.checkpoint, () if every else fault.caught_by, fault).failed


def in_a_process_of_its_own() -> None:
    """Be a main process: the library's seeded collators refuse to draw in any other but a data loader's."""
    current_process().name = "MainProcess"


def table(found: Found, every: bool) -> str:
    """The matrix as Markdown: a row for each fault, then how often each check noticed one."""
    missed = [fault.name for fault, checks in found.values() if not checks]
    counts = Counter(check for _, checks in found.values() for check in checks)
    tried = "all checks on its checkpoint" if every else "the checks that claim it"
    lines = [
        "# Planted faults",
        "",
        f"{len(found)} faults, each planted alone in transformers {installed('transformers')} and tried "
        f"with {tried} on {date.today()}; {len(found) - len(missed)} noticed"
        f"{', not: ' + ', '.join(missed) if missed else ''}. Written by `python -m suites.meta.matrix"
        f"{' --every' if every else ''}`.",
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
    """One line of the table: the checks that claim the fault first, at most four named."""
    ordered = sorted(checks, key=lambda check: (check not in fault.caught_by, check))
    named = ", ".join(f"`{check}`" for check in ordered[:4]) or "**none**"
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    says = fault.says[0].upper() + fault.says[1:].rstrip(".")
    return f"| {fault.name} | {says.replace('|', chr(92) + '|')} | {fault.checkpoint} | {named}{more} |"


def main(arguments: list[str]) -> int:
    """Run the matrix; returns how many faults no check noticed."""
    names = [argument for argument in arguments if argument != "--every"]
    every = bool(names) or "--every" in arguments
    faults = sorted(all_faults(), key=lambda fault: fault.checkpoint)
    tried = {fault.name: fault for fault in faults if not names or fault.name in names}
    found: Found = {}
    # a fault is planted in a process: a fresh one knows nothing of this one's
    fresh = get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), fresh, in_a_process_of_its_own) as pool:
        results = pool.map(partial(noticed, every=every), tried, chunksize=1 if names else 8)
        for (name, fault), failed in zip(tried.items(), results, strict=True):
            found[name] = (fault, failed)
            print(f"{name}: {', '.join(sorted(failed)) or 'NOT NOTICED'}", flush=True)
    if not names:
        TABLE.write_text(table(found, every), encoding="utf-8")
    return sum(not checks for _, checks in found.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
