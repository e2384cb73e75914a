"""Sampling draws from the distribution its settings define, reproducibly under a seed."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from fixtures.applicability import (
    applies_to,
    decoder,
    generates,
    generation_sample,
    light,
    options_sample,
    text_model,
)
from fixtures.generating import generate, logits_tolerance, next_logits, prompts, start_of
from fixtures.ids import ordinary_ids
from fixtures.lazy import torch, transformers

ROWS = 2000
ALARM = 1e-9  # chance of a false alarm of a distribution check


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
    prompt, other = prompts(checkpoint, 1)[0], prompts(checkpoint, 1, seed=82)[0]
    green = []
    for row in (prompt, [*other[:-1], prompt[-1]], [*prompt[:-1], other[-2]]):
        config = transformers.WatermarkingConfig(greenlist_ratio=0.25, bias=2.0, context_width=1)
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


@applies_to(decoder, generates, options_sample, light)
def test_watermark_looks_back_as_told(checkpoint, model, expect):
    """By the scheme "selfhash", context_width - 1 tokens before a token choose whether it is raised (ibidem, alg. 3)."""
    prompt, tokens = prompts(checkpoint, 1)[0][:4], ordinary_ids(checkpoint)[:12]
    # the smallest of their hashes decides: some last token leaves it to the one before
    ends = [(second, last) for last in tokens[:4] for second in tokens[4:10]]
    rows = [[*prompt, third, *end] for third in tokens[10:] for end in ends]
    config = {"bias": 2.0, "context_width": 3, "seeding_scheme": "selfhash"}
    watermark = transformers.WatermarkingConfig(**config)
    settings = {"watermarking_config": watermark, "max_new_tokens": 1, "eos_token_id": None}

    def alike(module, read, logits):
        return torch.linspace(-1, 1, logits.shape[-1]).to(logits).expand_as(logits)

    hook = model.get_output_embeddings().register_forward_hook(alike)
    try:
        out = generate(model, checkpoint, rows, **settings)
    finally:
        hook.remove()
    raised = (out.scores[0] - out.logits[0]) > 1
    first, second = raised[: len(ends)], raised[len(ends) :]
    call = f"tokens raised by WatermarkingConfig(**{config})"
    expect.equal(second, first, f"{call}, the token three back replaced", rows=rows)
    same = all(bool((each == each[:1]).all()) for each in first.split(6))
    expect.true(not same, "the same", "others for another token two back", call, rows=rows)
