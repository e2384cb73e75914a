"""A check that no planted fault can fail looks at nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from suites.meta.planting import all_faults, checks_by_file

CHECKS = sorted({name for names in checks_by_file().values() for name in names})


@pytest.mark.parametrize("check", CHECKS)
def test_check_has_a_fault(check):
    """At least one fault names the check as one that notices it (test_faults sees that it does)."""
    claimed = {name for fault in all_faults() for name in fault.caught_by}
    assert check in claimed, f"write a fault that {check} notices, in suites/meta/faults"


def test_faults_name_checks_that_exist():
    """Every check that a fault names is in the default run, and each fault names at least one."""
    unknown = {fault.name: sorted(set(fault.caught_by) - set(CHECKS)) for fault in all_faults()}
    assert {name: missing for name, missing in unknown.items() if missing} == {}
    assert [fault.name for fault in all_faults() if not fault.caught_by] == []


def test_fault_names_are_unique():
    """No two faults share a name."""
    names = Counter(fault.name for fault in all_faults())
    assert [name for name, count in names.items() if count > 1] == []
