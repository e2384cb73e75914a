"""What a forward pass leaves behind."""

from __future__ import annotations

from fixtures.applicability import Predicate, applies_to
from fixtures.memory import resident
from fixtures.workloads import Point, forward

CALLS = 100
ALLOWED = 4 * 2**20  # bytes: arenas of the allocator; a leaked activation of each call is more

owed = Predicate("one of each architecture", lambda c: c.source != "built-in" or "random" in c.name)
passes = Predicate("forward pass", lambda c: bool(c.kind) and "weights" in c.traits)


@applies_to(owed & passes)
def test_forwards_do_not_grow(checkpoint):
    """After a warm-up, 100 forward passes leave the process no larger."""
    call = forward(Point(checkpoint, length=8))
    for _ in range(CALLS // 4):
        call()
    before = resident()
    for _ in range(CALLS):
        call()
    assert resident() - before <= ALLOWED
