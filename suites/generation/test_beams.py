"""Beam search keeps the best hypotheses, best first, rightly scored."""

from __future__ import annotations

import pytest

from fixtures.applicability import (
    applies_to,
    generates,
    generation_sample,
    light,
    lively,
    text_model,
    unless_shown,
)
from fixtures.generating import (
    NEW,
    continued,
    generate,
    logits_tolerance,
    next_logits,
    prompts,
    rules,
    start_of,
)
from fixtures.ids import ordinary_ids
from fixtures.lazy import torch

VARIANTS = {
    "plain": {},
    "long": {"length_penalty": 2.0},
    "short": {"length_penalty": -1.0},
    "early": {"early_stopping": True},
    "never": {"early_stopping": "never"},
    "penalised": {"repetition_penalty": 1.5},
    "without-cache": {"use_cache": False},
    "many-ends": {"early_stopping": "never", "length_penalty": 2.0},
    "many-ends-alike": {"length_penalty": 0.0},
    "many-ends-short": {"early_stopping": True, "length_penalty": -2.0},
    "likely-ends": {"early_stopping": "never", "length_penalty": 2.0},
}
# all at once: what is wrong with one of them in a batch is wrong with a row's score
PROCESSED = {
    "no_repeat_ngram_size": 2,
    "encoder_repetition_penalty": 1.7,
    "encoder_no_repeat_ngram_size": 1,
}


def end_seen(model, checkpoint, prompt):
    """A token that greedy decoding produces third, so that hypotheses end at different steps."""
    free = continued(model, checkpoint, prompt).sequences[0].tolist()
    return free[len(start_of(checkpoint, prompt)) + 2]


def ends_for(variant, model, checkpoint, prompt):
    """The end tokens of a variant: one that is met, a third of all, or the eight likeliest beginnings."""
    if variant.startswith("many-ends"):
        return ordinary_ids(checkpoint)[::3]
    if variant == "likely-ends":
        first = next_logits(model, checkpoint, prompt)(start_of(checkpoint, prompt))
        return first.topk(8).indices.tolist()
    return [end_seen(model, checkpoint, prompt)]


@applies_to(generates, text_model, generation_sample, lively)
@pytest.mark.parametrize("variant", VARIANTS)
def test_beams_equal_textbook(checkpoint, model, dtype, expect, variant):
    """All returned beams and their scores equal a textbook beam search over the same logits."""
    from fixtures.reference.beam_search import BeamRules, beam_search
    from fixtures.reference.sampling import processors_of

    prompt, settings = prompts(checkpoint, 1)[0], VARIANTS[variant]
    end = ends_for(variant, model, checkpoint, prompt)
    beams = {"eos_token_id": end, "num_beams": 3, "num_return_sequences": 3}
    chosen = rules(checkpoint, **beams, **settings)
    out = generate(model, checkpoint, [prompt], **beams, **settings)
    start, penalty = start_of(checkpoint, prompt), settings.get("length_penalty", 1.0)
    found = beam_search(
        next_logits(model, checkpoint, prompt),
        start,
        BeamRules(3, NEW, end, penalty, settings.get("early_stopping", False)),
        processors_of(chosen, len(start)),
    )
    wanted = torch.tensor([one.score for one in found])
    # a score sums up to NEW log-probabilities, each of which moves by at most twice a logit's error
    allowed = 2 * NEW * logits_tolerance(checkpoint, dtype) * max(1.0, NEW**-penalty)
    call, given = "model.generate(torch.tensor([prompt]), **settings)", {"settings": chosen}
    value = out.sequences_scores.cpu()
    expect.close(value, wanted, allowed, f"{call}.sequences_scores", prompt=prompt, **given)
    for ids, one in zip(out.sequences.tolist(), found, strict=True):
        unique = sum(abs(one.score - other.score) <= 2 * allowed for other in found) == 1
        if unique:
            value, wanted = ids[: len(one.ids)], list(one.ids)
            expect.equal(value, wanted, f"{call}.sequences", prompt=prompt, **given)


@applies_to(generates, text_model, generation_sample)
@pytest.mark.parametrize("padding", ["zero", "another"])
def test_beams_are_padded_behind_their_ends(checkpoint, model, expect, padding):
    """What is behind the end of a beam is padding, whichever id that is."""
    prompt = prompts(checkpoint, 1)[0]
    end = end_seen(model, checkpoint, prompt)
    pad = 0 if padding == "zero" else ordinary_ids(checkpoint)[1]
    beams = {"num_beams": 3, "num_return_sequences": 3, "eos_token_id": end, "pad_token_id": pad}
    out = generate(model, checkpoint, [prompt], length_penalty=0.0, **beams)
    start = len(start_of(checkpoint, prompt))
    for row, steps in zip(out.sequences.tolist(), out.beam_indices, strict=True):
        behind = row[start + int((steps >= 0).sum()) :]
        call = (
            "behind the ends in model.generate(torch.tensor([prompt]), length_penalty=0.0, **beams)"
        )
        expect.equal(behind, [pad] * len(behind), call, prompt=prompt, beams=beams)


@applies_to(generates, text_model, unless_shown)
def test_beams_are_sorted_and_different(checkpoint, model, expect):
    """Returned beams are in descending order of score, and no two are the same."""
    prompt = prompts(checkpoint, 1)[0]
    out = generate(
        model, checkpoint, [prompt], num_beams=3, num_return_sequences=3, max_new_tokens=4
    )
    scores = out.sequences_scores.tolist()
    call = "model.generate(torch.tensor([prompt]), num_beams=3, num_return_sequences=3)"
    expect.equal(scores, sorted(scores, reverse=True), f"{call}.sequences_scores", prompt=prompt)
    rows = [tuple(row) for row in out.sequences.tolist()]
    expect.equal(len(set(rows)), 3, f"number of different rows of {call}", prompt=prompt)


@applies_to(generates, text_model, generation_sample)
@pytest.mark.parametrize("way", ["plain", "processed", "early"])
def test_beam_batch_equals_singles(checkpoint, model, dtype, expect, way):
    """Beam search over a batch gives each row the score it gets alone."""
    first = prompts(checkpoint, 1)[0][:5]
    settings = {"plain": {}, "processed": PROCESSED, "early": {"early_stopping": True}}[way]
    if way == "early":  # one row has its beams before the other
        settings["eos_token_id"] = end_seen(model, checkpoint, first)
    free = generate(model, checkpoint, [first], eos_token_id=None).sequences[0].tolist()
    rows = [first, free[-5:]]  # what one row says is what may not be said in the other
    allowed = 2 * NEW * logits_tolerance(checkpoint, dtype)
    both = generate(model, checkpoint, rows, num_beams=2, **settings)
    for row, prompt in enumerate(rows):
        alone = generate(model, checkpoint, [prompt], num_beams=2, **settings)
        expect.close(
            both.sequences_scores[row],
            alone.sequences_scores[0],
            allowed,
            f"model.generate(torch.tensor(rows), num_beams=2, **settings).sequences_scores[{row}]",
            rows=rows,
            settings=settings,
        )


@applies_to(generates, text_model, light)
def test_transition_scores_are_log_probabilities(checkpoint, model, dtype, expect):
    """compute_transition_scores gives the log-probability of each chosen token."""
    prompt = prompts(checkpoint, 1)[0]
    out = generate(model, checkpoint, [prompt])
    value = model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)[0]
    logits, sequence = next_logits(model, checkpoint, prompt), out.sequences[0].tolist()
    start = len(start_of(checkpoint, prompt))
    wanted = [
        logits(sequence[:at]).log_softmax(-1)[sequence[at]] for at in range(start, len(sequence))
    ]
    expect.close(
        value.cpu(),
        torch.stack(wanted),
        2 * logits_tolerance(checkpoint, dtype),
        "model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)",
        prompt=prompt,
    )


@applies_to(generates, text_model, light)
def test_beam_scores_are_their_transition_scores(checkpoint, model, dtype, expect):
    """A beam's score is the sum of its transition scores over its length to the power of the penalty."""
    prompt = prompts(checkpoint, 1)[0]
    out = generate(
        model,
        checkpoint,
        [prompt],
        num_beams=3,
        num_return_sequences=3,
        eos_token_id=end_seen(model, checkpoint, prompt),  # they end at different steps
        length_penalty=0.7,
    )
    steps = model.compute_transition_scores(
        out.sequences, out.scores, out.beam_indices, normalize_logits=False
    )
    wanted = steps.sum(-1) / (out.beam_indices >= 0).sum(-1) ** 0.7
    expect.close(
        out.sequences_scores,
        wanted,
        4 * NEW * logits_tolerance(checkpoint, dtype),
        "model.generate(torch.tensor([prompt]), num_beams=3, length_penalty=0.7).sequences_scores",
        prompt=prompt,
    )
