"""Every check can fail: each planted fault is noticed by the checks that claim it."""

from __future__ import annotations

import pytest

from suites.meta.planting import all_faults, run_checks


@pytest.mark.parametrize("fault", all_faults(), ids=lambda fault: fault.name)
def test_fault_is_caught(fault):
    """With one fault in the installed library, every check that claims it fails."""
    outcomes = run_checks(fault.checkpoint, fault.caught_by, fault)
    missed = set(fault.caught_by) - outcomes.failed
    assert not missed, f"{fault.says} Not noticed by {sorted(missed)}; ran {sorted(outcomes.ran)}"
