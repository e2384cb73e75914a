"""Copies of built-in checkpoints to be damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from fixtures.catalogue import BUILT_IN


def copy(target: Path, name: str = "bert-sentiment") -> Path:
    """A copy of a built-in checkpoint, called something else."""
    return Path(shutil.copytree(BUILT_IN / name, target / "stranger"))


def merged(name: str, file: str, **fields: Any) -> bytes:
    """A JSON file of a built-in checkpoint with other fields."""
    return json.dumps(json.loads((BUILT_IN / name / file).read_text()) | fields).encode()
