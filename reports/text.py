"""Untrusted text made readable and harmless: blanks visible, nothing that steers a terminal."""

from __future__ import annotations

import math
import re
import unicodedata

ESCAPED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
SAFE = re.compile(r"[\x20-\x7e]*")
MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~@&$])")


def plain(text: str, limit: int | None = None) -> str:
    """One printable line: control and format characters become `\\n`, `\\x1b`, `\\u202e`.

    limit: characters kept; an ellipsis stands for what was cut.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if SAFE.fullmatch(text):
        return text
    return "".join(escaped(character) for character in text)


def visible(text: str, limit: int | None = None) -> str:
    """As plain, and with every space shown as ␠: for places where a blank matters."""
    return plain(text, limit).replace(" ", "␠")


def escaped(character: str) -> str:
    """One character as a reader can see it."""
    if character == " " or unicodedata.category(character) not in HIDDEN:
        return character
    if character in ESCAPED:
        return ESCAPED[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """Terminal columns of printable text: two for wide characters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(columns(character) for character in text)


def columns(character: str) -> int:
    """Terminal columns of one character."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, columns: int) -> str:
    """Text filled up with blanks to a number of terminal columns."""
    return text + " " * max(0, columns - width(text))


def markdown(text: str) -> str:
    """Text as Markdown prose shows it literally: no markup, no HTML, no mention."""
    return (
        MARKDOWN.sub(r"\\\1", plain(text))
        .replace("\\<", "&lt;")
        .replace("\\&", "&amp;")
        .replace("\\@", "@\u200b")
    )


def code(text: str) -> str:
    """Text as a Markdown code span, also when it holds backticks or stands in a table."""
    text = plain(text).replace("|", "¦")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest or not text.strip() else f"{fence}{text}{fence}"


def fenced(text: str, language: str = "") -> str:
    """Lines as a Markdown code block that they cannot close; each line made printable."""
    lines = "\n".join(plain(line) for line in text.split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def number(value: float) -> str:
    """A measured number in few characters."""
    if math.isnan(value):
        return "NaN"
    if value == int(value) if abs(value) < 1e6 else False:
        return str(int(value))
    return f"{value:.3g}"


def counted(count: int, noun: str) -> str:
    """`1 input`, `12 inputs`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def listed(names: tuple[str, ...], limit: int) -> str:
    """`a, b, c and 4 more`, each made printable."""
    shown = ", ".join(plain(name, 60) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"
