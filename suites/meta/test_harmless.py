"""No false alarm: changes that nobody may mind leave every check quiet."""

from __future__ import annotations

import pytest

from suites.meta.harmless import VARIATIONS
from suites.meta.planting import run_checks


@pytest.mark.parametrize("variation", VARIATIONS, ids=lambda variation: variation.name)
def test_variation_is_quiet(variation):
    """Under a harmless change of the library every check on the variation's checkpoint passes."""
    outcomes = run_checks(variation.checkpoint, (), variation)
    assert len(outcomes.ran) > 20, "the default run has more checks than this"
    assert not outcomes.failed, f"{variation.says} Minded by {sorted(outcomes.failed)}"
