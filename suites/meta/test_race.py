"""Races: what their verdicts promise on synthetic pairs, and one race of real processes."""

from __future__ import annotations

import itertools
import json
import math
import random
import signal
from collections.abc import Callable

import pytest
from rich.console import Console

from fixtures import race, race_pairs
from fixtures.errors import UserError
from fixtures.overlays import Overlay, Request
from fixtures.race import Outcome, arms_of, main, parser
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

RACES = 200
QUIET, LOADED = 0.006, 0.012  # standard deviation of a pair's log-ratio, as measured
SAME = [0.0, 0.001, -0.001, 0.0, 0.001, -0.001]
SLOW = [0.06, 0.061, 0.059, 0.06, 0.06, 0.06]


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


def test_slowdowns_are_found():
    """5 % is found in 95 % of races, quiet or loaded, 3 % in 80 % of quiet ones; a speed-up likewise."""
    assert verdicts(0.05, QUIET)[Verdict.SLOWER] >= 0.99
    assert verdicts(0.05, 2 * LOADED)[Verdict.SLOWER] >= 0.95
    assert verdicts(0.03, QUIET)[Verdict.SLOWER] >= 0.9
    assert verdicts(-0.05, QUIET)[Verdict.FASTER] >= 0.99


def test_quiet_identical_code_has_no_change():
    """On a quiet machine identical code is told to be equal, not left open."""
    assert verdicts(0.0, QUIET)[Verdict.NO_CHANGE] >= 0.99


def test_change_within_the_margin_is_none():
    """A slowdown of 0.5 % is real and smaller than what counts."""
    found = verdicts(0.005, QUIET)
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
    plan = Plan()
    assert judge(SLOW, plan).verdict is Verdict.UNDECIDED
    assert judge(SLOW, plan).wanted == 12
    again = judge(SLOW + SAME, plan)
    assert again.verdict is Verdict.NO_CHANGE
    assert "did not recur" in again.note
    assert judge(SLOW + [-value for value in SLOW], plan).verdict is Verdict.INCONCLUSIVE
    confirmed = judge(SLOW + SLOW, plan)
    assert confirmed.verdict is Verdict.SLOWER
    assert confirmed.p < 0.01


def test_further_pairs_are_told():
    """An inconclusive race says how many more pairs would decide it."""
    chance = random.Random(4)
    pairs = [0.01 + chance.gauss(0, 0.03) for _ in range(14)]
    judged = judge(pairs, Plan())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "further pairs" in judged.note
    assert "more than" in advice(interval([0.019, -0.04, 0.0787, 0.0195], ALPHA), Plan())


@pytest.mark.parametrize("spread", [QUIET, 0.01, LOADED])
def test_smallest_visible_slowdown_is_found(spread):
    """A slowdown as large as a race says it could have seen is announced in most races."""
    chance = random.Random(2)
    plan = Plan()
    promised = [
        smallest_visible(interval([chance.gauss(0, spread) for _ in range(14)], ALPHA), plan)
        for _ in range(50)
    ]
    typical = sorted(promised)[25]
    assert Plan.margin < typical < 0.08
    assert verdicts(typical, spread)[Verdict.SLOWER] >= 0.7


def test_many_races_are_corrected():
    """A change that is borderline alone does not survive a suite of fifty, a clear one does."""
    plan = Plan()
    border = judge([0.05, 0.09, 0.03, 0.03, 0.08, 0.03] * 2, plan)
    clear = judge(SLOW * 2, plan)
    none = judge(SAME, plan)
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


class FakeOrigins:
    """Pairs whose ratios are given, by model; how many pairs each origin made."""

    ratios: dict[str, list[float]]
    made: list[int]
    ended: Callable[[], None]

    def __init__(self, arms, entrant, chance) -> None:
        self.entrant = entrant

    def __enter__(self):
        if self.entrant.model not in self.ratios:
            raise NotRunError("ValueError: no such thing in this version")
        self.made.append(0)
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing runs."""

    def pair(self) -> Measured:
        """The next ratio of this model."""
        self.made[-1] += 1
        if not self.ratios[self.entrant.model]:
            self.ended()
        return Measured([0.01] * 3, [self.ratios[self.entrant.model].pop(0)] * 3)


@pytest.fixture
def raced(monkeypatch):
    """Races a suite over given ratios."""

    def outcome(**ratios: list[float]) -> Outcome:
        monkeypatch.setattr(race, "Origins", FakeOrigins)
        FakeOrigins.made = []
        FakeOrigins.ratios = {name: list(values) for name, values in ratios.items()}
        arms = tuple(Arm(Overlay(Request((("transformers", v),)), None)) for v in ("1.0", "2.0"))
        entrants = [Entrant(name, "forward") for name in [*ratios, "absent"]]
        return race.run(arms, entrants, Plan(), 0)

    return outcome


def test_suite_is_raced_to_its_end(raced):
    """Each race gets the pairs it needs, a workload that cannot run does not stop the others."""
    outcome = raced(slow=SLOW * 2, same=SAME)
    said = [found and found.verdict for found in outcome.judgements]
    assert said == [Verdict.SLOWER, Verdict.NO_CHANGE, None]
    assert [len(one.measured) for one in outcome.races] == [12, 6, 0]
    assert FakeOrigins.made == [6, 6, 6], "a change recurs in processes of other origins"
    assert outcome.status == 1
    assert raced(same=SAME).status == 0
    assert raced().status == race.FAILED


# In the background SIGINT is ignored: what Ctrl-C does is called.
ENDS = {
    "Ctrl-C": lambda: signal.default_int_handler(signal.SIGINT, None),
    "time limit": lambda: signal.raise_signal(signal.SIGTERM),
}


@pytest.mark.parametrize("ended", ENDS.values(), ids=ENDS)
def test_interrupted_suite_tells_what_is_decided(raced, monkeypatch, ended):
    """Neither Ctrl-C nor a job's time limit loses a verdict, and neither is a success."""
    monkeypatch.setattr(FakeOrigins, "ended", staticmethod(ended), raising=False)
    outcome = raced(same=SAME, cut=SLOW[:3])
    said = [found and found.verdict for found in outcome.judgements]
    assert said == [Verdict.NO_CHANGE, None, None]
    assert [one.failure for one in outcome.races] == [None, *[race.INTERRUPTED] * 2]
    assert outcome.status == race.FAILED


def test_reports_say_the_same(raced):
    """Terminal, Markdown and JSON agree, and name what did not run."""
    outcome = raced(slow=SLOW * 2)
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
    assert len(content["races"][0]["pairs"]) == 12
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


@pytest.fixture
def origins(monkeypatch):
    """Starts origins of a small workload for two arms, whose pairs take as few turns as there can be."""
    monkeypatch.setattr(race_pairs, "PAIR_SECONDS", 0.0)

    def start(*settings: str) -> race.Origins:
        entrant = Entrant("bert-mini", "forward", length=16)
        return race.Origins(arms_of([], list(settings)), entrant, random.Random(0))

    return start


def test_processes_race(origins):
    """Real processes measure a planted doubling, each pair with processes of its own."""
    with origins("threads=1", "threads=1") as started:
        same, slow = started.pair(), started.pair(1.0)
    assert slow.ratio - same.ratio == pytest.approx(math.log(2), abs=0.3)
    assert len(slow.seconds) == len(slow.turns) == race_pairs.FEWEST_TURNS


def test_processes_with_threads_race(origins):
    """Forked processes can have threads: an origin starts none that they would lack."""
    with origins("threads=1", "threads=2") as started:
        assert len(started.pair().turns) == race_pairs.FEWEST_TURNS


def test_arm_that_cannot_run_says_why():
    """What cannot be built is told in the race's place."""
    outcome = race.run(
        arms_of([], ["threads=1", "dtype=bfloat16"]),
        [Entrant("bert-mini", "forward", device="nowhere")],
        Plan(),
        0,
    )
    [failed] = outcome.races
    assert failed.failure is not None
    assert "Error" in failed.failure
    assert outcome.status == race.FAILED
