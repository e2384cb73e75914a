"""Sampling draws from the distribution its settings define, reproducibly under a seed."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from fixtures.applicability import (
    applies_to,
    generates,
    generation_sample,
    light,
    options_sample,
    text_model,
)
from fixtures.generating import generate, logits_tolerance, next_logits, prompts, rules, start_of
from fixtures.ids import eos_id, ordinary_ids
from fixtures.lazy import torch

SETTINGS = {
    "temperature": {"temperature": 0.6, "top_k": 0},
    "top-h": {"top_h": 0.6, "top_k": 0},
    "top-k": {"top_k": 4},
    "top-p": {"top_p": 0.8, "top_k": 0},
    "min-p": {"min_p": 0.1, "top_k": 0},
    "typical-p": {"typical_p": 0.6, "top_k": 0},
    "epsilon-cutoff": {"epsilon_cutoff": 0.02, "top_k": 0},
    "eta-cutoff": {"eta_cutoff": 0.1, "top_k": 0},
    "decay": {"exponential_decay_length_penalty": (0, 2.0), "top_k": 0},
    "penalty": {"repetition_penalty": 1.3, "top_k": 0},
    "renormalised": {"top_k": 5, "renormalize_logits": True},
    "all": {"temperature": 1.4, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.3},
}
ROWS = 2000
ALARM = 1e-9  # chance of a false alarm of a distribution check


@applies_to(generates, text_model, generation_sample)
@pytest.mark.parametrize("setting", SETTINGS)
def test_sampled_scores_equal_textbook(checkpoint, model, dtype, expect, setting):
    """At each step, the scores sampled from are the logits as the settings reshape them."""
    from fixtures.reference.sampling import process, processors_of

    end = ordinary_ids(checkpoint)[0] if eos_id(checkpoint) is None else eos_id(checkpoint)
    prompt = prompts(checkpoint, 1)[0]
    prompt += prompt[:1] * 2  # said three times, penalised once
    settings = {"do_sample": True, "eos_token_id": end, **SETTINGS[setting]}
    torch.manual_seed(0)
    out = generate(model, checkpoint, [prompt], max_new_tokens=3, **settings)
    start = start_of(checkpoint, prompt)
    processors = processors_of(rules(checkpoint, max_new_tokens=3, **settings), len(start))
    logits, sequence = next_logits(model, checkpoint, prompt), out.sequences[0].tolist()
    allowed = 4 * logits_tolerance(checkpoint, dtype)
    for step, scores in enumerate(out.scores):
        ids = sequence[: len(start) + step]
        wanted = process(ids, logits(ids), processors)
        value = scores[0].float().cpu()
        kept = value.isfinite() & wanted.isfinite()
        call = f"model.generate(torch.tensor([prompt]), **settings).scores[{step}][0]"
        expect.close(value[kept], wanted[kept], allowed, call, prompt=prompt, settings=settings)
        strays = decided(value.isfinite(), wanted.isfinite(), logits(ids), allowed)
        expect.equal(
            strays,
            [],
            f"tokens cut off or kept wrongly in {call}",
            prompt=prompt,
            settings=settings,
        )


def decided(value, wanted, logits, allowed):
    """The tokens (V,) kept by one and cut off by the other, but for ties with one across the edge."""
    strays = []
    for token in (value != wanted).nonzero().flatten().tolist():
        across = logits[wanted != wanted[token]]
        if not bool(((across - logits[token]).abs() <= allowed).any()):
            strays.append(token)
    return strays


@applies_to(generates, text_model, generation_sample)
def test_sampling_repeats_under_a_seed(checkpoint, model, expect):
    """The same seed draws the same tokens, another one others."""
    prompt = prompts(checkpoint, 1)[0]
    drawn = []
    for seed in (1, 1, 2, 3, 4):
        torch.manual_seed(seed)
        out = generate(
            model,
            checkpoint,
            [prompt] * 8,
            do_sample=True,
            top_k=0,
            temperature=3.0,
            eos_token_id=None,
        )
        drawn.append(out.sequences.tolist())
    call = "torch.manual_seed(1); model.generate(torch.tensor([prompt] * 8), do_sample=True)"
    expect.equal(drawn[1], drawn[0], f"{call}, the second time", prompt=prompt)
    expect.true(
        any(other != drawn[0] for other in drawn[2:]),
        "the same tokens",
        "others under another seed",
        call,
        prompt=prompt,
    )


@applies_to(generates, text_model, generation_sample)
def test_sampling_follows_the_distribution(checkpoint, model, expect):
    """Over many draws each token is as frequent as it is probable."""
    prompt = prompts(checkpoint, 1)[0]
    torch.manual_seed(5)
    out = generate(
        model,
        checkpoint,
        [prompt],
        do_sample=True,
        top_k=0,
        max_new_tokens=1,
        num_return_sequences=ROWS,
        eos_token_id=None,
    )
    logits = next_logits(model, checkpoint, prompt)(start_of(checkpoint, prompt))
    probabilities = logits.double().softmax(-1)
    counts = torch.bincount(out.sequences[:, -1].cpu(), minlength=len(probabilities))
    best = probabilities.argsort(descending=True)
    value, wanted = (counts.double() / ROWS)[best].cumsum(0), probabilities[best].cumsum(0)
    # Dvoretzky, Kiefer, Wolfowitz (Massart 1990): holds for all shares at once
    allowed = math.sqrt(math.log(2 / ALARM) / (2 * ROWS))
    expect.close(
        value,
        wanted,
        allowed,
        "shares of the likeliest 1, 2, ... tokens in "
        f"model.generate(..., do_sample=True, num_return_sequences={ROWS})",
        prompt=prompt,
    )


SHARES = (0.4, 0.25, 0.15, 0.12, 0.08)  # of the first five ordinary tokens


def as_likely_as(shares, tokens):
    """A processor that makes these tokens this likely, and all others impossible."""

    def processed(_, scores):
        scores = torch.full_like(scores, -math.inf)
        scores[:, tokens] = torch.tensor(shares, dtype=scores.dtype, device=scores.device).log()
        return scores

    return processed


@applies_to(generates, text_model, options_sample, light)
def test_sampled_beams_follow_the_distribution(checkpoint, model, expect):
    """Two beams that are sampled begin with two tokens drawn one after the other, none twice."""
    prompt, tokens = prompts(checkpoint, 1)[0][:3], ordinary_ids(checkpoint)[:5]
    settings = {"num_beams": 2, "num_return_sequences": 2, "do_sample": True, "top_k": 0}
    settings |= {"max_new_tokens": 1, "eos_token_id": None, "renormalize_logits": False}
    torch.manual_seed(6)
    rows, chosen = ROWS // 4, [as_likely_as(SHARES, tokens)]
    out = generate(model, checkpoint, [prompt] * rows, **settings, logits_processor=chosen)
    drawn = [tuple(sorted(pair)) for pair in out.sequences[:, -1].reshape(-1, 2).tolist()]
    wanted = {
        (one, other): p * q / (1 - p) + q * p / (1 - q)
        for (one, p), (other, q) in combinations(zip(tokens, SHARES, strict=True), 2)
    }
    # Hoeffding's inequality, for each of ten pairs
    near = math.sqrt(math.log(2 * len(wanted) / ALARM) / (2 * rows))
    value = torch.tensor([drawn.count(pair) / rows for pair in wanted])
    call = f"shares of pairs of beams in model.generate(rows, **{settings})"
    expect.close(value, torch.tensor(list(wanted.values())), near, call, prompt=prompt)
    strange = sorted(set(drawn) - set(wanted))
    expect.equal(strange, [], f"pairs nobody drew in model.generate(rows, **{settings})")


CUTS = ("top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


@applies_to(generates, text_model, options_sample)
@pytest.mark.parametrize("cut", CUTS)
def test_sampled_beams_can_go_on(checkpoint, model, expect, cut):
    """Whatever is cut off, beams that are sampled keep more tokens than there are ends."""
    prompt = prompts(checkpoint, 1)[0]
    ends = next_logits(model, checkpoint, prompt)(start_of(checkpoint, prompt)).topk(2).indices
    tight = {"top_k": 1, "top_p": 1e-3, "typical_p": 1e-3}.get(cut, 0.999)
    settings = {"top_k": 0, cut: tight, "eos_token_id": ends.tolist(), "num_beams": 2}
    torch.manual_seed(7)
    out = generate(model, checkpoint, [prompt], do_sample=True, max_new_tokens=1, **settings)
    value = int(out.scores[0][0].isfinite().sum())
    call = f"tokens left in model.generate(ids, do_sample=True, **{settings}).scores[0][0]"
    expect.true(value >= 3, value, "at least 3, of which 2 are ends", call, prompt=prompt)


@applies_to(generates, text_model, generation_sample)
def test_watermark_raises_the_green_list(checkpoint, model, dtype, expect):
    """A watermark adds its bias to the given share of tokens, chosen by the last one (Kirchenbauer et al. 2023, alg. 2)."""
    from transformers import WatermarkingConfig

    prompt, other = prompts(checkpoint, 1)[0], prompts(checkpoint, 1, seed=82)[0]
    green = []
    for row in (prompt, [*other[:-1], prompt[-1]], [*prompt[:-1], other[-2]]):
        config = WatermarkingConfig(greenlist_ratio=0.25, bias=2.0, context_width=1)
        settings = {"watermarking_config": config, "max_new_tokens": 1, "eos_token_id": None}
        out = generate(model, checkpoint, [row], **settings)
        raised = (out.scores[0][0] - out.logits[0][0]).float()
        call = "(out.scores[0][0] - out.logits[0][0]) with a watermark of bias 2"
        expect.close(raised, 2.0 * (raised > 1), logits_tolerance(checkpoint, dtype), call, row=row)
        green.append((raised > 1).nonzero().flatten().tolist())
        wanted = int(0.25 * len(raised))
        expect.equal(len(green[-1]), wanted, "tokens raised by a watermark of a quarter", row=row)
    if checkpoint.kind == "decoder":
        expect.equal(green[1], green[0], "the tokens raised behind the same token")
        expect.true(
            green[2] != green[0], "the same", "others behind another token", "tokens raised"
        )
