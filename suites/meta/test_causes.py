"""Which difference a comparison names as the cause of which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.compare import Comparison, compare
from reports.explanations import explanation_from
from reports.record import read
from reports.verdict import Verdict
from suites.meta.record_stand_in import compared, error, exact, numbers, observed, written

pytestmark = pytest.mark.meta


def seen(name: str, value: Any, group: str) -> dict[str, Any]:
    """One line of a record, on no input."""
    return observed(value, observation=name, group=group, input="")


def roots(found: Comparison) -> set[str]:
    """The observations that are shown with no cause above them."""
    return {name for entry in found.entries for name in entry.observations}


def test_other_numbers_of_a_plain_call_explain_those_of_special_ones(tmp_path: Path) -> None:
    """Loaded weights explain plain numbers, these explain special ones, and none a repaired error."""
    sides = []
    for value, outcome in ((1.0, error("input")), (2.0, exact("well"))):
        lines = [
            seen(name, numbers(value), "numbers")
            for name in ("forward/call/float mask", "forward/call/as loaded")
        ]
        sides.append([*lines, seen("generation/static", outcome, "generation")])
    assert roots(compared(tmp_path, *sides)) == {"forward/call/as loaded", "generation/static"}
    (tmp_path / "again").mkdir()
    heavier = [
        [*lines, seen("load/model/weights", numbers(weight, dtype="float64"), "load")]
        for lines, weight in zip(sides, (10.0, 20.0), strict=True)
    ]
    found = compared(tmp_path / "again", *heavier)
    assert "forward/call/as loaded" not in roots(found)
    assert "load/model/weights" in roots(found)


def test_special_numbers_explain_no_text(tmp_path: Path) -> None:
    """A head mask that is ignored is no cause of other generated ids."""
    sides = [
        [
            seen("forward/call/head mask", numbers(value), "numbers"),
            seen("generation/greedy", exact([int(value)]), "generation"),
        ]
        for value in (1.0, 2.0)
    ]
    assert roots(compared(tmp_path, *sides)) == {"forward/call/head mask", "generation/greedy"}


def test_another_way_of_loading_takes_nothing_else_away(tmp_path: Path) -> None:
    """That a tokenizer cannot be made by hand is no cause of a method that is gone."""
    made = "load/tokenizer/made of its vocabulary, in order"
    there = seen("api/tokenizer/look_up", exact("there"), "api")
    base = [seen(made, exact("T5Tokenizer"), "load"), there]
    found = compared(tmp_path, base, [seen(made, error("input", "TypeError"), "load")])
    assert roots(found) == {made, "api/tokenizer/look_up"}


def test_a_call_that_raises_takes_its_scores_with_it(tmp_path: Path) -> None:
    """What is seen of a value is gone where the call raises, and nothing else is."""
    base = [
        seen("generation/watermark", exact([1]), "generation"),
        seen("generation/watermark/best scores", numbers(1.0), "generation"),
        seen("generation/greedy/best scores", numbers(1.0), "generation"),
    ]
    found = compared(
        tmp_path, base, [seen("generation/watermark", error("internal"), "generation")]
    )
    assert roots(found) == {"generation/watermark", "generation/greedy/best scores"}


@pytest.mark.parametrize(
    ("kind", "verdict"), [("relative_key", Verdict.EXPECTED), ("absolute", Verdict.CHANGED)]
)
def test_an_explanation_asks_what_the_configuration_says(
    tmp_path: Path, kind: str, verdict: Verdict
) -> None:
    """What holds for one setting explains nothing of a checkpoint with another."""
    sides = []
    for side, size in (("base", 3), ("new", 2)):
        lines = [
            seen("load/config/position_embedding_type", exact(kind), "load"),
            seen("load/model/size", exact(size), "load"),
        ]
        sides.append(read(written(tmp_path / side, lines)))
    entry = {
        "id": "x",
        "cause": "positions are absolute",
        "release": "transformers>=5.0.0",
        "link": "https://example.org",
        "observations": ["load/model/size"],
        "given": ["load/config/position_embedding_type=relative_key*"],
        "edit": "3 → 2",
    }
    found = compare(*sides, [explanation_from(entry)])
    assert found.totals[verdict] == 1


def test_a_token_lost_explains_ids_where_the_fingerprint_is_the_same(tmp_path: Path) -> None:
    """What a tokenizer adds need not stand in the text that tells tokenizers apart."""
    sides = [
        [
            seen("load/tokenizer/added", exact(added), "load"),
            seen("load/tokenizer/fingerprint", exact([1, 2]), "load"),
            seen("tokenization/ids", exact(ids), "tokenization"),
        ]
        for added, ids in (({"9": "new"}, [9]), ({}, [3, 4]))
    ]
    assert roots(compared(tmp_path, *sides)) == {"load/tokenizer/added"}


@pytest.mark.parametrize(
    ("new", "verdict"), [("TokenizersBackend", Verdict.EXPECTED), ("Other", Verdict.CHANGED)]
)
def test_an_explanation_asks_which_class_became_which(
    tmp_path: Path, new: str, verdict: Verdict
) -> None:
    """What comes of losing a class explains nothing where that class became another one."""
    sides = []
    for side, name, size in (("base", "LlamaTokenizerFast", 3), ("new", new, 2)):
        lines = [
            seen("load/tokenizer/class", exact(name), "load"),
            seen("load/tokenizer/length", exact(size), "load"),
        ]
        sides.append(read(written(tmp_path / side, lines)))
    entry = {
        "id": "x",
        "cause": "no class of its own",
        "release": "transformers>=5.0.0",
        "link": "https://example.org",
        "observations": ["load/tokenizer/length"],
        "tokenizers": ["LlamaTokenizer* → TokenizersBackend"],
        "edit": "3 → 2",
    }
    found = compare(*sides, [explanation_from(entry)])
    judged = {finding.seen.observation: finding.verdict for finding in found.findings}
    assert judged["load/tokenizer/length"] is verdict


def test_a_fingerprint_that_raises_keeps_no_tokenizer_steady(tmp_path: Path) -> None:
    """Other tokens are the cause of other texts where neither version could encode the hostile text."""
    for name, caused in (("raises", True), ("encodes", False)):
        fingerprint = error("input") if caused else exact([1, 2])
        sides = [
            [
                seen("load/tokenizer/fingerprint", fingerprint, "load"),
                seen("load/tokenizer/length", exact(size), "load"),
                seen("tokenization/its sizes", exact([size]), "tokenization"),
            ]
            for size in (3, 2)
        ]
        (tmp_path / name).mkdir()
        found = compared(tmp_path / name, *sides)
        assert ("tokenization/its sizes" not in roots(found)) is caused
