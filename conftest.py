"""Command line -> catalogue -> parametrization. What a check is handed lives in `fixtures`."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from fixtures.applicability import Predicate
from fixtures.catalogue import chosen_checkpoints, default_checkpoints, hub_checkpoints, unchecked
from fixtures.checkpoint import Checkpoint
from fixtures.deviations import deviations, deviations_of
from fixtures.errors import UserError, one_line, told

pytest_plugins = [
    "fixtures.options",
    "fixtures.plugin",
    "fixtures.census",
    "fixtures.laws",
    "fixtures.benchmarking",
    "fixtures.progress",
    "fixtures.terminal",
]

SUITES = Path(__file__).parent / "suites"
ON_REQUEST = ("behaviour", "benchmarks", "meta")
# When a load counts as stuck: seconds, and bytes a second of a slow disk, and of pieces to be merged anew.
LOADING, DISK, PIECES = 50, 5e7, 5e4
checkpoints_key = pytest.StashKey[list[Checkpoint]]()
unreadable_key = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Resolve what is to be checked; a mistake on the command line ends the run with exit code 4."""
    names, hub = config.getoption("checkpoint"), config.getoption("hub")
    try:
        deviations()
        found, missing = hub_checkpoints() if hub else ([], [])
        if names or not hub:
            chosen = chosen_checkpoints(names)
            others = (chosen, unchecked(chosen)) if names else default_checkpoints()
            found, missing = others[0] + found, others[1] + missing
    except UserError as error:
        lines = str(error).splitlines()
        raise pytest.UsageError(*(one_line(line, 500) for line in lines)) from None
    config.stash[checkpoints_key], config.stash[unreadable_key] = found, []
    census = config.pluginmanager.get_plugin("census")
    census.missing = missing
    config.pluginmanager.get_plugin("fixtures.plugin").checkpoints = found


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The suites one asks for by path or marker are not part of plain `pytest`."""
    if collection_path.parent != SUITES or collection_path.name not in ON_REQUEST:
        return None
    by_path = config.args_source is pytest.Config.ArgsSource.ARGS and any(
        Path(argument.split("::")[0]).resolve().is_relative_to(collection_path)
        for argument in config.args
    )
    by_marker = collection_path.name.removesuffix("s") in config.getoption("markexpr")
    return None if by_path or by_marker else True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item for each checkpoint that is owed the check."""
    if "checkpoint" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("applies_to")
    if mark is None:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: declare applies_to(...)")
    config, owed = metafunc.config, []
    for checkpoint in config.stash[checkpoints_key]:
        try:
            owed += [checkpoint] if applies(mark.args, checkpoint) else []
        except Exception as error:
            if checkpoint.source == "built-in":
                raise
            odd = f"{checkpoint.path}: its files have a form of their own ({told(error)}); restore them"
            config.stash[unreadable_key].append(str(error) if isinstance(error, UserError) else odd)
    metafunc.parametrize("checkpoint", [parameter(c) for c in owed])


def applies(predicates: Sequence[Predicate], checkpoint: Checkpoint) -> bool:
    """Whether every declared predicate holds."""
    return all(predicate(checkpoint) for predicate in predicates)


def parameter(checkpoint: Checkpoint) -> object:
    """A checkpoint as a pytest parameter: its name as id, one xdist worker for all its checks."""
    marks = [pytest.mark.xdist_group(checkpoint.name)]
    if checkpoint.kind:
        marks.append(getattr(pytest.mark, checkpoint.kind.replace("-", "_")))
    return pytest.param(checkpoint, id=checkpoint.name, marks=marks)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop checks nobody is owed, keep a checkpoint's checks together, mark suites, deviations."""
    if mistakes := dict.fromkeys(config.stash[unreadable_key]):
        raise pytest.UsageError(*(one_line(mistake, 500) for mistake in mistakes))
    items[:] = [item for item in items if not nobody_owed(item)]
    # workers divide them by checkpoint: the longest must not be what one is left with
    first = "PYTEST_XDIST_WORKER" in os.environ
    ordered = sorted(config.stash[checkpoints_key], key=lambda c: first and not c.is_large)
    order = {c.name: i for i, c in enumerate(ordered)}
    # whether it loads at all comes first: the others need not find out again
    items.sort(key=lambda item: (order.get(checkpoint_name(item), -1), not is_load(item)))
    for item in items:
        item.add_marker(item.path.parent.name.replace("benchmarks", "benchmark"))
        name = checkpoint_name(item)
        if name:
            item.user_properties.append(("checkpoint", name))
            mark_known(item, name)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Render no traceback of a known deviation, which costs seconds; what may fail and passes, passed."""
    known = item.get_closest_marker("xfail") and not item.config.option.runxfail
    # pytest needs to see where a skip was raised
    if (
        known
        and call.excinfo is not None
        and not isinstance(call.excinfo.value, pytest.skip.Exception)
    ):
        call.excinfo.traceback = call.excinfo.traceback[-1:]
    report = yield
    if known and report.passed and hasattr(report, "wasxfail"):
        del report.wasxfail
    return report


def nobody_owed(item: pytest.Item) -> bool:
    """Whether it is pytest's placeholder for an empty parameter set."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return "checkpoint" in parameters and not isinstance(parameters["checkpoint"], Checkpoint)


def checkpoint_name(item: pytest.Item) -> str:
    """The name of the checkpoint an item is about, or an empty string."""
    checkpoint = getattr(getattr(item, "callspec", None), "params", {}).get("checkpoint")
    return checkpoint.name if isinstance(checkpoint, Checkpoint) else ""


def is_load(item: pytest.Item) -> bool:
    """Whether it is one of the checks that a checkpoint loads."""
    return getattr(item, "originalname", "").endswith("_loads")


def mark_known(item: pytest.Item, name: str) -> None:
    """A known deviation is a strict xfail; a convention on a stranger's checkpoint a note."""
    checkpoint = item.callspec.params["checkpoint"]  # type: ignore[attr-defined]
    strict = checkpoint.source == "built-in"
    case = item.callspec.id.replace(name, "").strip("-")  # type: ignore[attr-defined]
    for known in deviations_of(item.originalname):  # type: ignore[attr-defined]
        if known.covers(checkpoint, case):
            item.add_marker(
                pytest.mark.xfail(
                    strict=strict and known.is_exact(), reason=f"{known.reason} ({known.link})"
                )
            )
    if not strict and is_load(item):
        read = checkpoint.weight_bytes / DISK + checkpoint.piece_bytes / PIECES
        item.add_marker(pytest.mark.timeout(LOADING + read))
    if not strict and item.get_closest_marker("convention"):
        item.add_marker(pytest.mark.xfail(strict=False, reason="note: a convention, not a law"))
