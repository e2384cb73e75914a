"""The default run does not owe less than it did, and every known deviation speaks of something."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from fixtures.deviations import deviations
from suites.meta.census import BASELINE, census
from suites.meta.planting import check_of, checks_by_file, items_by_checkpoint

AGAIN = "; if that is meant, run `python -m suites.meta.census` and commit what it writes"
CHECKS = [name for names in checks_by_file().values() for name in names]
pytestmark = pytest.mark.meta


def test_no_less_is_owed():
    """No check owes fewer pairs than in the committed census, and none is known to fail on more."""
    before, now = json.loads(BASELINE.read_text(encoding="utf-8")), census()
    version = before["transformers"]
    assert now["transformers"] == version, f"the census is of transformers {version}{AGAIN}"
    fewer = {n: now["owed"].get(n, 0) - count for n, count in before["owed"].items()}
    fewer = {name: change for name, change in fewer.items() if change < 0}
    assert not fewer, f"owed pairs lost: {fewer}{AGAIN}"
    more = {n: count - before["known"].get(n, 0) for n, count in now["known"].items()}
    more = {name: change for name, change in more.items() if change > 0}
    assert not more, f"more pairs are known to fail: {more}{AGAIN}"


def test_deviations_name_checks():
    """Every entry of deviations.toml names a check there is."""
    unknown = [
        known.check
        for known in deviations()
        if not any(fnmatchcase(name, known.check) for name in CHECKS)
    ]
    assert unknown == []


def test_deviations_name_families():
    """A departure that is known of some checkpoints says whose others it may be seen on."""
    named = [known for known in deviations() if known.checkpoint != "*" and not known.families]
    assert [f"{known.check} on {known.checkpoint}" for known in named] == []


def test_current_deviations_speak_of_something():
    """Every entry that speaks of the installed versions covers a check on a default checkpoint."""
    pairs = [
        (check_of(item.nodeid), parameters["checkpoint"], case_of(item, name))
        for name, items in items_by_checkpoint().items()
        for item in items
        for parameters in [item.callspec.params]
    ]
    idle = [
        f"{known.check} on {known.checkpoint} {known.cases}: {known.reason}"
        for known in deviations()
        if known.is_current()
        and known.checkpoint  # else it speaks of other people's only
        and not any(
            fnmatchcase(check, known.check) and known.covers(*pair) for check, *pair in pairs
        )
    ]
    assert idle == [], "take these entries out of deviations.toml, or bound their versions"


def case_of(item, name):
    """What an item is parametrized with beside the checkpoint, as in its id."""
    return item.callspec.id.replace(name, "").strip("-")


def test_a_run_is_told_by_checkpoint(tmp_path):
    """Without workers, a run's dots stand behind the names of the checkpoints; the table has each once more."""
    names = ("bert-masked", "vit-random")
    command = [sys.executable, "-m", "pytest", "-k", "loads", f"--record={tmp_path}"]
    command += [f"--checkpoint={name}" for name in names]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    lines = [line.split(" ")[0] for line in done.stdout.splitlines()]
    assert [lines.count(name) for name in names] == [2, 2], done.stdout
    assert "suites/outputs/test_loading.py" not in done.stdout


def test_collecting_imports_no_library_under_test():
    """`pytest --co` loads neither torch nor transformers, which would double its time."""
    program = (
        "import sys, pytest\n"
        "assert pytest.main(['--co', '-qq']) == 0\n"
        "loaded = {'torch', 'transformers', 'tokenizers'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {loaded}' if loaded else 0)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
