"""Faults of assisted decoding and of beams: in what is accepted or kept, and in what is returned of it."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

ACCEPT = "generation.utils:_speculative_sampling"
DECODE = "generation.utils:GenerationMixin._assisted_decoding"

FAULTS = [
    Fault(
        "positions-of-other-tokens",
        "A helper of another tokenizer is given the positions of the model's tokens.",
        edit(
            "generation.candidate_generator:AssistedCandidateGeneratorDifferentTokenizers.get_candidates",
            ('self.assistant_kwargs.pop("position_ids", None)', ""),
        ),
        ("test_drafts_in_other_tokens_change_nothing",),
        "gpt2-counting",
    ),
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
        "rejected-drafts-of-the-place-before",
        "What a rejected token is drawn from is made with the draft's distribution of the place before.",
        edit(ACCEPT, ("q_n_plus_1 = q[:, n_matches, :]", "q_n_plus_1 = q[:, n_matches - 1, :]")),
        ("test_drafted_samples_follow_the_model",),
        "gpt2-counting",
    ),
    Fault(
        "token-behind-a-draft-of-the-place-before",
        "The token behind a draft accepted as a whole is drawn from the distribution before its last.",
        edit(
            ACCEPT,
            ("p_n_plus_1 = p[:, n_matches, :]", "p_n_plus_1 = p[:, max(n_matches - 1, 0), :]"),
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
    Fault(
        "ends-of-any-rank-kept",
        "Beam search keeps every ended candidate, not only those among the best.",
        edit(
            "generation.utils:GenerationMixin._update_finished_beams",
            (" & top_num_beam_mask[None, :]", ""),
        ),
        ("test_beams_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "padding-has-a-transition",
        "compute_transition_scores scores what is behind the end of a beam.",
        edit(
            "generation.utils:GenerationMixin.compute_transition_scores",
            ("transition_scores[beam_indices_mask] = 0", "pass"),
        ),
        ("test_beam_scores_are_their_transition_scores",),
        "gpt2-counting",
    ),
    Fault(
        "beams-rewarded-for-another-input",
        "With beams, each row is rewarded for the next row's input.",
        edit(
            "generation.logits_process:EncoderRepetitionPenaltyLogitsProcessor.__call__",
            (
                "repeat_interleave(scores.shape[0] // self.encoder_input_ids.shape[0], dim=0)",
                "repeat(scores.shape[0] // self.encoder_input_ids.shape[0], 1)",
            ),
        ),
        ("test_beam_batch_equals_singles",),
        "gpt2-random",
    ),
    Fault(
        "states-of-the-prompt-cut",
        "Of the prompt, drafted decoding returns the hidden states of all places but the last.",
        edit(
            "generation.utils:_split_model_outputs",
            (
                "(layer[..., :cur_len, :last_dim_size],)",
                "(layer[..., : cur_len - 1, :last_dim_size],)",
            ),
        ),
        ("test_drafted_states_are_the_plain_ones",),
        "gpt2-counting",
    ),
    Fault(
        "drafter-is-weighed-as-the-model",
        "The weight of the model is the drafter's, and the other way round.",
        edit(
            DECODE,
            (
                "assistant_ensemble_weight * p_probs + (1.0 - assistant_ensemble_weight) * q_probs",
                "assistant_ensemble_weight * q_probs + (1.0 - assistant_ensemble_weight) * p_probs",
            ),
        ),
        ("test_drafts_are_weighed_as_told",),
        "gpt2-counting",
    ),
    Fault(
        "drafted-tokens-attend-less-far",
        "Of tokens accepted together, all but the first return attentions that are cut.",
        edit(
            "generation.utils:_split_model_outputs",
            ("last_dim_size = cur_len + i if", "last_dim_size = cur_len if"),
        ),
        ("test_drafted_tokens_attend_as_far",),
        "gpt2-counting",
    ),
]
