"""A check that no planted fault can fail looks at nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from suites.meta.planting import SUITES, all_faults, checks_by_file

CHECKS = sorted({name for names in checks_by_file().values() for name in names})
# What the newest library offers no place to plant a fault in, and why.
EXEMPT = {
    "test_continuation": "owed by the packaged SmolLM2 alone, which takes half a minute",
    "test_fast_equals_slow": "there is one implementation since transformers 5",
    "test_fast_and_slow_share_special_tokens": "there is one implementation since transformers 5",
    "test_question_answering": "the newest library has no such pipeline",
    "test_text2text_generation": "the newest library has no such pipeline",
    "test_summarization": "the newest library has no such pipeline",
    "test_translation": "the newest library has no such pipeline",
    "test_threads_with_different_settings_get_their_own": "known to fail already (deviations.toml)",
    "test_output_layout_is_honoured": "known to fail already (deviations.toml)",
}


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in EXEMPT])
def test_check_has_a_fault(check):
    """At least one fault names the check as one that notices it (test_faults sees that it does)."""
    claimed = {name for fault in all_faults() for name in fault.caught_by}
    assert check in claimed, f"write a fault that {check} notices, in suites/meta/faults"


def test_exempt_checks_exist_and_have_no_fault():
    """An exemption speaks of a check there is, and goes when somebody writes its fault."""
    claimed = {name for fault in all_faults() for name in fault.caught_by}
    assert set(EXEMPT) <= set(CHECKS)
    assert set(EXEMPT) & claimed == set()


def test_faults_name_checks_that_exist():
    """Every check that a fault names is in the default run, and each fault names at least one."""
    unknown = {fault.name: sorted(set(fault.caught_by) - set(CHECKS)) for fault in all_faults()}
    assert {name: missing for name, missing in unknown.items() if missing} == {}
    assert [fault.name for fault in all_faults() if not fault.caught_by] == []


def test_fault_names_are_unique():
    """No two faults share a name."""
    names = Counter(fault.name for fault in all_faults())
    assert [name for name, count in names.items() if count > 1] == []


def test_ci_runs_every_module_beside_this_one():
    """`.ci/run` names each module of suites/meta."""
    script = (SUITES.parent / ".ci" / "run").read_text(encoding="utf-8")
    named = {name for names in re.findall(r"test_\{(.+?)\}", script) for name in names.split(",")}
    there = {file.stem.removeprefix("test_") for file in Path(__file__).parent.glob("test_*.py")}
    assert named == there
