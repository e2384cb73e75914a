"""Races: what their verdicts promise on synthetic pairs, and one race of real processes."""

from __future__ import annotations

import itertools
import json
import math
import random

import pytest
from rich.console import Console

from fixtures import race
from fixtures.errors import UserError
from fixtures.overlays import Overlay, Request
from fixtures.race import Outcome, Race, arms_of, main, parser
from fixtures.race_pairs import Arm, Entrant, Measured, NotRunError
from fixtures.race_report import as_json, as_markdown, show
from fixtures.race_statistics import (
    ALPHA,
    Plan,
    Verdict,
    advice,
    correct,
    interval,
    judge,
    over_suite,
    smallest_visible,
)

pytestmark = pytest.mark.meta

RACES = 300
QUIET, LOADED = 0.005, 0.015  # standard deviation of a pair's log-ratio, as measured


def verdicts(
    change: float, spread: float, seed: int = 0, heavy: bool = False
) -> dict[Verdict, float]:
    """Shares of verdicts over synthetic races; heavy tails are t-distributed with 3 degrees."""
    chance, plan = random.Random(seed), Plan()

    def pair() -> float:
        tail = math.sqrt(chance.gammavariate(1.5, 2) / 3) if heavy else 1.0
        return math.log1p(change) + chance.gauss(0, spread) / tail

    found = [judge([pair() for _ in range(2 * plan.most)], plan).verdict for _ in range(RACES)]
    return {verdict: found.count(verdict) / RACES for verdict in Verdict}


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("spread", [QUIET, LOADED, 0.1])
def test_identical_code_is_never_slower(spread, heavy):
    """Whatever the noise, races of identical code come out slower or faster in under 0.5 %."""
    found = verdicts(0.0, spread, heavy=heavy)
    assert found[Verdict.SLOWER] + found[Verdict.FASTER] < 0.005
    assert found[Verdict.UNDECIDED] == 0


def test_five_percent_is_found():
    """A slowdown of 5 % is found in 95 % of races, quiet or loaded; a speed-up likewise."""
    assert verdicts(0.05, QUIET)[Verdict.SLOWER] >= 0.99
    assert verdicts(0.05, 0.01)[Verdict.SLOWER] >= 0.95
    assert verdicts(-0.05, QUIET)[Verdict.FASTER] >= 0.99


def test_quiet_identical_code_has_no_change():
    """On a quiet machine identical code is told to be equal, not left open."""
    assert verdicts(0.0, QUIET)[Verdict.NO_CHANGE] >= 0.99


def test_change_within_the_margin_is_none():
    """A slowdown of 1 % is real and smaller than what counts."""
    found = verdicts(0.01, QUIET)
    assert found[Verdict.SLOWER] == 0
    assert found[Verdict.NO_CHANGE] >= 0.9


def test_shares_of_the_looks_add_up():
    """All looks together spend the chance of an error once."""
    for most in range(2, 40):
        looks = Plan(most=most).looks
        assert looks[-1][0] == most
        assert math.isclose(sum(alpha for _, alpha in looks), ALPHA)
        assert all(a < b for (a, _), (b, _) in itertools.pairwise(looks))


def test_intervals_cover_the_truth_at_every_look():
    """In at least 95 % of races the intervals of all looks hold the true ratio."""
    chance, plan = random.Random(1), Plan()
    held = 0
    for _ in range(RACES):
        pairs = [0.02 + chance.gauss(0, LOADED) for _ in range(plan.most)]
        seen = [interval(pairs[:n], alpha) for n, alpha in plan.looks]
        held += all(one.low <= 0.02 <= one.high for one in seen)
    assert held / RACES >= 0.95 - 0.01


def test_change_must_recur():
    """What a first set shows and a fresh one does not is no change, and the report says so."""
    first, fresh = [0.06, 0.061, 0.059, 0.06], [0.001, -0.001, 0.002, 0.0]
    plan = Plan()
    assert judge(first, plan).verdict is Verdict.UNDECIDED
    assert judge(first, plan).wanted == 8
    again = judge(first + fresh, plan)
    assert again.verdict is Verdict.NO_CHANGE
    assert "did not recur" in again.note
    assert judge(first + [-value for value in first], plan).verdict is Verdict.INCONCLUSIVE
    confirmed = judge(first + first, plan)
    assert confirmed.verdict is Verdict.SLOWER
    assert confirmed.p < 0.01


def test_further_pairs_are_told():
    """An inconclusive race says how many more pairs would decide it."""
    chance = random.Random(4)
    pairs = [0.01 + chance.gauss(0, 0.03) for _ in range(9)]
    judged = judge(pairs, Plan())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "further pairs" in judged.note
    assert "more than" in advice(interval([0.029, -0.03, 0.0887, 0.0295], ALPHA), Plan())


@pytest.mark.parametrize("spread", [QUIET, 0.01, LOADED])
def test_smallest_visible_slowdown_is_found(spread):
    """A slowdown as large as a race says it could have seen is announced in most races."""
    chance = random.Random(2)
    plan = Plan()
    promised = [
        smallest_visible(interval([chance.gauss(0, spread) for _ in range(9)], ALPHA), plan)
        for _ in range(50)
    ]
    typical = sorted(promised)[25]
    assert 0.03 < typical < 0.08
    assert verdicts(typical, spread)[Verdict.SLOWER] >= 0.7


def test_many_races_are_corrected():
    """A change that is borderline alone does not survive a suite of fifty, a clear one does."""
    plan = Plan()
    border = judge([0.05, 0.09, 0.04, 0.06] * 2, plan)
    clear = judge([0.06, 0.0601, 0.0599, 0.06] * 2, plan)
    none = judge([0.001, 0.0, -0.001, 0.0], plan)
    assert border.verdict is clear.verdict is Verdict.SLOWER
    assert correct([border])[0].verdict is Verdict.SLOWER
    corrected = correct([border, clear, *[none] * 48])
    assert [one.verdict for one in corrected[:2]] == [Verdict.INCONCLUSIVE, Verdict.SLOWER]
    assert correct([]) == []


def test_suite_mean_uses_pairs_all_races_had():
    """The geometric mean over a suite pairs what the same processes measured."""
    found = over_suite([[0.02, 0.04, 0.5], [0.0, -0.01]])
    assert found is not None
    assert found.pairs == 2
    assert found.estimate == pytest.approx(0.0125)
    assert over_suite([[0.1], [0.2]]) is None
    assert over_suite([]) is None


class FakePair:
    """Pairs whose ratios are given: by model, one a pair."""

    ratios: dict[str, list[float]]

    def __init__(self, arms, chance) -> None:
        self.arms = arms

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing runs."""

    def measure(self, entrant: Entrant) -> Measured:
        """The next ratio of this model."""
        if entrant.model not in self.ratios:
            raise NotRunError("ValueError: no such thing in this version")
        ratio = self.ratios[entrant.model].pop(0)
        return Measured([0.01] * 3, {0.0: [ratio] * 3})


@pytest.fixture
def raced(monkeypatch):
    """Races a suite over given ratios."""

    def outcome(**ratios: list[float]) -> Outcome:
        monkeypatch.setattr(race, "Pair", FakePair)
        FakePair.ratios = {name: list(values) for name, values in ratios.items()}
        arms = tuple(Arm(Overlay(Request((("transformers", v),)), None)) for v in ("1.0", "2.0"))
        entrants = [Entrant(name, "forward") for name in [*ratios, "absent"]]
        return race.run(arms, entrants, Plan(), 0)

    return outcome


def test_suite_is_raced_to_its_end(raced):
    """Each race gets the pairs it needs, a workload that cannot run does not stop the others."""
    slow = [0.06, 0.061, 0.059, 0.06] * 2
    outcome = raced(slow=slow, same=[0.0, 0.001, -0.001, 0.0])
    said = [found and found.verdict for found in outcome.judgements]
    assert said == [Verdict.SLOWER, Verdict.NO_CHANGE, None]
    assert [len(one.measured) for one in outcome.races] == [8, 4, 0]
    assert outcome.status == 1
    assert raced(same=[0.0, 0.001, -0.001, 0.0]).status == 0
    assert raced().status == race.FAILED


def test_reports_say_the_same(raced):
    """Terminal, Markdown and JSON agree, and name what did not run."""
    outcome = raced(slow=[0.06, 0.061, 0.059, 0.06] * 2)
    console = Console(record=True, width=160)
    show(outcome, console)
    for text in (console.export_text(), as_markdown(outcome)):
        assert "transformers-1.0 → transformers-2.0" in text
        assert "+6.2 %" in text
        assert "1 slower, 1 not run" in text
        assert "no such thing" in text
    content = json.loads(as_json(outcome))
    assert [one["verdict"] for one in content["races"]] == ["slower", "not run"]
    assert content["races"][0]["estimate"] == pytest.approx(math.exp(0.06))
    assert len(content["races"][0]["pairs"]) == 8
    assert content["status"] == 1


@pytest.mark.parametrize(
    ("versions", "settings"),
    [
        ([], []),
        (["5.23.0"], []),
        ([], ["attention=eager"]),
        (["1", "2"], ["threads=1", "threads=2"]),
    ],
)
def test_two_sides_are_needed(versions, settings):
    """Anything but two sides is an error that shows how to name them."""
    with pytest.raises(UserError, match="two sides"):
        arms_of(versions, settings)


@pytest.mark.parametrize(
    "setting", ["attention", "speed=fast", "dtype=int4", "threads=0", "threads=x"]
)
def test_unknown_settings_are_refused(setting):
    """A setting nobody knows names those that are."""
    with pytest.raises(UserError, match=r"write attention=eager|above 0"):
        arms_of([], [setting, "threads=1"])


def test_arms_of_one_version_differ_in_settings():
    """--arm twice races two settings of the installed version."""
    first, second = arms_of([], ["attention=eager", "attention=sdpa,threads=2"])
    assert (first.attention, second.attention, second.threads) == ("eager", "sdpa", 2)
    assert "attention=sdpa threads=2" in second.label


@pytest.mark.parametrize("workload", ["gpt3/forward", "gpt2/forwards", "bert-base/decode", "gpt2"])
def test_unknown_workloads_are_refused(workload, capsys):
    """A workload that is none gets one line and status 2."""
    assert main(["--arm", "threads=1", "--arm", "threads=1", "--workload", workload]) == race.FAILED
    assert capsys.readouterr().err.startswith("race: --workload")


def test_margin_and_pairs_are_positive():
    """Numbers that make no race are refused by the command line."""
    for wrong in (["--margin", "0"], ["--pairs", "-1"], ["--batch", "1.5"], ["--margin", "nan"]):
        with pytest.raises(SystemExit):
            parser().parse_args(wrong)


def test_processes_race():
    """Real processes: a planted 30 % is measured, and an arm that cannot run says why."""
    arms = arms_of([], ["threads=1", "threads=1"])
    entrant = Entrant("bert-mini", "forward", length=16)
    with race.Pair(arms, random.Random(0)) as pair:
        found = pair.measure(entrant, (0.0, 0.3))
        with pytest.raises(NotRunError, match="RuntimeError"):
            pair.measure(Entrant("bert-mini", "forward", device="nowhere"))
        again = pair.measure(entrant)
    assert abs(found.ratio()) < 0.1
    assert found.ratio(0.3) == pytest.approx(math.log(1.3), abs=0.1)
    assert len(again.seconds) == len(found.seconds)
    assert Race(entrant, [found]).ratios == [found.ratio()]
