"""Whether a law holds is part of a record: two of them say which laws one version breaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.laws import HOLDS, outcome
from reports.compare import compare
from reports.record import Record, read
from reports.verdict import Verdict
from suites.meta.record_stand_in import exact, observed, written

pytestmark = pytest.mark.meta

ROOT = Path(__file__).parents[2]
CHECK = "test_single_sequence_equals_reference"
NO_TANH = """
from transformers.models.bert.modeling_bert import BertPooler
BertPooler.forward = lambda self, states: self.dense(states[:, 0])
"""


def recorded(directory: Path, *arguments: str) -> Record:
    """The record of one law on one checkpoint; the run is green, whatever it finds."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    command += ["suites/outputs", "-k", CHECK, "--checkpoint=bert-sentiment", "--only-record"]
    # of two workers of xdist, neither begins a record
    alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    subprocess.run(
        [*command, f"--record={directory}"],
        cwd=ROOT, env=alone, capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    return read(directory)


def test_a_law_that_breaks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pooler's tanh the reference is contradicted: one law BROKE, with the call that shows it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "no_tanh.py").write_text(NO_TANH)
    base = recorded(tmp_path / "base")
    new = recorded(tmp_path / "new", "-p", "no_tanh")
    found = compare(base, new).findings
    assert [finding.verdict for finding in found] == [Verdict.BROKE]
    assert found[0].seen.observation == f"law/{CHECK}"
    assert found[0].judgement.edits == (f"no longer holds: {found[0].seen.law}",)
    assert "from_pretrained('fixtures/checkpoints/bert-sentiment')" in found[0].reproduction
    assert [finding.verdict for finding in compare(new, base).findings] == [Verdict.REPAIRED]
    assert not compare(new, new).findings


def test_a_law_asked_of_one_record_says_nothing(tmp_path: Path) -> None:
    """A check that one version is not owed is neither held nor broken there."""
    law = observed(HOLDS, observation="law/test_it", group="laws")
    seen = observed(exact(1))
    base, new = written(tmp_path / "base", [law, seen]), written(tmp_path / "new", [seen])
    assert compare(read(base), read(new)).totals == {Verdict.SAME: 1}


def test_a_known_departure_gives_its_reason() -> None:
    """What deviations.toml says of a failure takes the place of what the failure says."""
    found = outcome(
        AssertionError("name\n  value:  1\n  expected:  2"), "One is two.", "It is known."
    )
    assert found["value"]["text"] == "It is known."
    found = outcome(AssertionError("name\n  value:  1\n  expected:  2"), "One is two.", "")
    assert found["value"]["text"] == "value: 1; expected: 2 — One is two."
