"""What the default run owes the built-in checkpoints: the baseline that CI compares with.

python -m suites.meta.census     # writes suites/meta/census.json anew, for a commit to show
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from fixtures.catalogue import default_checkpoints
from fixtures.loading import installed
from suites.meta.planting import check_of, items_by_checkpoint

BASELINE = Path(__file__).with_name("census.json")


def census() -> dict[str, Any]:
    """Which library was looked at, and how many pairs each check owes and is known to fail."""
    owed: Counter[str] = Counter()
    known: Counter[str] = Counter()
    for checkpoint in default_checkpoints()[0]:
        if checkpoint.source != "built-in":
            continue
        for item in items_by_checkpoint()[checkpoint.name]:
            owed[check_of(item.nodeid)] += 1
            known[check_of(item.nodeid)] += item.get_closest_marker("xfail") is not None
    return {
        "transformers": str(installed("transformers")),
        "owed": dict(sorted(owed.items())),
        "known": {name: count for name, count in sorted(known.items()) if count},
    }


if __name__ == "__main__":
    BASELINE.write_text(json.dumps(census(), indent=1) + "\n", encoding="utf-8")
