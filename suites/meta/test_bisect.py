"""The search for the release that changed something, and what it tells a person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import recording, releases
from fixtures.atlas import draw
from fixtures.bisect import bisect, path_between
from fixtures.bisect_report import report
from fixtures.changes import Change, find_changes
from fixtures.errors import UserError
from fixtures.overlays import Request, parse
from reports import atlas
from suites.meta.record_stand_in import exact, ids, observed, written

pytestmark = pytest.mark.meta

TRANSFORMERS = ["4.56.0", "4.57.6", "5.0.0", "5.1.0", "5.2.0", "5.10.0", "5.11.0"]


class Probes:
    """Values by position, and what was asked for."""

    def __init__(self, values: Sequence[object | None]) -> None:
        self.values = values
        self.rounds: list[list[int]] = []

    def __call__(self, positions: Sequence[int]) -> list[object | None]:
        self.rounds.append(list(positions))
        return [self.values[position] for position in positions]

    def find(self, **options: object) -> list[Change]:
        """Search them, comparing with ==."""
        return find_changes(len(self.values), self, lambda a, b: a == b, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [2, 3, 20, 47])
def test_one_change_is_found_in_few_probes(count):
    """Wherever the change is, two ends and a logarithm of probes find it."""
    for changed in range(1, count):
        probes = Probes([position >= changed for position in range(count)])
        assert probes.find() == [Change(changed - 1, changed)]
        assert len(probes.rounds) - 1 <= math.ceil(math.log2(count))


def test_probing_two_at_once_takes_fewer_rounds():
    """With two probes side by side, 47 releases take the ends and four rounds."""
    for changed in range(1, 47):
        probes = Probes([position >= changed for position in range(47)])
        assert probes.find(width=2) == [Change(changed - 1, changed)]
        assert len(probes.rounds) <= 1 + 4
        assert all(len(asked) <= 2 for asked in probes.rounds)


def test_every_change_with_a_value_of_its_own_is_found():
    """A probed value that equals neither end means more than one change."""
    assert Probes("aabbbbbccd").find() == [Change(1, 2), Change(6, 7), Change(8, 9)]


def test_releases_that_cannot_run_are_skipped():
    """The change is bracketed by the nearest ones that can, and those between are named."""
    [change] = Probes(["a", None, "a", None, None, None, "b", None, "b"]).find()
    assert change == Change(2, 6)
    assert list(change.skipped) == [3, 4, 5]


def test_a_change_that_was_undone_is_not_searched_for():
    """Equal ends end the search."""
    probes = Probes("aabba")
    assert probes.find() == []
    assert probes.rounds == [[0, 4]]


def test_a_slow_drift_is_found_where_it_leaves_the_tolerance():
    """Values each within the tolerance of their neighbours are measured by the first of them."""
    values = [0.0, 0.4, 0.8, 1.2, 1.6]
    found = find_changes(5, lambda at: [values[i] for i in at], lambda a, b: abs(a - b) <= 1)
    assert found == [Change(2, 3)]


def test_an_end_that_cannot_run_is_an_error():
    """There is nothing to compare with."""
    with pytest.raises(ValueError, match="both ends"):
        Probes(["a", "b", None]).find()


@given(
    values=st.lists(st.one_of(st.none(), st.sampled_from("abc")), min_size=2, max_size=40),
    width=st.integers(1, 4),
    asked=st.sets(st.integers(0, 1)),
)
def test_changes_lead_from_one_end_to_the_other(values, width, asked):
    """Each change ends with the value the next one begins with, and hides nothing that can run."""
    values = ["a", *values, "b"]
    probes = Probes(values)
    found = probes.find(width=width, asked=asked)
    assert found
    assert (values[found[0].before], values[found[-1].after]) == ("a", "b")
    for change in found:
        assert values[change.before] != values[change.after]
        assert all(values[position] is None for position in change.skipped)
    for left, right in pairwise(found):
        assert values[left.after] == values[right.before]
    every = [position for asked_now in probes.rounds for position in asked_now]
    assert len(every) == len(set(every)), "a position was asked twice"
    assert all(len(asked_now) <= width for asked_now in probes.rounds[1:])


@pytest.fixture
def releases_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package index that knows a few releases."""
    known = {"transformers": TRANSFORMERS, "tokenizers": ["0.21.0", "0.21.4", "0.22.2"]}
    monkeypatch.setattr(releases, "releases", known.__getitem__)


@pytest.mark.usefixtures("releases_exist")
@pytest.mark.parametrize(
    ("base", "new", "expected"),
    [
        ("4.57.6", "5.2.0", ["4.57.6", "5.0.0", "5.1.0", "5.2.0"]),
        ("5.11.0", "5.2.0", ["5.11.0", "5.10.0", "5.2.0"]),
        ("5.0.0rc1", "5.1.0", ["5.0.0rc1", "5.0.0", "5.1.0"]),
        (
            "4.57.6,tokenizers==0.21.0",
            "4.57.6,tokenizers==0.22.2",
            [f"4.57.6,tokenizers=={version}" for version in ("0.21.0", "0.21.4", "0.22.2")],
        ),
    ],
)
def test_the_path_leads_over_every_release_between(base, new, expected):
    """Ordered as versions, in the direction asked for, of the one library that differs."""
    assert [r.specifier for r in path_between(parse(base), parse(new))] == expected


@pytest.mark.usefixtures("releases_exist")
@pytest.mark.parametrize(
    ("base", "new"),
    [
        ("5.0.0", "5.0.0"),
        ("5.0.0", "tokenizers==0.22.2"),
        ("4.57.6,tokenizers==0.21.0", "5.0.0,tokenizers==0.22.2"),
    ],
)
def test_ends_must_differ_in_one_library(base, new):
    """Otherwise there is no line of releases to walk."""
    with pytest.raises(UserError, match="the version of one"):
        path_between(parse(base), parse(new))


def lines(version: str) -> list[dict[str, object]]:
    """What a release does: it stops splitting at 5.1.0 and renames a class at 5.0.0 and 5.10.0."""
    place = TRANSFORMERS.index(version)
    split = ids("▁leading space" if place < 3 else "▁lead ing space")
    name = "Old" if place < 2 else "New" if place < 5 else "Newest"
    return [
        observed(split, input=" leading space", reproduce="tokenizer({input!r})"),
        observed(split, input=" leading space, and more"),
        observed(exact(name), observation="load/tokenizer/class", input="", group="load"),
        observed(exact("steady"), observation="load/steady", input="", group="load"),
    ]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Records written by hand instead of runs; the versions asked for. 5.0.0 cannot run."""
    asked: list[str] = []

    def attempts(requests: Sequence[Request], _: recording.Subject) -> list[Path | UserError]:
        return [attempt(request.specifier) for request in requests]

    def attempt(version: str) -> Path | UserError:
        asked.append(version)
        if version == "5.0.0":
            return UserError("transformers-5.0.0: cannot run here: ImportError: <b>no</b>")
        versions = {"transformers": version, "tokenizers": f"0.{version[0]}"}
        return written(tmp_path / version, lines(version), versions=versions)

    monkeypatch.setattr(recording, "attempts", attempts)
    return asked


@pytest.mark.usefixtures("releases_exist")
def test_bisect_names_the_release_of_each_change(recorded):
    """Observations that changed together are told together, with table, example and reproduction."""
    found = bisect(
        path_between(parse("4.56.0"), parse("5.11.0")), recording.Subject(("DIR",), {"DIR": ""})
    )
    text = "\n".join(report(found))
    assert len(recorded) == len(set(recorded)), "a release was recorded twice"
    assert "skipped 5.0.0" in text
    assert "changed after 4.57.6, at the latest in 5.1.0; 5.0.0 cannot run" in text
    assert "changed in 5.10.0; 5.2.0 is the last before it" in text
    assert "bert  tokenization/ids  “␠leading␠space”\n  and 1 other observation likewise" in text
    assert "transformers 4.57.6 → 5.1.0, tokenizers 0.4 → 0.5" in text
    assert "python -m fixtures.versions run 5.1.0 python repro.py" in text
    assert "tox -e compare -- 5.2.0 5.10.0 --checkpoint DIR" in text
    assert "      print(tokenizer(' leading space'))" in text
    assert "steady" not in text


@pytest.mark.usefixtures("releases_exist", "recorded")
def test_bisect_of_one_observation_looks_at_no_other():
    """--observation NAME::INPUT is searched for alone; one that neither end has is an error."""
    path = path_between(parse("4.56.0"), parse("5.11.0"))
    wanted = recording.Subject((), {}, "tokenization/ids:: leading space")
    [[key]] = bisect(path, wanted).changes.values()
    assert key == ("bert", "tokenization/ids", " leading space")


@pytest.mark.usefixtures("releases_exist")
def test_a_release_without_the_one_observation_has_a_value(monkeypatch, tmp_path):
    """What a release no longer does leaves an empty record, which is no failure to run."""

    def attempts(requests: Sequence[Request], _: recording.Subject) -> list[Path]:
        return [
            written(
                tmp_path / version,
                lines(version)[:1] if version < "5.1" else [],
                versions={"transformers": version},
            )
            for version in (request.specifier for request in requests)
        ]

    monkeypatch.setattr(recording, "attempts", attempts)
    path = path_between(parse("4.57.6"), parse("5.2.0"))
    found = bisect(path, recording.Subject((), {}, "tokenization/ids"))
    text = "\n".join(report(found))
    assert "changed in 5.1.0; 5.0.0 is the last before it" in text
    assert "5.1.0   not observed  ← changed" in text


@pytest.mark.usefixtures("releases_exist", "recorded")
def test_an_observation_nobody_made_is_an_error():
    """A misspelt name must not read as `nothing changed`."""
    path = path_between(parse("5.10.0"), parse("5.11.0"))
    with pytest.raises(UserError, match="neither end has it"):
        bisect(path, recording.Subject((), {}, "tokenization/idz"))


@pytest.mark.usefixtures("releases_exist", "recorded")
def test_bisect_says_when_the_ends_are_the_same():
    """And what it cannot know."""
    path = path_between(parse("5.10.0"), parse("5.11.0"))
    assert "the same at both ends" in report(bisect(path, recording.Subject((), {})))[-1]


@pytest.mark.usefixtures("releases_exist", "recorded")
def test_an_end_that_cannot_run_says_why():
    """The reason is the one of the failed run."""
    path = path_between(parse("5.0.0"), parse("5.11.0"))
    with pytest.raises(UserError, match="cannot run here: ImportError"):
        bisect(path, recording.Subject((), {}))


@pytest.mark.usefixtures("recorded")
def test_the_atlas_says_in_which_release_a_behaviour_changed(monkeypatch, tmp_path):
    """Rows by releases, each compared with the one before it; nothing is read as markup."""
    monkeypatch.setattr(recording, "subject", lambda _: recording.Subject((), {}))
    data, text, page = draw(TRANSFORMERS, tmp_path / "atlas")
    drawn = atlas.read(data)
    assert drawn["releases"] == [version for version in TRANSFORMERS if version != "5.0.0"]
    table = dict(atlas.rows(drawn))
    assert table["tokenization/ids"] == [0, 2, 0, 0, 0]
    assert table["load/tokenizer"] == [0, 1, 0, 1, 0]
    assert table["load/steady"] == [0, 0, 0, 0, 0]
    assert "| `tokenization/ids` | · | 2 | · | · | · | 2 |" in text.read_text()
    assert "<b>" not in page.read_text() + text.read_text()
    before = [path.read_bytes() for path in (data, text, page)]
    assert atlas.main([str(tmp_path / "atlas")]) == 0
    assert [path.read_bytes() for path in (data, text, page)] == before


def test_an_atlas_of_one_release_is_an_error(monkeypatch, recorded):
    """There is nothing to compare, and the reason of the release that failed is told."""
    monkeypatch.setattr(recording, "subject", lambda _: recording.Subject((), {}))
    with pytest.raises(UserError, match=r"5\.0\.0: .*ImportError"):
        draw(["5.0.0", "5.1.0"], Path("unused"))
