"""Run checks with a fault planted in the installed library, and say which of them noticed."""

from __future__ import annotations

import ast
import contextlib
import io
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol

import pytest

from fixtures import loading, oracle
from suites.meta import faults
from suites.meta.faults import Fault

SUITES = Path(__file__).parent.parent
ON_REQUEST = ("behaviour", "benchmarks", "meta")
# Collecting garbage twice a run costs more than the checks do.
QUIET = (
    "-q",
    "--tb=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
    "-p",
    "no:unraisableexception",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)


def all_faults() -> list[Fault]:
    """Every fault of every module in suites/meta/faults, ordered by module."""
    names = sorted(module.name for module in iter_modules(faults.__path__))
    return [fault for name in names for fault in import_module(f"{faults.__name__}.{name}").FAULTS]


class Change(Protocol):
    """A fault, or a harmless variation: something that can be done to the installed library."""

    @property
    def apply(self) -> Callable[[pytest.MonkeyPatch], None]:
        """Do it; undoing the patch undoes it."""


class Outcomes:
    """A pytest plugin: plants the fault before the first check, keeps each check's outcome."""

    def __init__(self, fault: Change | None) -> None:
        self.fault = fault
        self.patch = pytest.MonkeyPatch()
        self.failed: set[str] = set()
        self.ran: set[str] = set()

    def pytest_sessionstart(self) -> None:
        """Plant it, with nothing loaded that was made before."""
        forget()
        if self.fault is not None:
            self.fault.apply(self.patch)

    def pytest_sessionfinish(self) -> None:
        """Take it out again, with everything made under it."""
        self.patch.undo()
        forget()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which checks ran, and which failed in any phase."""
        check = report.nodeid.split("::")[-1].split("[")[0]
        self.ran.add(check)
        if report.outcome == "failed":
            self.failed.add(check)


def forget() -> None:
    """Empty the caches of loaded objects."""
    for cached in (
        loading.load_model,
        loading.load_tokenizer,
        loading.load_processor,
        oracle.weights,
    ):
        cached.cache_clear()
    loading.refusals.clear()


@cache
def checks_by_file() -> dict[Path, list[str]]:
    """Every check on checkpoints that the default run has, by the module that states it."""
    files = [
        file
        for suite in sorted(SUITES.iterdir())
        if suite.name not in ON_REQUEST
        for file in sorted(suite.glob("test_*.py"))
    ]
    return {file: stated(file) for file in files}


def stated(file: Path) -> list[str]:
    """The names of the checks in a module, in order."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def run_checks(
    checkpoints: Iterable[str], checks: Iterable[str] = (), fault: Change | None = None
) -> Outcomes:
    """Run the named checks (all, if none are named) on built-in checkpoints under a fault."""
    outcomes, wanted = Outcomes(fault), set(checks)
    arguments = [
        str(file) for file, names in checks_by_file().items() if not wanted or wanted & set(names)
    ]
    arguments += [f"--checkpoint={name}" for name in checkpoints]
    if wanted:
        arguments += ["-k", " or ".join(sorted(wanted))]
    arguments += [*QUIET, "--record", "reports/runs/planted"]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = pytest.main(arguments, plugins=[outcomes])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code!r}:\n{output.getvalue()[-2000:]}")
    return outcomes
