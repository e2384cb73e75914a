"""A few lines of Python that show one observation without this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reports.record import Observation

# What stands for the input in what a record says: its source as a string, or the Python it is.
QUOTED, VERBATIM = "{input!r}", "{input}"


def reproduction(observation: Observation, checkpoint: Mapping[str, Any]) -> str:
    """The call a record names, with what it needs loaded before it; empty when it names none.

    checkpoint: its entry in the record's environment. Lines that print something are complete.
    """
    call = (observation.reproduce or "").strip("\n")
    call = call.replace(QUOTED, repr(observation.input)).replace(VERBATIM, observation.input)
    *before, last = call.split("\n")
    if not last or last.startswith("print("):
        return call
    imports = [line for line in before if line.startswith("import ")]
    before = [line for line in before if line not in imports]
    return "\n".join([*imports, *loading(call, observation, checkpoint), *before, f"print({last})"])


def loading(call: str, observation: Observation, checkpoint: Mapping[str, Any]) -> list[str]:
    """Lines that give the names a call uses and does not assign."""
    head = checkpoint.get("head")
    loaders = {
        "tokenizer": "AutoTokenizer",
        "model": f"AutoModelFor{head}" if head else "AutoModel",
        "processor": "AutoImageProcessor",
    }
    used = set(re.findall(r"(?<![.\w'\"/])\w+", call)) - set(re.findall(r"^(\w+) = ", call, re.M))
    needed = {name: loader for name, loader in loaders.items() if name in used}
    place = repr(location(observation.checkpoint, checkpoint))
    if "checkpoint" in used or "{checkpoint}" in call:
        lines = [f"checkpoint = {place}"]
        place = "checkpoint"
    else:
        lines = []
    lines += [f"{name} = {loader}.from_pretrained({place})" for name, loader in needed.items()]
    imports = ["import torch"] if "torch" in used else []
    imports += ["import transformers"] if "transformers" in used else []
    imports += [f"from transformers import {', '.join(needed.values())}"] if needed else []
    return imports + lines


def location(name: str, checkpoint: Mapping[str, Any]) -> str:
    """What from_pretrained is given: where the built-in ones are, or the path a record names."""
    if checkpoint.get("source") == "built-in":
        return f"fixtures/checkpoints/{name}"
    return str(checkpoint.get("path") or name)
