"""Whatever the logits and however short the text, each setting reshapes the scores of every row as it is defined."""

from __future__ import annotations

import math

import pytest

from fixtures.applicability import applies_to, generates, light, options_sample, text_model
from fixtures.generating import generate_from, rules
from fixtures.ids import ordinary_ids
from fixtures.lazy import torch
from fixtures.tolerance import K, eps

LENGTHS = (1, 2, 5)  # of the text that is gone on from
STEPS = 4
LIKELY = 8  # tokens; the text is of the first three of them
FORBIDDING = {
    "repetition-penalty": {"repetition_penalty": 1.7},
    "repetition-reward": {"repetition_penalty": 0.6},
    "no-repeated-tokens": {"no_repeat_ngram_size": 1},
    "no-repeated-pairs": {"no_repeat_ngram_size": 2},
    "no-repeated-triples": {"no_repeat_ngram_size": 3},
    "encoder-repetition-penalty": {"encoder_repetition_penalty": 1.7},
    "no-tokens-of-the-input": {"encoder_no_repeat_ngram_size": 1},
    "no-pairs-of-the-input": {"encoder_no_repeat_ngram_size": 2},
    "bad-words": {"bad_words_ids": "words"},
    "biases": {"sequence_bias": "biases"},
    "suppressed": {"suppress_tokens": "words of one", "begin_suppress_tokens": "text"},
    "minimum": {"min_new_tokens": 2, "eos_token_id": "likely"},
    "last-token": {"forced_eos_token_id": "likely"},
    "decay": {"exponential_decay_length_penalty": (1, 1.5), "eos_token_id": "likely"},
}
RESHAPING = {
    "temperature": {"temperature": 0.6},
    "top-h": {"top_h": 0.6},
    "top-k": {"top_k": 4},
    "top-p": {"top_p": 0.8},
    "min-p": {"min_p": 0.1},
    "typical-p": {"typical_p": 0.6},
    "epsilon-cutoff": {"epsilon_cutoff": 0.05},
    "eta-cutoff": {"eta_cutoff": 0.1},
    "renormalised": {"top_k": 5, "renormalize_logits": True},
    "all": {"temperature": 2.5, "top_k": 6, "top_p": 0.8, "repetition_penalty": 1.3},
}
SETTINGS = FORBIDDING | {
    name: {"do_sample": True, "top_k": 0, **chosen} for name, chosen in RESHAPING.items()
}


def meant(name, tokens):
    """What a word in the table stands for, of the likely tokens."""
    one, two, three, other, end, *_ = tokens
    return {
        "text": [one, two],
        "likely": end,
        "words of one": [three, other],
        # first one longer than any text here: the others are still to be looked at
        "words": [[one] * 12, [one, two], [three], [two, one, one], [two, two], [three, one]],
        # of one token, of two and of three, in and beyond the text
        "biases": [
            [[two] * 12, 1.0],
            [[one], -2.5],
            [[one, two], 4.0],
            [[two, one], 3.0],
            [[three, three], -6.0],
            [[one, one, two], 5.0],
            [[other, one], 2.0],
        ],
    }[name]


def given(checkpoint, tokens, length):
    """(inputs, what each row's encoder reads): three texts of few tokens, so that most is said twice."""
    draw = torch.Generator().manual_seed(length)
    texts = torch.tensor(tokens[:3])[torch.randint(3, (3, 8), generator=draw)]
    begun = texts[:, -length:]
    if checkpoint.kind == "decoder":
        return {"input_ids": begun, "attention_mask": torch.ones_like(begun)}, begun.tolist()
    begun[:, 0] = rules(checkpoint)["decoder_start_token_id"]
    inputs = {"input_ids": texts[:, :5], "attention_mask": torch.ones_like(texts[:, :5])}
    return inputs | {"decoder_input_ids": begun}, texts[:, :5].tolist()


def drawing(model, tokens, seed):
    """Let a model's logits be drawn, those of a few tokens around zero, all others out of reach."""
    draw = torch.Generator().manual_seed(seed)

    def drawn(module, read, logits):
        some = torch.randn((*logits.shape[:-1], len(tokens)), generator=draw) * 2
        logits = torch.full_like(logits, -40.0)
        logits[..., tokens] = some.to(logits)
        return logits

    return model.get_output_embeddings().register_forward_hook(drawn)


@applies_to(generates, text_model, options_sample, light)
@pytest.mark.parametrize("setting", SETTINGS)
def test_scores_equal_textbook(checkpoint, model, expect, setting):
    """At each step, the scores chosen from are the logits of the row as the settings reshape them."""
    from fixtures.reference.sampling import process, processors_of

    tokens = ordinary_ids(checkpoint)[2 : 2 + LIKELY]
    chosen = {
        name: meant(value, tokens) if isinstance(value, str) else value
        for name, value in SETTINGS[setting].items()
    }
    settings = {"max_new_tokens": STEPS, "eos_token_id": None} | chosen
    for length in LENGTHS:
        inputs, read = given(checkpoint, tokens, length)
        hook = drawing(model, tokens, seed=length)
        torch.manual_seed(0)
        try:
            out = generate_from(model, checkpoint, inputs, **settings)
        finally:
            hook.remove()
        call = f"model.generate(**inputs, **{settings}), logits drawn at random"
        for row, ids in enumerate(out.sequences.tolist()):
            rule = rules(checkpoint, **settings) | {"encoder_input_ids": read[row]}
            processors = processors_of(rule, length)
            for step, (value, logits) in enumerate(zip(out.scores, out.logits, strict=True)):
                so_far = ids[: length + step]
                wanted = process(so_far, logits[row].double().cpu(), processors)
                # a few roundings of numbers as large as what is out of reach, and of a sum of them all
                allowed = K * eps("float32") * (40 * 2 + math.log(len(wanted)))
                place = f"{call}.scores[{step}][{row}]"
                expect.close(value[row].double(), wanted, allowed, place, ids=so_far)
