"""Generation in every mode a user asks for."""

from __future__ import annotations

from fixtures.applicability import applies_to, generates, light, tokenizer
from fixtures.ids import batch, pad_id
from fixtures.lazy import torch
from fixtures.observe import source
from fixtures.oracle import tolerances

MODES = {
    "greedy": {"do_sample": False, "num_beams": 1},
    "beams": {"do_sample": False, "num_beams": 3},
    "beams, all returned": {"do_sample": False, "num_beams": 3, "num_return_sequences": 3},
    "beams, length penalty": {
        "do_sample": False,
        "num_beams": 3,
        "length_penalty": 2.0,
        "early_stopping": True,
    },
    "repetition penalty": {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.5},
    "no repeated pairs": {"do_sample": False, "num_beams": 1, "no_repeat_ngram_size": 2},
    "at least six": {"do_sample": False, "num_beams": 1, "min_new_tokens": 6},
    "without cache": {"do_sample": False, "num_beams": 1, "use_cache": False},
    "sampled": {"do_sample": True, "num_beams": 1, "top_k": 0, "temperature": 0.8},
    "sampled, top k": {"do_sample": True, "num_beams": 1, "top_k": 5},
    "sampled, top p": {"do_sample": True, "num_beams": 1, "top_k": 0, "top_p": 0.7},
    "sampled beams": {"do_sample": True, "num_beams": 2},
    "contrastive": {"do_sample": False, "penalty_alpha": 0.6, "top_k": 4},
    "diverse beams": {
        "do_sample": False,
        "num_beams": 4,
        "num_beam_groups": 2,
        "diversity_penalty": 1.0,
    },
    "static cache": {"do_sample": False, "num_beams": 1, "cache_implementation": "static"},
}
GENERATE = (
    "inputs = tokenizer({{input!r}}, return_tensors='pt')\n"
    "inputs.pop('token_type_ids', None)\n"
    "tokenizer.decode(model.generate({})[0], skip_special_tokens=True)"
)
# Ten log-probabilities, each off by twice the error of logits, by a length of one at the least.
SUMMED = 20
PROMPTS = ("The capital of France is", "one two three", "Hello", " leading space")
# A large model's step costs as much as a tiny one's text: the modes and prompts it is asked for.
FEW_MODES = ("greedy", "beams", "repetition penalty", "sampled, top p")
FEW_PROMPTS = PROMPTS[::3]


@applies_to(generates)
def test_generation_modes(checkpoint, model, observe):
    """Ids generated from fixed prompts in every mode, with their scores."""
    given = batch(checkpoint, [9, 9] if checkpoint.kind == "encoder-decoder" else [9], seed=71)
    inputs = {n: given[n] for n in ("input_ids", "attention_mask")}
    allowed = tolerances(checkpoint, given).get("logits")
    for mode in MODES if light(checkpoint) else FEW_MODES:
        best = []

        def generated(options=MODES[mode], best=best):
            torch.manual_seed(0)
            out = model.generate(
                **inputs,
                max_new_tokens=10,
                pad_token_id=pad_id(checkpoint),
                output_scores=True,
                return_dict_in_generate=True,
                **options,
            )
            best.append(out.get("sequences_scores"))
            return as_generated(out)

        options = {"max_new_tokens": 10, "pad_token_id": pad_id(checkpoint), **MODES[mode]}
        observe.attempt(
            f"generation/{mode}",
            generated,
            group="generation",
            tolerance=allowed,
            reproduce=source(f"model.generate(**inputs, **{options})", {"inputs": inputs}, ""),
        )
        if best and best[0] is not None:
            told = {**options, "output_scores": True, "return_dict_in_generate": True}
            observe(
                f"generation/{mode}/scores of beams",
                best[0],
                group="generation",
                tolerance=allowed and SUMMED * allowed,
                reproduce=source(
                    f"model.generate(**inputs, **{told}).sequences_scores", {"inputs": inputs}, ""
                ),
            )


def as_generated(out):
    """All ids, with the gap between the two best scores at each step of every row (of beams, none)."""
    rows, scores = len(out.sequences), torch.stack(list(out.scores)).float()
    best = scores.topk(2).values
    gaps = (best[..., 0] - best[..., 1]).T.tolist()
    front = out.sequences.shape[1] - len(scores)
    known = len(gaps) == rows or rows == 1
    return {
        "type": "ids",
        "data": [int(i) for i in out.sequences.flatten()],
        "gaps": [gap for row in gaps[:rows] for gap in [1e9] * front + row]
        if known and front >= 0
        else None,
    }


@applies_to(generates, tokenizer)
def test_generated_text(checkpoint, tokenizer, model, observe):
    """From a prompt to text, with the defaults left alone and with greedy decoding."""
    for prompt in PROMPTS if light(checkpoint) else FEW_PROMPTS:

        def text(prompt=prompt, **options):
            torch.manual_seed(0)
            inputs = tokenizer(prompt, return_tensors="pt")
            inputs.pop("token_type_ids", None)
            return tokenizer.decode(
                model.generate(**inputs, **options)[0], skip_special_tokens=True
            )

        observe.attempt(
            "generation/text, greedy",
            lambda p=prompt: text(p, max_new_tokens=12, do_sample=False, num_beams=1),
            input=prompt,
            group="generation",
            reproduce=GENERATE.format("**inputs, max_new_tokens=12, do_sample=False, num_beams=1"),
        )
        observe.attempt(
            "generation/text, defaults",
            lambda p=prompt: text(p),
            input=prompt,
            group="generation",
            reproduce=GENERATE.format("**inputs"),
        )
