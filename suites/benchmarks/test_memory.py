"""What a forward pass leaves behind."""

from __future__ import annotations

import math

from fixtures.applicability import Predicate, applies_to
from fixtures.memory import growth
from fixtures.workloads import Point, forward

CALLS = 100
ALLOWED = 2 * 2**20  # bytes: arenas of the allocator

owed = Predicate("one of each architecture", lambda c: c.source != "built-in" or "random" in c.name)
passes = Predicate("forward pass", lambda c: bool(c.kind) and "weights" in c.traits)


@applies_to(owed & passes)
def test_forwards_do_not_grow(checkpoint):
    """After a warm-up, 100 forward passes leave the process no larger."""
    row = forward(Point(checkpoint, length=32))()[0].nbytes
    # rows enough that outputs which stay are seen, whatever room the heap had
    call = forward(Point(checkpoint, batch=math.ceil(3 * ALLOWED / CALLS / row), length=32))
    assert growth(call, CALLS) <= ALLOWED
