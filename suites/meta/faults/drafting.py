"""Faults of assisted decoding: in what is accepted of a draft, and in what is returned of it."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

ACCEPT = "generation.utils:_speculative_sampling"
DECODE = "generation.utils:GenerationMixin._assisted_decoding"

FAULTS = [
    Fault(
        "acceptance-inverted",
        "A drafted token is accepted by the draft's probability over the model's.",
        edit(ACCEPT, ("probability_ratio = p_i / q_i", "probability_ratio = q_i / p_i")),
        ("test_drafted_samples_follow_the_model",),
        "gpt2-counting",
    ),
    Fault(
        "rejected-drafts-drawn-again",
        "In place of a rejected token one is drawn as if nothing had been drafted.",
        edit(
            ACCEPT,
            (
                "torch.clamp((p_n_plus_1 - q_n_plus_1), min=0)",
                "p_n_plus_1.clone()",
            ),
        ),
        ("test_drafted_samples_follow_the_model",),
        "gpt2-counting",
    ),
    Fault(
        "looked-up-drafts-sharpened",
        "Beside a draft from the prompt, tokens are drawn at a quarter of the temperature.",
        edit(
            DECODE,
            ("probs = new_logits.softmax(dim=-1)", "probs = (new_logits * 4).softmax(dim=-1)"),
        ),
        ("test_drafted_samples_follow_the_model",),
        "gpt2-counting",
    ),
    Fault(
        "processors-see-no-draft",
        "Logits processors are shown the text before the draft at each drafted token.",
        edit(
            DECODE, ("candidate_input_ids[:, : cur_len + i], new_logits", "input_ids, new_logits")
        ),
        ("test_drafting_obeys_the_settings",),
        "gpt2-counting",
    ),
    Fault(
        "drafts-run-past-the-end",
        "One token behind a drafted end token is kept.",
        edit(DECODE, ("eos_positions[0].item() + 1", "eos_positions[0].item() + 2")),
        ("test_drafting_obeys_the_settings",),
        "gpt2-counting",
    ),
    Fault(
        "drafts-know-one-end",
        "Drafts are cut at the first of several end tokens only.",
        edit(
            DECODE,
            ("eos_token_id.to(valid_tokens.device)", "eos_token_id[:1].to(valid_tokens.device)"),
        ),
        ("test_drafting_obeys_the_settings",),
        "gpt2-counting",
    ),
    Fault(
        "drafted-logits-processed",
        "The raw logits of assisted decoding are the processed scores.",
        edit(DECODE, ("tuple(next_token_logits[:, i, :]", "tuple(new_logits[:, i, :]")),
        ("test_drafting_obeys_the_settings",),
        "gpt2-counting",
    ),
]
