"""A few lines of Python that show one observation without this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reports.record import Observation

INPUT = "{input!r}"  # stands for the input in what a record says


def reproduction(observation: Observation, checkpoint: Mapping[str, Any]) -> str:
    """The call a record names, with what it needs loaded before it; empty when it names none.

    checkpoint: its entry in the record's environment. Lines that import something are complete.
    """
    call = (observation.reproduce or "").strip("\n").replace(INPUT, repr(observation.input))
    if not call or "import " in call:
        return call
    names = set(re.findall(r"\w+", call))
    place = location(observation.checkpoint, checkpoint)
    head = checkpoint.get("head")
    loaders = {
        "tokenizer": "AutoTokenizer",
        "model": f"AutoModelFor{head}" if head else "AutoModel",
        "processor": "AutoImageProcessor",
    }
    needed = {name: loader for name, loader in loaders.items() if name in names}
    lines = ["import torch"] if "torch" in names else []
    lines += [f"from transformers import {', '.join(needed.values())}"] if needed else []
    lines += [f"{name} = {loader}.from_pretrained({place!r})" for name, loader in needed.items()]
    shown = call if "\n" in call or call.startswith("print(") else f"print({call})"
    return "\n".join([*lines, shown])


def location(name: str, checkpoint: Mapping[str, Any]) -> str:
    """What from_pretrained is given: the path a record names, or where the built-in ones are."""
    if checkpoint.get("path"):
        return str(checkpoint["path"])
    return f"fixtures/checkpoints/{name}" if checkpoint.get("source") == "built-in" else name
