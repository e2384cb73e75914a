"""Comparing records: every verdict, the numbers that decide it, causes and the exit status."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fixtures.observe import Record
from reports.compare import compare
from reports.distance import Bounds, distance, topk_distance, ulp
from reports.edits import edits
from reports.explanations import ExplanationError, explanation_from
from reports.record import RecordError, locate, read
from reports.value import Ids, Numbers, Text, decode
from reports.verdict import FAILING, Verdict
from suites.meta.record_stand_in import (
    ENVIRONMENT,
    ROOT,
    compared,
    error,
    exact,
    ids,
    numbers,
    observed,
    run,
    verdicts,
    written,
)

pytestmark = pytest.mark.meta


def array(*values: float) -> Numbers:
    """The same, decoded."""
    decoded = decode(numbers(*values))
    assert isinstance(decoded, Numbers)
    return decoded


@pytest.mark.parametrize(
    ("base", "new", "verdict"),
    [
        (exact({"a": 1, "b": [1, 2]}), exact({"b": [1, 2], "a": 1}), "SAME"),
        (exact([1, 2]), exact([2, 1]), "CHANGED"),
        (exact(1), exact(True), "CHANGED"),
        (exact(1), exact(1.0), "CHANGED"),
        (exact("x"), {"type": "text", "data": "x"}, "CHANGED"),
        (numbers(1, 2), numbers(1, 2), "SAME"),
        (numbers(1, 2), numbers(1, 2 + 2**-18), "EQUIVALENT"),
        (numbers(1, 2), numbers(1, 2.1), "CHANGED"),
        (numbers(1, 2), numbers(1, 2, shape=[2, 1]), "CHANGED"),
        (numbers(1, 2), numbers(1, 2, dtype="float64"), "CHANGED"),
        (numbers(math.nan, 2), numbers(math.nan, 2), "SAME"),
        (numbers(math.nan, 2), numbers(1, 2), "CHANGED"),
        (numbers(-math.inf, 2), numbers(-math.inf, 2), "SAME"),
        (numbers(-math.inf, 2), numbers(-1, 2), "CHANGED"),
        (numbers(), numbers(), "SAME"),
        (exact(1), error("input"), "BROKE"),
        (error("input"), exact(1), "REPAIRED"),
        (error("input"), error("input", "KeyError", "other words"), "SAME"),
        (error("input"), error("internal"), "CHANGED"),
        (ids("a b"), ids("a c"), "CHANGED"),
        (numbers(1), {**numbers(1), "data": "not base64"}, "INCOMPARABLE"),
        (numbers(1), {**numbers(1), "shape": [1 << 40]}, "INCOMPARABLE"),
        (exact(1), {"type": "hologram"}, "INCOMPARABLE"),
    ],
)
def test_a_pair_of_values_gets_its_verdict(
    tmp_path: Path, base: Any, new: Any, verdict: str
) -> None:
    """Equal, near, different and unreadable values each get the verdict the design names."""
    assert verdicts(compared(tmp_path, [observed(base)], [observed(new)])) == {Verdict(verdict): 1}


@pytest.mark.parametrize(
    ("base", "new", "verdict"),
    [
        (ids("a b c", [1, 0.01]), ids("a b d", [1, 0.02]), "TIE"),
        (ids("a b c", [1, 0.01]), ids("a b d", [1, 0.9]), "CHANGED"),
        (ids("a b c", [1, 0.01]), ids("z b d", [1, 0.02]), "CHANGED"),
        (ids("a b c", [1, 0.01]), ids("a b", [0.01]), "TIE"),
        (ids("a b c"), ids("a b d"), "CHANGED"),
    ],
)
def test_generated_ids_tie_only_where_both_sides_were_near_one(
    tmp_path: Path, base: Any, new: Any, verdict: str
) -> None:
    """A TIE needs gaps within the allowed error on both sides of the first difference."""
    lines = [[observed(value, group="generation", tolerance=0.05)] for value in (base, new)]
    assert verdicts(compared(tmp_path, *lines)) == {Verdict(verdict): 1}


def test_noise_widens_a_tolerance_four_times_and_no_more() -> None:
    """The allowed error is max(tolerance, min(4 x tolerance, noise)), else the default."""
    assert Bounds(1.0, None).allowed(9.0) == 1.0
    assert Bounds(1.0, 0.5).allowed() == 1.0
    assert Bounds(1.0, 3.0).allowed() == 3.0
    assert Bounds(1.0, 100.0).allowed() == 4.0
    assert Bounds(None, None).allowed(9.0) == 9.0
    assert Bounds(0.0, 100.0).allowed(9.0) == 0.0


def test_the_deciding_numbers_are_those_computed_by_hand() -> None:
    """Two rows of logits give the error, ULP, log-probabilities, KL and flips of arithmetic."""
    base, new = array(0, math.log(3), 1, 0), array(math.log(3), 0, 1, 0)
    base = Numbers("float32", (2, 2), base.data.reshape(2, 2))
    new = Numbers("float32", (2, 2), new.data.reshape(2, 2))
    found = distance(base, new, Bounds(1e-3, None), "float32", logits=True).measures
    assert found["max_abs_error"] == pytest.approx(math.log(3))
    assert found["ulps"] == pytest.approx(math.log(3) / 2**-23)  # log 3 = 1.09...: one ulp is 2^-23
    assert found["topk_logprob_difference"] == pytest.approx(math.log(3))
    assert found["kl"] == pytest.approx(0.75 * math.log(3) - 0.25 * math.log(3))
    assert (found["argmax_flips"], found["rows"], found["beyond"]) == (1, 2, 2)
    assert found["largest_flipped_margin"] == pytest.approx(math.log(3))
    assert ulp(1.5, "bfloat16") == 2**-7
    assert ulp(0.75, "float64") == 2**-53


def test_divergence_of_summaries_counts_the_remaining_mass() -> None:
    """KL of two top-1 summaries is that of the two-outcome distributions."""
    sides = [
        decode({"type": "topk", "shape": [1, 9], "indices": [[4]], "logprobs": [[math.log(p)]],
                "rest": [1 - p], "top": [2.0]})
        for p in (0.5, 0.25)
    ]  # fmt: skip
    found = topk_distance(*sides, Bounds(1.0, None), "float32")  # type: ignore[arg-type]
    assert found.within
    assert found.measures["kl"] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(0.5 / 0.75))
    assert found.measures["topk_logprob_difference"] == pytest.approx(math.log(2))
    assert not topk_distance(*sides, Bounds(0.1, None), "float32").within  # type: ignore[arg-type]


def test_one_sided_observations_appear_or_vanish(tmp_path: Path) -> None:
    """What only one record holds APPEARED or VANISHED, a whole checkpoint as one entry."""
    both = observed(exact(1))
    gone = [observed(exact(1), checkpoint="old", input=str(i)) for i in range(9)]
    found = compared(tmp_path, [both, *gone], [both, observed(exact(1), input="c")])
    assert verdicts(found) == {Verdict.SAME: 1, Verdict.VANISHED: 9, Verdict.APPEARED: 1}
    assert [(e.section, len(e.findings)) for e in found.entries] == [
        ("checkpoints", 9),
        ("tokenization", 1),
    ]


@pytest.mark.parametrize(
    ("changes", "value", "verdict"),
    [
        ({"suite": "0.2.0"}, exact(1), "INCOMPARABLE"),
        ({"ended": False}, exact(1), "INCOMPARABLE"),
        ({"device": "cuda"}, numbers(1), "INCOMPARABLE"),
        ({"dtype": "bfloat16"}, numbers(1), "INCOMPARABLE"),
        ({"threads": 8}, numbers(1), "EQUIVALENT"),
    ],
)
def test_what_runs_do_not_share_is_incomparable(
    tmp_path: Path, changes: Any, value: Any, verdict: str
) -> None:
    """Another suite, a killed run, device or dtype say nothing; a thread count is tolerated."""
    base = [observed(exact(0), input="both"), observed(value)]
    other = [observed(numbers(1 + 2**-23))] if value["type"] == "numbers" else []
    found = compared(tmp_path, base, [base[0], *other], **changes)
    assert verdicts(found) == {Verdict.SAME: 1, Verdict(verdict): 1}
    assert found.exit_code(FAILING) == 0


def test_a_torn_record_is_read_and_says_so(tmp_path: Path) -> None:
    """Torn lines and a missing end are noted; whole lines count, the last of a key wins."""
    directory = written(tmp_path / "base", [observed(exact(1)), observed(exact(2))], ended=False)
    with (directory / "observations-main.jsonl").open("ab") as file:
        file.write(b'{"checkpoint": "bert", "obs{"\n\xff\xfe\n[1]\n{"checkpoint": "be')
    record = read(directory)
    assert [o.value["data"] for o in record.observations.values()] == [2]
    assert not record.complete
    assert "4 unreadable lines" in record.notes[0]
    assert "cut short" in record.notes[1]


@pytest.mark.parametrize("lost", [0, 40])
def test_a_record_whose_run_was_killed_is_read(tmp_path: Path, lost: int) -> None:
    """Observations are readable when made, without the file being closed or whole."""
    written(tmp_path / "base", [])
    record = Record(tmp_path / "base", "gw0")
    for number in range(50):
        record.append(observed(exact(number), input=f"{number}"))
    file = tmp_path / "base" / "observations-gw0.jsonl.gz"
    file.write_bytes(file.read_bytes()[: file.stat().st_size - lost])
    found = read(tmp_path / "base")
    assert len(found.observations) == 50 if lost == 0 else 45 <= len(found.observations) < 50
    assert any("cut short" in note for note in found.notes)


@pytest.mark.parametrize("bound", [-1, math.inf, math.nan, "1"])
def test_a_record_cannot_grant_itself_any_tolerance(tmp_path: Path, bound: Any) -> None:
    """A tolerance that is negative, infinite or no number makes its line unreadable."""
    record = read(
        written(
            tmp_path / "base",
            [observed(exact(1)), observed(numbers(1), input="b", tolerance=bound)],
        )
    )
    assert len(record.observations) == 1


def test_unreadable_records_are_named_in_one_line(tmp_path: Path) -> None:
    """Another schema, no environment, no observation and no directory each raise a RecordError."""
    other = written(tmp_path / "other", [observed(exact(1))], schema=2)
    empty = written(tmp_path / "empty", [])
    (tmp_path / "nothing").mkdir()
    for directory in (other, empty, tmp_path / "nothing"):
        with pytest.raises(RecordError, match=r"\A[^\n]*record it again\Z"):
            read(directory)
    with pytest.raises(RecordError, match="no such directory"):
        locate("9.9.9", tmp_path)
    assert locate("4.57.6", tmp_path) == empty


def test_exit_status_is_the_verdict(tmp_path: Path) -> None:
    """0 without a failing verdict, 1 with one unless allowed, 2 when nothing was compared."""
    base = written(tmp_path / "base", [observed(exact(1)), observed(error("input"), input="b")])
    new = written(tmp_path / "new", [observed(exact(2)), observed(exact(1), input="b")])
    alien = written(tmp_path / "alien", [observed(exact(1), checkpoint="x")])
    assert run("compare", base, base).returncode == 0
    assert run("compare", base, new).returncode == 1
    assert run("compare", base, new, "--allow", "CHANGED").returncode == 0
    assert run("compare", base, new, "--fail-on", "REPAIRED", "--allow", "CHANGED").returncode == 1
    for other in (alien, tmp_path / "absent"):
        nothing = run("compare", base, other)
        assert nothing.returncode == 2
        assert len(nothing.stderr.splitlines()) == 1
    assert "no such verdict" in run("compare", base, new, "--allow", "MAYBE").stderr
    assert run("show", base).returncode == 0


def test_reports_need_neither_torch_nor_transformers() -> None:
    """Importing every module of the package loads no library under test and nothing of fixtures."""
    program = (
        "import sys, pkgutil, importlib, reports\n"
        "names = [m.name for m in pkgutil.iter_modules(reports.__path__, 'reports.')]\n"
        "[importlib.import_module(n) for n in names if n != 'reports.__main__']\n"
        "assert not {'torch', 'transformers', 'tokenizers', 'fixtures'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_many_differences_with_one_cause_are_one_entry(tmp_path: Path) -> None:
    """A changed fingerprint stands above the token ids, and those above the shapes they explain."""
    fact = {"group": "load", "observation": "load/fingerprint", "input": ""}
    texts = [f"text {i}" for i in range(50)]
    sides = []
    for prefix, columns in (("▁ ", 3), ("", 2)):
        lines = [observed(ids(f"{prefix}a b"), **fact)]
        lines += [observed(ids(f"{prefix}▁w{t[5:]} x"), input=t) for t in texts]
        shape = {"group": "outputs", "observation": "outputs/shape"}
        lines += [observed(exact([1, columns]), input=t, **shape) for t in texts]
        sides.append(lines)
    found = compared(tmp_path, *sides)
    (cause,) = found.entries
    assert (cause.section, cause.edit) == ("load", "−▁ at the start")
    assert cause.explains == {"tokenization": 50, "outputs": 50}
    assert [len(entry.findings) for entry in cause.descendants()] == [50, 50]
    assert verdicts(found) == {Verdict.CHANGED: 101}


def test_what_happens_without_a_cause_is_not_given_one(tmp_path: Path) -> None:
    """Decoded text that changes alike where token ids stayed is no effect of changed token ids."""
    sides = []
    for blank, start in (("", "<s> "), (" ", "")):
        text = {"type": "text", "data": f"a{blank}!"}
        lines = [observed(text, observation="decoded", checkpoint=c) for c in ("bert", "gpt2")]
        sides.append([*lines, observed(ids(f"{start}a !"))])
    found = compared(tmp_path, *sides)
    assert [(e.edit, len(e.findings)) for e in found.entries] == [
        ("+␠", 2),
        ("−<s> at the start", 1),
    ]


def test_a_default_explains_only_what_was_left_to_it(tmp_path: Path) -> None:
    """Another default attention changes no forward pass that names its own; newer files are noted."""
    sides = []
    for kind, value in (("eager", 1.0), ("sdpa", 2.0)):
        lines = [observed(exact(kind), observation="load/model/attention", group="load")]
        for name in ("pipelines/default", "forward/right padded/logits"):
            lines.append(observed(numbers(value), observation=name, group="numbers", input=""))
        sides.append(lines)
    saved = [{**ENVIRONMENT["checkpoints"][0], "saved_by": "5.23.0"}]
    found = compared(tmp_path, *sides, checkpoints=saved)
    roots = {(entry.section, entry.example.seen.observation) for entry in found.entries}
    assert roots == {("load", "load/model/attention"), ("numbers", "forward/right padded/logits")}
    assert any("bert: saved by transformers 5.23.0" in note for note in found.notes)


def test_edits_name_what_differs() -> None:
    """The kinds of edit are those a person would name."""

    def tokens(text: str) -> Ids:
        """Token ids."""
        value = decode(ids(text))
        assert isinstance(value, Ids)
        return value

    assert edits(tokens("<s> ▁ ▁a"), tokens("<s> ▁a")) == ("−▁",)
    assert edits(tokens("Ġa Ġb"), tokens("a b")) == ("−Ġ",)
    assert edits(tokens("a bcd"), tokens("a b c d")) == ("split into more tokens",)
    assert edits(tokens("a b"), tokens("a b </s>")) == ("+</s> at the end",)
    assert edits(Text("it's, now"), Text("it 's , now")) == ("+␠",)
    assert edits(Text("Été"), Text("été")) == ("other case",)


EXPLANATION = {
    "id": "x",
    "cause": "blanks are kept",
    "release": "transformers>=5.0.0",
    "link": "https://example.org",
    "observations": ["*decoded*"],
    "edit": r"\+␠",
}


@pytest.mark.parametrize(
    ("change", "new", "verdict"),
    [
        ({}, "a !", "EXPECTED"),
        ({}, "a ! b", "CHANGED"),
        ({"release": "transformers>=5.24"}, "a !", "CHANGED"),
        ({"release": "transformers>=4.57"}, "a !", "CHANGED"),
        ({"release": "tokenizers>=0.1"}, "a !", "CHANGED"),
        ({"observations": ["*encoded*"]}, "a !", "CHANGED"),
        ({"checkpoints": ["gpt2"]}, "a !", "CHANGED"),
        ({"tokenizers": ["Llama*"]}, "a !", "CHANGED"),
        ({"models": ["bert"]}, "a !", "EXPECTED"),
        ({"models": ["gpt2"]}, "a !", "CHANGED"),
        ({"facts": ["load/tokenizer/normalizer"]}, "a !", "CHANGED"),
        ({"new": "b"}, "a !", "CHANGED"),
        ({"verdicts": ["BROKE"]}, "a !", "CHANGED"),
        ({"defect": True}, "a !", "CHANGED"),
    ],
)
def test_an_explanation_explains_nothing_else(
    tmp_path: Path, change: Any, new: str, verdict: str
) -> None:
    """EXPECTED needs release, observation, checkpoint, model, facts, value and every edit to match."""
    sides = [
        read(
            written(
                tmp_path / side, [observed({"type": "text", "data": data}, observation="decoded")]
            )
        )
        for side, data in (("base", "a!"), ("new", new))
    ]
    explanation = explanation_from({**EXPLANATION, **change})
    assert verdicts(compare(*sides, [explanation])) == {Verdict(verdict): 1}


@pytest.mark.parametrize(
    "change",
    [{"edit": None}, {"observations": ["*"]}, {"link": "ftp://x"}, {"why": 1}, {"release": "x"}],
)
def test_a_broad_or_untraceable_explanation_is_refused(change: Mapping[str, Any]) -> None:
    """An entry without a value pattern, a link or a release range is an error that names it."""
    entry = {key: value for key, value in {**EXPLANATION, **change}.items() if value is not None}
    with pytest.raises(ExplanationError, match="'x'"):
        explanation_from(entry)
