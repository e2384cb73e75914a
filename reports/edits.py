"""What kind of edit turns one value into another, in words that are equal for the same cause.

`−▁ at the start`, `BertTokenizerFast → BertTokenizer`, `other text`: differences with the same
edit are read as one. An edit in GENERIC says too little to be one cause across observations.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from reports.record import BREAKS
from reports.text import plain, visible
from reports.value import Error, Exact, Ids, Text, Value, canonical

LONGEST = 400  # elements of the differing middle that are aligned; beyond it is a rewrite
MOST = 300  # edits named for one difference; what is left out is named MORE
SHORT = 24  # characters of a value that are quoted
BLANKS = "ĠĊĉ"  # letters that byte-level vocabularies use for a space, a line end and a tab
SPECIAL = re.compile(r"<[^<>]+>|\[[A-Z]+[^\]]*\]")
LINK = re.compile(r" \(https?://\S+\)$")
PATH = re.compile(r"(?:/[\w.-]+){2,}")
CLASS = re.compile(r"\b[A-Z]\w*(?:[a-z]\w*[A-Z]\w*|Tokenizer|Model|Config)\b")
NUMBER = re.compile(r"\b\d+\b")
ADDED, REMOVED, OTHER_TEXT, OTHER_IDS = "+", "−", "other text", "other ids"
FINER, COARSER, RESPLIT = "split into more tokens", "split into fewer tokens", "split elsewhere"
CASE, UNICODE, ACCENTS = "other case", "other Unicode form", "accents"
CUT, LONGER = "cut at the end", "longer at the end"
MORE = "more edits"
STRINGS = "same ids, other token strings"
GENERIC = frozenset(
    {
        OTHER_TEXT,
        OTHER_IDS,
        FINER,
        COARSER,
        RESPLIT,
        CUT,
        LONGER,
        "shape",
        "numbers beyond tolerance",
    }
    | {"number", "order", "length", "APPEARED", "VANISHED", MORE}
)

Operation = tuple[str, int, int, int, int]


def edits(base: Value, new: Value) -> tuple[str, ...]:
    """The kinds of edit between two different values of one type, first occurrence first."""
    if isinstance(base, Text) and isinstance(new, Text):
        return most(text_edits(base.data, new.data))
    if isinstance(base, Ids) and isinstance(new, Ids):
        return most(id_edits(base, new))
    if isinstance(base, Exact) and isinstance(new, Exact):
        return most(data_edits(base.data, new.data, ""))
    return (outcome_edit(base, new),)


def outcome_edit(base: Value, new: Value) -> str:
    """Between values of two types, or two errors."""
    if isinstance(base, Error) and isinstance(new, Error):
        return f"error {base.kind} → {new.kind}"
    if isinstance(new, Error) and new.kind == "law":
        return f"no longer holds: {reason(new.text)}"
    if isinstance(base, Error) and base.kind == "law":
        return f"did not hold: {reason(base.text)}"
    if isinstance(new, Error):
        return f"now raises {new.name}: {generalised(new.text)}"
    if isinstance(base, Error):
        return f"no longer raises {base.name}: {generalised(base.text)}"
    return f"{type(base).__name__.lower()} → {type(new).__name__.lower()}"


def most(found: Iterable[str]) -> tuple[str, ...]:
    """Each edit once; MORE for those beyond MOST, which no explanation can then overlook."""
    once = list(dict.fromkeys(found))
    return tuple(once if len(once) <= MOST else [*once[:MOST], MORE])


def generalised(text: str) -> str:
    """An error text without what differs between inputs and models: numbers, paths, classes."""
    for pattern, word in ((PATH, "PATH"), (CLASS, "CLASS"), (NUMBER, "N")):
        text = pattern.sub(word, text)
    return plain(text, 100)


def reason(text: str) -> str:
    """Why a law is broken: what is known of it, without its link, or else the law, without the failure."""
    return plain(LINK.sub("", text.rpartition(BREAKS)[2]), 300)


def operations(base: Sequence[Any], new: Sequence[Any]) -> list[Operation]:
    """Opcodes (tag, i1, i2, j1, j2) that change something; a long middle is one replacement."""
    start = 0
    shorter = min(len(base), len(new))
    while start < shorter and base[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and base[-1 - end] == new[-1 - end]:
        end += 1
    i2, j2 = len(base) - end, len(new) - end
    if i2 - start > LONGEST or j2 - start > LONGEST:
        return [("replace", start, i2, start, j2)]
    middle = SequenceMatcher(None, base[start:i2], new[start:j2], autojunk=False)
    return [
        (tag, i + start, k + start, j + start, m + start)
        for tag, i, k, j, m in middle.get_opcodes()
        if tag != "equal"
    ]


def text_edits(base: str, new: str) -> list[str]:
    """Edits of characters: short ones literally, others by kind."""
    if new and base.startswith(new) and len(base) - len(new) > SHORT:
        return [CUT]
    if base and new.startswith(base) and len(new) - len(base) > SHORT:
        return [LONGER]
    return [character_edit(base[i:k], new[j:m]) for _, i, k, j, m in operations(base, new)]


@lru_cache(maxsize=65536)
def character_edit(removed: str, added: str) -> str:
    """One replaced stretch of text."""
    if removed.lower() == added.lower():
        return CASE
    if unicodedata.normalize("NFKC", removed) == unicodedata.normalize("NFKC", added):
        return UNICODE
    if removed and added and stripped(removed) == stripped(added):
        return ACCENTS
    if len(removed) + len(added) > 2 * SHORT:
        return OTHER_TEXT
    if mark(removed) and mark(added):
        return quoted(visible(removed), visible(added))
    return OTHER_TEXT


def mark(text: str) -> bool:
    """Whether text is no word: whitespace, punctuation, a blank's stand-in, a special token."""
    return bool(SPECIAL.fullmatch(text)) or not any(c.isalnum() and c not in BLANKS for c in text)


def stripped(text: str) -> str:
    """Text without combining marks."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def quoted(removed: str, added: str) -> str:
    """`−x`, `+y` or `x → y`."""
    if removed and added:
        return f"{removed} → {added}"
    return f"{REMOVED}{removed}" if removed else f"{ADDED}{added}"


def id_edits(base: Ids, new: Ids) -> list[str]:
    """Edits of token sequences, by token string where the record has them, else by id."""
    if base.data == new.data:
        return [STRINGS]
    if base.tokens is None or new.tokens is None:
        a: tuple[str, ...] = tuple(f"#{item}" for item in base.data)
        b: tuple[str, ...] = tuple(f"#{item}" for item in new.data)
        return [token_edit(a, b, operation, OTHER_IDS) for operation in operations(a, b)]
    a, b = base.tokens, new.tokens
    if a == b:
        return ["same tokens, other ids"]
    return [token_edit(a, b, operation, OTHER_TEXT) for operation in operations(a, b)]


def token_edit(
    base: tuple[str, ...], new: tuple[str, ...], operation: Operation, other: str
) -> str:
    """One replaced stretch of tokens."""
    tag, i1, i2, j1, j2 = operation
    removed, added = base[i1:i2], new[j1:j2]
    if tag != "replace":
        return placed(removed, added, i1 == 0, i2 == len(base), other)
    before, after = "".join(removed), "".join(added)
    if other == OTHER_IDS:
        return quoted(*map(" ".join, (removed, added))) if len(removed) + len(added) == 2 else other
    if before == after:
        return (
            FINER
            if len(added) > len(removed)
            else COARSER
            if len(added) < len(removed)
            else RESPLIT
        )
    changed = text_edits(before, after)
    return changed[0] if len(set(changed)) == 1 else other


def placed(
    removed: tuple[str, ...], added: tuple[str, ...], first: bool, last: bool, other: str
) -> str:
    """Tokens inserted or left out, and where."""
    tokens = removed or added
    where = " at the start" if first else " at the end" if last else ""
    if len(set(tokens)) > 2 or not (all(map(mark, tokens)) or other == OTHER_IDS):
        return (CUT if removed else LONGER) if last else other
    shown = " ".join(visible(token, SHORT) for token in dict.fromkeys(tokens))
    return quoted(shown if removed else "", shown if added else "") + where


def data_edits(base: Any, new: Any, path: str) -> list[str]:
    """Edits of JSON data, each with the path of what it changed, without positions in lists."""
    if isinstance(base, dict) and isinstance(new, dict):
        return mapping_edits(base, new, path)
    if isinstance(base, list) and isinstance(new, list):
        return list_edits(base, new, path)
    label = f"{path}: " if path else ""
    if isinstance(base, str) and isinstance(new, str) and not short(base, new):
        return [label + edit for edit in text_edits(base, new)]
    if path.endswith("[]") and type(base) is type(new) and not isinstance(base, str | bool):
        return [f"{label}number"]
    return [f"{label}{leaf(base)} → {leaf(new)}"]


def short(base: str, new: str) -> bool:
    """Whether two strings are quoted whole: a few characters, or names."""
    return len(base) + len(new) <= 2 * SHORT or (base.isidentifier() and new.isidentifier())


def mapping_edits(base: dict[str, Any], new: dict[str, Any], path: str) -> list[str]:
    """Edits of an object: keys gone, keys come, then values."""
    prefix = f"{path}." if path else ""
    found = [f"{REMOVED}{visible(prefix + key, 80)}" for key in base if key not in new]
    found += [f"{ADDED}{visible(prefix + key, 80)}" for key in new if key not in base]
    for key, item in base.items():
        if key in new and canonical(item) != canonical(new[key]):
            found += data_edits(item, new[key], visible(prefix + key, 80))
    return found


def list_edits(base: list[Any], new: list[Any], path: str) -> list[str]:
    """Edits of a list: of its elements where as many, else what was left out or put in."""
    label = f"{path}: " if path else ""
    before, after = [canonical(item) for item in base], [canonical(item) for item in new]
    if sorted(before) == sorted(after):
        return [f"{label}order"]
    if len(base) == len(new) and not any(isinstance(item, str) for item in base + new):
        pairs = [(a, b) for a, b, c, d in zip(base, new, before, after, strict=True) if c != d]
        return [edit for a, b in pairs[:LONGEST] for edit in data_edits(a, b, f"{path}[]")]
    found = []
    for _, i1, i2, j1, j2 in operations(before, after):
        removed, added = base[i1:i2], new[j1:j2]
        if len(removed) == len(added):
            changed = zip(removed, added, strict=True)
            found += [edit for a, b in changed for edit in data_edits(a, b, f"{path}[]")]
            continue
        found += [f"{label}{REMOVED}{leaf(item)}" for item in removed]
        found += [f"{label}{ADDED}{leaf(item)}" for item in added]
    if any(isinstance(item, int | float | list) for item in base + new):
        return [f"{label}length"]
    return found


def leaf(data: Any) -> str:
    """A value inside JSON data, briefly."""
    text = visible(data) if isinstance(data, str) else visible(canonical(data)).replace("␠", " ")
    return text if len(text) <= 2 * SHORT else text[: 2 * SHORT - 1] + "…"


def generic(edit: str) -> bool:
    """Whether an edit says too little to be one cause across observations."""
    return edit.rsplit(": ", 1)[-1] in GENERIC
