"""The clocks: what waits for a device, what a benchmark adds, what is counted."""

from __future__ import annotations

import json
import math
import os
import queue
import random
import statistics
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from fixtures.benchmark_models import SIZES, Size, build
from fixtures.lazy import torch, transformers
from fixtures.memory import growth
from fixtures.race_worker import Clock, elsewhere, move
from fixtures.timing import Synchronised, advice, spread, warm_up
from fixtures.work import work
from fixtures.workloads import WORKLOADS, Point, forward

pytestmark = pytest.mark.meta

ROOT = Path(__file__).parents[2]
WORK = 0.02  # seconds a call keeps the fake device busy
TINY = Size(
    "bert-tiny",
    "encoder",
    "BertConfig",
    {
        "vocab_size": 50,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    },
)
# millions of parameters, as published with each checkpoint (base models, no head)
PUBLISHED = {
    "bert-base": 109.5,
    "roberta-base": 124.6,
    "distilbert-base": 66.4,
    "gpt2": 124.4,
    "smollm2-135m": 134.5,
    "t5-small": 60.5,
    "bart-base": 139.4,
    "vit-base": 86.4,
}


class Mark:
    """An event in the fake device's queue; its clock runs in seconds of its own thread."""

    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.at = math.nan

    def record(self) -> None:
        """Note the time when the queue gets here."""
        self.device.queue.put(self.note)

    def note(self) -> None:
        """Now."""
        self.at = time.perf_counter()

    def elapsed_time(self, later: Mark) -> float:
        """Milliseconds."""
        return 1000 * (later.at - self.at)


class FakeDevice:
    """Works on another thread: a call returns before its work is done."""

    name = "fake"

    def __init__(self) -> None:
        self.queue: queue.Queue = queue.Queue()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """One job after another."""
        while True:
            self.queue.get()()
            self.queue.task_done()

    def launch(self) -> None:
        """Queue some work."""
        self.queue.put(lambda: time.sleep(WORK))

    def synchronize(self) -> None:
        """Wait for the queue."""
        self.queue.join()

    def event(self) -> Mark:
        """A mark."""
        return Mark(self)


class Forgetful(FakeDevice):
    """A device whose timer forgets to synchronise."""

    def synchronize(self) -> None:
        """Do not wait."""


def seconds(call) -> float:
    """Wall-clock time of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def times_the_work(device: FakeDevice) -> bool:
    """Whether five timed calls each take as long as the work they queued."""
    call = Synchronised(device.launch, device)
    return all(seconds(call) >= WORK for _ in range(5))


def test_timed_call_waits_for_the_device():
    """A timed call takes as long as its work, and the device's own clock agrees."""
    device = FakeDevice()
    call = Synchronised(device.launch, device)
    taken = [seconds(call) for _ in range(5)]
    assert min(taken) >= WORK
    assert len(call.device_seconds) == 5
    assert all(
        WORK <= inside <= outside
        for inside, outside in zip(call.device_seconds, taken, strict=True)
    )


def test_forgetful_timer_is_noticed():
    """The check above fails a timer that does not synchronise."""
    assert times_the_work(FakeDevice())
    assert not times_the_work(Forgetful())


def test_earlier_work_is_not_timed():
    """Work that was queued before the first mark is not in the device's time."""
    device = FakeDevice()
    for _ in range(5):
        device.launch()
    call = Synchronised(device.launch, device)
    call()
    assert call.device_seconds[0] < 4 * WORK


def test_warm_up_ends_when_times_settle():
    """Slow first calls are passed over, and the first one is told apart; one of seconds is enough."""
    clock = iter([0, 0.9, 0.9, 0.92, 0.92, 0.93, 0.93, 0.94, 1, 10])
    warm = warm_up(lambda: None, lambda: next(clock))
    assert (warm.first_seconds, warm.calls) == (0.9, 4)
    warm = warm_up(lambda: None, lambda: next(clock))
    assert (warm.first_seconds, warm.calls) == (9, 1)


def test_noise_gets_advice():
    """Samples that spread get advice, few ones too, steady ones none."""
    steady = [1.0, 1.01, 0.99, 1.0, 1.0, 1.01]
    assert advice(steady) == ""
    assert spread(steady) < 0.02
    assert "fixtures.race" in advice([1.0, 1.5, 0.7, 1.9, 1.1, 1.0])
    assert "only 2 samples" in advice(steady[:2])


def test_benchmark_adds_less_than_one_percent(benchmark):
    """What pytest-benchmark measures is at most 1 % more than a bare perf_counter loop.

    Both time the same calls, one inside the other, so that noise is in both.
    """
    call = forward(Point(next(s for s in SIZES if s.name == "distilbert-base"), length=32))
    bare = []

    def inner():
        started = time.perf_counter()
        call()
        bare.append(time.perf_counter() - started)

    benchmark.disabled = False  # as it is beside workers
    benchmark.pedantic(Synchronised(inner, FakeCpu()), rounds=20, warmup_rounds=2)
    added = [o - b for o, b in zip(benchmark.stats.stats.data, bare[2:], strict=True)]
    assert statistics.median(added) <= 0.01 * statistics.median(bare)


class FakeCpu:
    """A device that is done when a call returns."""

    name = "cpu"

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def event(self) -> None:
        """No clock of its own."""


def test_operations_are_those_of_the_formula():
    """A BERT layer takes 2 L (4 d^2 + 2 d f) for its products and 4 L^2 d for its attention."""
    length, layers, d, f = 16, 2, 32, 64
    call = forward(Point(TINY, length=length))
    pooler = 2 * d * d
    formula = layers * (2 * length * (4 * d * d + 2 * d * f) + 4 * length**2 * d) + pooler
    counted = work(call)
    assert counted.flops == formula
    matrices = layers * (4 * d * d + 2 * d * f) + d * d
    assert counted.bytes_read >= 4 * matrices


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_sizes_are_the_published_ones(size):
    """The models built from configurations have as many parameters as the published ones."""
    with torch.device("meta"):
        config = getattr(transformers, size.config)(**size.settings)
        model = transformers.AutoModel.from_config(config)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    if size.name in PUBLISHED:
        assert millions == pytest.approx(PUBLISHED[size.name], abs=0.1)
    assert 60 < millions < 140


def test_moving_a_model_changes_addresses_only():
    """Weights, ties and outputs stay; every address is new."""
    call = forward(Point(TINY, length=16))
    before = call().last_hidden_state
    where = {name: p.data_ptr() for name, p in call.model.named_parameters()}
    ids = call.inputs["input_ids"].data_ptr()
    move(call, random.Random(0))
    assert torch.equal(call().last_hidden_state, before)
    assert all(p.data_ptr() != where[name] for name, p in call.model.named_parameters())
    assert call.inputs["input_ids"].data_ptr() != ids


def test_moving_keeps_tied_weights_tied():
    """Tensors that were one stay one."""
    size = next(size for size in SIZES if size.name == "t5-small")
    tiny = Size(
        "t5-tiny",
        size.kind,
        size.config,
        dict(size.settings) | {"num_layers": 1, "d_model": 32, "vocab_size": 50},
    )
    call = WORKLOADS["decode"][0](Point(tiny, length=4))
    move(call, random.Random(0))
    assert call.model.shared.weight.data_ptr() == call.model.encoder.embed_tokens.weight.data_ptr()
    call()


def test_copies_lie_at_offsets_of_their_own():
    """Copies of one tensor begin at different places within a page, aligned to cache lines."""
    tensor, chance = torch.arange(5000.0), random.Random(0)
    copies = [elsewhere(tensor, chance) for _ in range(20)]
    assert all(torch.equal(copy, tensor) for copy in copies)
    assert len({copy.data_ptr() % 4096 for copy in copies}) > 5


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("kind", ["decoder", "encoder-decoder"])
def test_calls_repeat(workload, kind):
    """Each call of a workload finds the same state and gives the same result."""
    make, kinds = WORKLOADS[workload]
    if kind not in kinds:
        return
    small = (
        {"num_hidden_layers": 2}
        if kind == "decoder"
        else {"encoder_layers": 1, "decoder_layers": 1}
    )
    names = {"decoder": "mistral-135m", "encoder-decoder": "bart-base"}
    size = next(size for size in SIZES if size.name == names[kind])
    call = make(
        Point(
            Size("small", kind, size.config, {**size.settings, **small, "vocab_size": 99}),
            length=80,
        )
    )
    first, second, third = (call() for _ in range(3))
    if workload == "generation":
        assert torch.equal(first, third)
        assert len(call.to_first_token) == 3
    else:
        key = "logits" if workload in ("prefill", "decode") else "last_hidden_state"
        assert torch.allclose(first[key], second[key])
        assert torch.allclose(first[key], third[key])


@pytest.mark.skipif(Clock().file is None, reason="not run: the system tells no queueing time")
def test_clock_counts_sleep_but_no_queueing():
    """A slowdown that waits is seen; the time other processes take is not."""
    clock = Clock()
    started = clock()
    time.sleep(0.05)
    assert clock() - started >= 0.045
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        started, wall, cpu = clock(), time.perf_counter(), time.thread_time()
        while time.thread_time() - cpu < 0.5:
            pass
        taken, wall = clock() - started, time.perf_counter() - wall
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert taken == pytest.approx(0.5, rel=0.1)
    assert taken <= wall


def benchmarks(*options: str) -> subprocess.CompletedProcess[str]:
    """A run of the benchmark suite on a small checkpoint."""
    command = [sys.executable, "-m", "pytest", "suites/benchmarks", "-q", "-p", "no:cacheprovider"]
    command += ["--checkpoint", "fixtures/checkpoints/gpt2-counting", *options]
    # beside workers of this run it is a run of its own
    env = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_suite_runs(tmp_path):
    """The benchmark suite runs on a checkpoint and saves samples and figures."""
    saved = tmp_path / "saved.json"
    run = benchmarks("--benchmark-max-time=0.01", f"--benchmark-json={saved}", "-k not distilbert")
    assert run.returncode == 0, run.stdout
    assert "not run: no CUDA device" in run.stdout or torch.cuda.is_available()
    found = {b["name"].split("[")[0]: b for b in json.loads(saved.read_text())["benchmarks"]}
    step = found["test_decode_step"]
    assert len(step["stats"]["data"]) >= 5
    wanted = {"parameters", "tokens_per_second", "flops", "flops_per_second", "fraction_of_limit"}
    wanted |= {"peak_memory_bytes", "threads", "attention", "first_call_seconds", "advice"}
    assert wanted <= step["extra_info"].keys()
    assert found["test_greedy_generation"]["extra_info"]["first_token_seconds_median"] > 0
    assert {"test_forward", "test_prefill", "test_tokenization", "test_loading"} <= found.keys()


def test_absent_device_is_named():
    """Asking for a device that is not here says so, for each benchmark."""
    run = benchmarks("--device=xpu", "-rs", "-k test_decode_step")
    assert "not run: no XPU device" in run.stdout or torch.xpu.is_available()


def test_leak_is_noticed():
    """Calls that keep a little each leave the process larger, others do not."""
    kept, small = [], 2**17  # bytes
    assert growth(lambda: torch.ones(small // 4), 100) < 50 * small
    assert growth(lambda: kept.append(torch.ones(small // 4)), 100) > 50 * small


def test_only_one_model_is_kept():
    """Building a model drops the one before it; asking again for the same one does not build."""
    options = {"attention": None, "dtype": "float32", "device": "cpu"}
    first = build(TINY, head=False, **options)
    assert build(TINY, head=False, **options) is first
    dropped = weakref.ref(first)
    del first
    build(TINY, head=False, **options | {"dtype": "bfloat16"})
    assert dropped() is None
