"""Faults a human might ship, planted in the installed library one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Fault:
    """One planted fault: what it breaks, and which checks must notice it on which checkpoint."""

    name: str
    says: str
    apply: Callable[[pytest.MonkeyPatch], None]
    caught_by: tuple[str, ...]
    checkpoint: str
