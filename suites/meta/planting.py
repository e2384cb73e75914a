"""Run checks with a fault planted in the installed library, and say which of them noticed."""

from __future__ import annotations

import ast
import contextlib
import io
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol

import pytest
from _pytest.config import _prepareconfig

from fixtures import generating, gguf_file, loading, oracle, tokenizing
from fixtures.catalogue import default_checkpoints
from fixtures.lazy import torch
from suites.meta import faults
from suites.meta.faults import Fault

SUITES = Path(__file__).parent.parent
ON_REQUEST = ("behaviour", "benchmarks", "meta")
# Collecting garbage twice a run costs more than the checks do; nobody reads what they record.
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
    "-o",
    "timeout=0",
    "--record=reports/runs/planted",
    "--observation=none",
    "--hypothesis-seed=1",
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
    """A pytest plugin: keeps the outcome of each check."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.ran: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which checks ran, and which failed in any phase."""
        check = check_of(report.nodeid)
        self.ran.add(check)
        if report.outcome == "failed":
            self.failed.add(check)


def check_of(nodeid: str) -> str:
    """The name of the check that a pytest item runs."""
    return nodeid.rpartition("::")[2].partition("[")[0]


def forget() -> None:
    """Empty the caches of loaded objects and of templates, and undo what a fault left set in torch."""
    torch.set_default_dtype(torch.float32)
    import_module("transformers.utils.chat_template_utils")._compile_jinja_template.cache_clear()
    for cached in (
        loading.load_tokenizer,
        loading.load_processor,
        oracle.weights,
        oracle.reference_pass,
        oracle.own_error,
        oracle.standard_tolerance,
        oracle.usual_tolerance,
        generating.logits_tolerance,
        tokenizing.slow_tokenizer,
        tokenizing.saved,
        tokenizing.resaved,
    ):
        cached.cache_clear()
    loading.models.clear()
    gguf_file.answers.clear()
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


@cache
def collected() -> pytest.Session:
    """Every check on every built-in checkpoint, collected once: each fault runs some of them."""
    arguments = [str(file) for file in checks_by_file()] + list(QUIET)
    arguments += [f"--checkpoint={c.name}" for c in default_checkpoints()[0]]
    with contextlib.redirect_stdout(io.StringIO()):
        config = _prepareconfig(arguments)
        session = pytest.Session.from_config(config)
        config._do_configure()
        config.hook.pytest_sessionstart(session=session)
        session.perform_collect()
    gguf_file.end()  # it would load without the fault
    return session


@cache
def items_by_checkpoint() -> dict[str, list[pytest.Item]]:
    """The collected items, in order, by the name of the checkpoint they are about."""
    found: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in collected().items:
        found[dict(item.user_properties)["checkpoint"]].append(item)
    return found


def run_checks(
    checkpoint: str,
    checks: Collection[str] = (),
    change: Change | None = None,
    enough: int | None = None,
) -> Outcomes:
    """Run the named checks (all, if none are named) on a built-in checkpoint under a change.

    A check that has failed is not tried with further parameters; when `enough` have, none is tried.
    """
    outcomes, patch = Outcomes(), pytest.MonkeyPatch()
    items = [
        i for i in items_by_checkpoint()[checkpoint] if not checks or check_of(i.nodeid) in checks
    ]
    manager = collected().config.pluginmanager
    forget()
    try:
        manager.register(outcomes)
        if change is not None:
            change.apply(patch)
        with contextlib.redirect_stdout(io.StringIO()):
            run_items(items, outcomes, enough)
    finally:
        manager.unregister(outcomes)
        patch.undo()
        forget()
    return outcomes


def run_items(items: Iterable[pytest.Item], outcomes: Outcomes, enough: int | None) -> None:
    """Run items one by one, each set up and torn down by itself."""
    for item in items:
        if enough is not None and len(outcomes.failed) >= enough:
            return
        if check_of(item.nodeid) not in outcomes.failed:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
