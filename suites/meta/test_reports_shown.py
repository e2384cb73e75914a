"""What people read of a comparison: alike in every rendering, harmless whatever a record holds."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixtures.checkpoint import Checkpoint
from fixtures.observe import Observe, Record
from reports.compare import compare
from reports.record import read
from reports.render_html import html
from reports.render_json import to_json
from reports.render_junit import junit
from reports.render_markdown import markdown
from reports.text import code, plain, visible
from reports.verdict import FAILING
from suites.meta.record_stand_in import (
    ROOT,
    compared,
    conforms,
    error,
    exact,
    ids,
    numbers,
    observed,
    run,
    written,
)

pytestmark = pytest.mark.meta

HOSTILE = "\x1b[31m<script>alert(1)</script> `x` | [y](z) \u202e \ud800\n#"


def test_records_cannot_steer_what_shows_them(tmp_path: Path) -> None:
    """Control characters, markup and lone surrogates of a record reach no output unescaped."""
    hostile = {
        "observation": HOSTILE,
        "checkpoint": HOSTILE,
        "input": HOSTILE,
        "law": HOSTILE,
        "reproduce": HOSTILE,
    }
    sides = [[observed({"type": "text", "data": HOSTILE + end}, **hostile)] for end in ("", "x")]
    found = compared(tmp_path, *sides)
    terminal = run(
        "compare", tmp_path / "base", tmp_path / "new", "--html", tmp_path / "page.html"
    ).stdout
    outputs = [
        terminal,
        html(found),
        markdown(found),
        junit(found, FAILING),
        to_json(found, FAILING),
    ]
    for output in outputs:
        assert not {"\x1b", "\u202e", "\ud800"} & set(output)
        output.encode("utf-8")
    assert "<script>" not in outputs[1] + outputs[3]
    assert visible("a\t ") == "a\\t␠"
    assert plain("\x9b\u200b") == "\\x9b\\u200b"
    assert code("a`b|c") == "`` a`b¦c ``"


def test_every_rendering_tells_the_same(tmp_path: Path) -> None:
    """Markdown, HTML, JSON and JUnit carry the edit, the counts and the failing verdict."""
    found = compared(tmp_path, [observed(ids("<s> a"))], [observed(ids("a"))])
    data = json.loads(to_json(found, FAILING))
    assert conforms(data, json.loads((ROOT / "reports/schema/comparison.json").read_text()))
    assert (data["status"], data["totals"]) == (1, {"CHANGED": 1})
    assert data["differences"][data["entries"][0]["example"]]["edits"] == ["−<s> at the start"]
    (suite,) = ElementTree.fromstring(junit(found, FAILING))
    assert suite.get("failures") == "1"
    page = Words(html(found)).text
    assert "CHANGED tokenization/ids: −<s> at the start" in " ".join(page.split())
    assert "−<s> at the start" in markdown(found)


class Words(HTMLParser):
    """The text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        """Text between two tags."""
        self.text += f" {data} "


def test_a_reproduction_loads_what_its_call_needs(tmp_path: Path) -> None:
    """The call a record names gets its imports, the checkpoint's place and the input."""
    sides = [
        [observed(exact(i), reproduce="tokenizer({input!r}).input_ids", input="it's")]
        for i in (1, 2)
    ]
    (finding,) = compared(tmp_path, *sides).findings
    assert finding.reproduction.splitlines() == [
        "from transformers import AutoTokenizer",
        "tokenizer = AutoTokenizer.from_pretrained('bert')",
        'print(tokenizer("it\'s").input_ids)',
    ]


def test_what_is_evaluated_is_what_the_report_shows(tmp_path: Path) -> None:
    """An observed expression, its names and its input come back as code that runs."""
    checkpoint = Checkpoint("bert", tmp_path, "path", frozenset())
    for side in ("base", "new"):
        written(tmp_path / side, [])
        record = Record(tmp_path / side, "gw0")
        names = {"tokenizer": lambda text, side=side: text + side, "text": "it's", "pair": (1, 2)}
        Observe(record, checkpoint, "load", None).evaluate(
            "load/x", "tokenizer(text) * pair[1]", names, input="it's"
        )
        record.close()
    (finding,) = compare(read(tmp_path / "base"), read(tmp_path / "new")).findings
    assert finding.judgement.edits == ("it'sbaseit'sbase → it'snewit'snew",)
    assert finding.reproduction.splitlines()[2:] == [
        'text = "it\'s"',
        "pair = (1, 2)",
        "print(tokenizer(text) * pair[1])",
    ]


def test_a_written_record_follows_its_schema(tmp_path: Path) -> None:
    """What these tests write, and each kind of value, is what record.json describes."""
    schema = json.loads((ROOT / "reports/schema/record.json").read_text())
    directory = written(
        tmp_path / "base",
        [observed(value) for value in (exact(1), error("input"), ids("a"), numbers(1))],
    )
    *lines, end = map(json.loads, (directory / "observations-main.jsonl").read_text().splitlines())
    assert all(conforms(line, schema["$defs"]["observation"]) for line in lines)
    assert conforms(end, schema["$defs"]["end"])
    assert conforms(
        json.loads((directory / "environment.json").read_text()), schema["$defs"]["environment"]
    )
    assert not conforms(observed({"type": "hologram"}), schema["$defs"]["observation"])
