"""Greedy decoding is the argmax, step by step, and stops where it is told to."""

from __future__ import annotations

import pytest

from fixtures.applicability import (
    applies_to,
    decoder,
    generates,
    generation_sample,
    light,
    options_sample,
    seq2seq,
    text_model,
    unless_shown,
)
from fixtures.generating import (
    NEW,
    continued,
    first_difference,
    generate,
    generate_from,
    is_tie,
    logits_tolerance,
    next_logits,
    prompts,
    rules,
    same_generation,
    start_of,
)
from fixtures.ids import ordinary_ids, pad_id, padded
from fixtures.lazy import torch, transformers
from fixtures.loading import load_model
from fixtures.tolerance import K, eps

SETTINGS = {
    "plain": {},
    "repetition-penalty": {"repetition_penalty": 1.7},
    "no-repeated-pairs": {"no_repeat_ngram_size": 2},
    "min-new-tokens": {"min_new_tokens": 4},
    "without-cache": {"use_cache": False},
    "encoder-repetition-penalty": {"encoder_repetition_penalty": 1.7},
}
HALVED = {
    "greedy": {},
    "sampled": {"do_sample": True, "temperature": 0.7},
    "beams": {"num_beams": 2},
    "drafted": {"prompt_lookup_num_tokens": 2},
}


def same_as_textbook(checkpoint, model, dtype, expect, prompt, **settings):
    """generate's greedy ids equal the step-by-step argmax of processed logits, ties aside."""
    from fixtures.reference.sampling import end_ids, greedy, process, processors_of

    out = generate(model, checkpoint, [prompt], **settings)
    value, start = out.sequences[0].tolist(), start_of(checkpoint, prompt)
    chosen = rules(checkpoint, **settings)
    processors = processors_of(chosen | {"encoder_input_ids": prompt}, len(start))
    logits = next_logits(model, checkpoint, prompt)
    wanted = greedy(logits, start, NEW, end_ids(chosen), processors)
    at = first_difference(value, wanted)
    if at is not None and at < min(len(value), len(wanted)):
        scores = process(wanted[:at], logits(wanted[:at]), processors)
        if is_tie(scores, value[at], wanted[at], logits_tolerance(checkpoint, dtype)):
            return
    expect.equal(
        value,
        wanted,
        "model.generate(torch.tensor([prompt]), **settings)[0].tolist()",
        prompt=prompt,
        settings=chosen,
    )


@applies_to(generates, text_model)
def test_greedy_is_the_argmax(checkpoint, model, dtype, expect, observe):
    """Greedy generation appends the most likely token of each step's whole forward pass."""
    for prompt in prompts(checkpoint, 1 if checkpoint.is_large else 2):
        same_as_textbook(checkpoint, model, dtype, expect, prompt)


@applies_to(generates, text_model, generation_sample)
@pytest.mark.parametrize("setting", list(SETTINGS)[1:])
def test_processed_greedy_is_the_argmax(checkpoint, model, dtype, expect, setting):
    """Each generation setting changes the scores as it is defined, and greedy takes the best of them."""
    for prompt in prompts(checkpoint):
        same_as_textbook(checkpoint, model, dtype, expect, prompt, **SETTINGS[setting])


@applies_to(generates, text_model, generation_sample)
def test_forbidden_and_forced_tokens(checkpoint, model, dtype, expect):
    """A forbidden token never comes, unless it is an end; forced first and last tokens always do."""
    prompt = prompts(checkpoint, 1)[0]
    free = continued(model, checkpoint, prompt).sequences[0].tolist()
    banned, _, end = free[len(start_of(checkpoint, prompt)) :][:3]
    same_as_textbook(checkpoint, model, dtype, expect, prompt, bad_words_ids=[[banned]])
    other = next(i for i in ordinary_ids(checkpoint) if i not in free)
    ended = {"eos_token_id": end, "bad_words_ids": [[end], [other]]}
    same_as_textbook(checkpoint, model, dtype, expect, prompt, **ended)
    several_ends = ended | {"eos_token_id": [end, other + 1 if other + 1 not in free else other]}
    same_as_textbook(checkpoint, model, dtype, expect, prompt, **several_ends)
    forced = ordinary_ids(checkpoint)[3]
    same_as_textbook(checkpoint, model, dtype, expect, prompt, forced_eos_token_id=forced)
    several = [forced, banned] if forced != banned else [forced]
    settings = {"forced_eos_token_id": several, "eos_token_id": None}
    last = generate(model, checkpoint, [prompt], **settings).scores[-1][0]
    value = last.isfinite().nonzero().flatten().tolist()
    call = f"tokens possible at the end of model.generate(ids, forced_eos_token_id={several})"
    expect.equal(value, sorted(several), call, prompt=prompt)


@applies_to(generates, text_model, generation_sample)
def test_suppressed_and_biased_tokens(checkpoint, model, dtype, expect):
    """A suppressed token never comes, or not at first; a biased sequence comes more or less often."""
    prompt = prompts(checkpoint, 1)[0]
    start = len(start_of(checkpoint, prompt))
    free = continued(model, checkpoint, prompt).sequences[0].tolist()
    first, second = free[start : start + 2]
    other = next(i for i in ordinary_ids(checkpoint) if i not in free)
    for settings in (
        {"suppress_tokens": [first, second]},
        {"begin_suppress_tokens": [first]},
        {"bad_words_ids": [[first, second], [other]]},
        {"sequence_bias": [[[first, second], -1e4], [[other], 0.5]]},
        {"sequence_bias": [[[first, other], 1e4], [[first, other, second], 2e4]]},
        {"sequence_bias": [[[other, first, second], -1e4]]},  # which does not begin here
    ):
        same_as_textbook(checkpoint, model, dtype, expect, prompt, eos_token_id=None, **settings)


@applies_to(generates, text_model, generation_sample)
@pytest.mark.parametrize("setting", ["min_length", "min_new_tokens"])
def test_no_end_before_the_minimum(checkpoint, model, dtype, expect, setting):
    """The end token cannot come before the least number of tokens, and can come right after."""
    prompt = prompts(checkpoint, 1)[0]
    start = len(start_of(checkpoint, prompt))
    free = continued(model, checkpoint, prompt).sequences[0].tolist()
    other = next(i for i in ordinary_ids(checkpoint) if i not in free)
    for least in (2, 3):  # an end token would come as the third new token
        count = least + start if setting == "min_length" else least
        same_as_textbook(
            checkpoint,
            model,
            dtype,
            expect,
            prompt,
            eos_token_id=[other, free[start + 2]],
            **{setting: count},
        )


@applies_to(seq2seq, light)
def test_forced_first_token(checkpoint, model, dtype, expect):
    """forced_bos_token_id is the first token after the decoder's start, and generation begins behind it."""
    prompt, forced = prompts(checkpoint, 1)[0], ordinary_ids(checkpoint)[5]
    settings = {"forced_bos_token_id": forced, "eos_token_id": None}
    same_as_textbook(checkpoint, model, dtype, expect, prompt, **settings)
    second = int(generate(model, checkpoint, [prompt], **settings).sequences[0, 2])
    settings["begin_suppress_tokens"] = [second]
    ids = generate(model, checkpoint, [prompt], **settings).sequences[0].tolist()
    call = f"model.generate(torch.tensor([prompt]), **{settings})[0]"
    expect.equal(ids[1], forced, f"{call}[1]", prompt=prompt)
    expect.true(ids[2] != second, ids[2], f"another token than {second}", call, prompt=prompt)


@applies_to(generates, text_model)
def test_scores_are_the_logits(checkpoint, model, dtype, expect):
    """output_logits are the whole forward pass's logits at each step, one entry per new token."""
    prompt = prompts(checkpoint, 1)[0]
    out = generate(model, checkpoint, [prompt])
    sequence, start = out.sequences[0].tolist(), len(start_of(checkpoint, prompt))
    call = "model.generate(torch.tensor([prompt]), output_logits=True, return_dict_in_generate=True).logits"
    expect.equal(len(out.logits), len(sequence) - start, f"len({call})", prompt=prompt)
    logits, allowed = next_logits(model, checkpoint, prompt), logits_tolerance(checkpoint, dtype)
    for step, scores in enumerate(out.logits):
        wanted = logits(sequence[: start + step])
        expect.close(scores[0].float(), wanted, allowed, f"{call}[{step}][0]", prompt=prompt)


@applies_to(generates, text_model, unless_shown)
def test_stops_at_the_end_token(checkpoint, model, expect):
    """Generation ends with the first end-of-sequence token; a finished row is filled with padding."""
    rows = [row[:5] for row in prompts(checkpoint, 2)]
    free = generate(model, checkpoint, rows, eos_token_id=None).sequences
    start = len(start_of(checkpoint, rows[0]))
    end = int(free[0, start + 2])
    stopped = generate(model, checkpoint, rows, eos_token_id=end).sequences
    stops = []
    for whole in free.tolist():
        stops.append(next((i for i in range(start, len(whole)) if whole[i] == end), len(whole) - 1))
    call = f"model.generate(torch.tensor(rows), eos_token_id={end})"
    expect.equal(stopped.shape[1], max(stops) + 1, f"{call}.shape[1]", rows=rows)
    for row, stop in enumerate(stops):
        whole = free[row].tolist()
        wanted = whole[: stop + 1] + [pad_id(checkpoint)] * len(whole)
        expect.equal(
            stopped[row].tolist(),
            wanted[: stopped.shape[1]],
            f"{call}[{row}]",
            rows=rows,
        )


@applies_to(decoder, generates, generation_sample)
def test_ends_of_the_prompt_end_nothing(checkpoint, model, dtype, expect):
    """What the prompt holds of end tokens, last or before, ends nothing."""
    prompt = prompts(checkpoint, 1)[0]
    said = continued(model, checkpoint, prompt).sequences[0, len(prompt) :].tolist()
    ends = [i for i in prompt if i not in said]
    same_as_textbook(checkpoint, model, dtype, expect, prompt, eos_token_id=ends)


@applies_to(generates, text_model, options_sample, light)
@pytest.mark.parametrize("way", HALVED)
def test_half_precision_scores_are_not_rounded(checkpoint, device, expect, way):
    """What a model in bfloat16 says is processed and chosen from in float32."""
    model = load_model(checkpoint, "eager", "bfloat16", device)
    prompt, settings = prompts(checkpoint, 1)[0], HALVED[way] | {"repetition_penalty": 1.7}
    out = generate(model, checkpoint, [prompt], eos_token_id=None, **settings)
    found = sorted({str(scores.dtype) for scores in out.scores})
    call = f"dtypes of model.to(torch.bfloat16).generate(ids, **{settings}).scores"
    expect.equal(found, ["torch.float32"], call, prompt=prompt)


@applies_to(generates, text_model, unless_shown)
def test_generates_as_many_as_asked(checkpoint, model, expect):
    """Without an end token, max_new_tokens tokens are added, or else max_length counts the prompt."""
    prompt = prompts(checkpoint, 1)[0]
    start = len(start_of(checkpoint, prompt))
    for new, longest, wanted in ((3, None, 3), (None, start + 2, 2), (3, start + 2, 3)):
        settings = {"max_new_tokens": new, "max_length": longest, "eos_token_id": None}
        out = generate(model, checkpoint, [prompt], **settings)
        call = f"model.generate(ids, **{settings}).shape"
        expect.equal(list(out.sequences.shape), [1, start + wanted], call, prompt=prompt)


@applies_to(decoder, generates, unless_shown)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_left_padded_batch_equals_singles(checkpoint, device, dtype, expect, attention):
    """Prompts of different lengths, padded on the left, continue as each does alone."""
    model = load_model(checkpoint, attention, dtype, device)
    rows = prompts(checkpoint, 2)
    batched = padded(rows, pad_id(checkpoint), "left")
    out = generate_from(model, checkpoint, batched)
    for row, prompt in enumerate(rows):
        alone = generate(model, checkpoint, [prompt])
        same_generation(expect, out, row, alone, dtype, "model.generate(**padded)", padded=batched)


@applies_to(decoder, generates, generation_sample)
def test_padding_is_not_repeated(checkpoint, model, dtype, expect):
    """A repetition penalty falls on the tokens of a prompt, not on the padding before it."""
    rows, penalty = prompts(checkpoint, 2), 1.7
    batched = padded(rows, pad_id(checkpoint), "left")
    settings = {"repetition_penalty": penalty, "eos_token_id": None, "max_new_tokens": 1}
    out = generate_from(model, checkpoint, batched, **settings)
    allowed = 2 * penalty * logits_tolerance(checkpoint, dtype)
    for row, prompt in enumerate(rows):
        alone = generate(model, checkpoint, [prompt], **settings).scores[0][0]
        call = f"model.generate(**padded, **{settings}).scores[0][{row}]"
        expect.close(out.scores[0][row], alone, allowed, call, padded=batched)


@applies_to(generates, text_model, light)
def test_generate_twice_is_the_same(checkpoint, model, expect):
    """Greedy generation has no memory: a second call gives the same ids."""
    prompt = prompts(checkpoint, 1)[0]
    first = generate(model, checkpoint, [prompt]).sequences
    generate(model, checkpoint, prompts(checkpoint, 3)[2:])
    second = generate(model, checkpoint, [prompt]).sequences
    expect.equal(
        second, first, "model.generate(torch.tensor([prompt])), the second time", prompt=prompt
    )


@applies_to(generates, text_model, light)
def test_stopping_criteria_and_prefixes(checkpoint, model, expect):
    """A stopping criterion of the caller ends generation; a processor and a prefix function bound it."""
    from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

    class AfterTwo(StoppingCriteria):
        def __call__(self, input_ids, scores, **options):
            return torch.full((len(input_ids),), input_ids.shape[1] >= start + 2)

    prompt = prompts(checkpoint, 1)[0]
    start = len(start_of(checkpoint, prompt))

    def continued(**options):
        return generate(model, checkpoint, [prompt], eos_token_id=None, **options).sequences[0]

    ids = continued(stopping_criteria=StoppingCriteriaList([AfterTwo()]))
    call = "model.generate(..., stopping_criteria=after two tokens).shape[1]"
    expect.equal(len(ids), start + 2, call, prompt=prompt)
    wanted, *allowed = ordinary_ids(checkpoint)[7:3:-1]
    only = torch.tensor([wanted])
    ids = continued(
        logits_processor=LogitsProcessorList(
            [lambda ids, scores: torch.full_like(scores, -1e4).index_fill(1, only, 0.0)]
        )
    )
    call = f"model.generate(..., logits_processor=nothing but {wanted})[0, {start}:]"
    expect.equal(set(ids[start:].tolist()), {wanted}, call, prompt=prompt)
    value = set(continued(prefix_allowed_tokens_fn=lambda row, ids: allowed)[start:].tolist())
    call = f"model.generate(..., prefix_allowed_tokens_fn=lambda row, ids: {allowed})"
    expect.true(value <= set(allowed), sorted(value), f"only {allowed}", call, prompt=prompt)


@applies_to(generates, text_model, options_sample, light)
def test_the_callers_own_replaces_the_settings(checkpoint, model, expect):
    """A processor or stopping criterion of the caller stands in for one of its kind that the settings ask for."""
    from fixtures.reference.sampling import repetition_penalty

    prompt = prompts(checkpoint, 1)[0]
    start = len(start_of(checkpoint, prompt))
    own = {
        "logits_processor": [transformers.RepetitionPenaltyLogitsProcessor(3.0)],
        "stopping_criteria": [transformers.MaxLengthCriteria(start + 5)],
    }
    settings = {"repetition_penalty": 1.5, "max_new_tokens": 3, "eos_token_id": None}
    out = generate(model, checkpoint, [prompt], **settings, **own)
    call = f"model.generate(ids, **{settings}, a penalty of 3, a length of {start} + 5)"
    expect.equal(out.sequences.shape[1], start + 5, f"{call}.shape[1]", prompt=prompt)
    ids, logits = out.sequences[0].tolist(), [step[0].float().cpu() for step in out.logits]
    for step, value in enumerate(out.scores):
        wanted = repetition_penalty(3.0)(ids[: start + step], logits[step])
        allowed = K * eps("float32") * float(wanted.abs().max())
        expect.close(value[0], wanted, allowed, f"{call}.scores[{step}]", prompt=prompt)


@applies_to(generates, text_model, light)
def test_streamer_sees_what_is_generated(checkpoint, model, expect):
    """A streamer is given the prompt and every generated token, in order."""

    class Collect:
        def __init__(self):
            self.ids = []

        def put(self, value):
            self.ids += value.flatten().tolist()

        def end(self):
            self.ids.append("end")

    prompt, streamer = prompts(checkpoint, 1)[0], Collect()
    out = generate(model, checkpoint, [prompt], streamer=streamer)
    expect.equal(
        streamer.ids,
        [*out.sequences[0].tolist(), "end"],
        "what model.generate(..., streamer) streams",
        prompt=prompt,
    )


@applies_to(generates, text_model, light)
def test_several_end_tokens(checkpoint, model, expect):
    """Each of several end-of-sequence ids ends a row, which the first fills where there is no padding."""
    rows = [row[:5] for row in prompts(checkpoint, 2)]
    start = len(start_of(checkpoint, rows[0]))
    free = generate(model, checkpoint, rows, eos_token_id=None).sequences.tolist()
    ends = [free[0][start + 3], free[0][start + 1]]
    settings = {"eos_token_id": ends, "pad_token_id": None}
    value = generate(model, checkpoint, rows, **settings).sequences.tolist()
    wanted = []
    for row in free:
        stop = next((i for i in range(start, len(row)) if row[i] in ends), len(row) - 1)
        wanted.append(row[: stop + 1] + ends[:1] * (len(row) - stop - 1))
    longest = len(value[0])
    call = f"model.generate(torch.tensor(rows), **{settings})"
    expect.equal(value, [row[:longest] for row in wanted], call, rows=rows)
