"""Faults in what becomes of the inputs that generate is given."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

GENERATE = "generation.utils:GenerationMixin."
PREFILL = f"{GENERATE}_prefill"
EXPAND = f"{GENERATE}_expand_inputs_for_generation"
BEGIN = f"{GENERATE}_prepare_decoder_input_ids_for_generation"
PREPARE = f"{GENERATE}prepare_inputs_for_generation"
REPEATED = "dict_to_expand[key] = dict_to_expand[key].repeat_interleave(expand_size, dim=0)"

FAULTS = [
    Fault(
        "chunks-count-from-zero",
        "Each chunk of a prompt is read at the first positions.",
        edit(
            PREFILL,
            (
                "position_ids[..., past_length:current_length]",
                "position_ids[..., : input_chunk.shape[-1]]",
            ),
        ),
        ("test_padded_prompts_are_read_in_place",),
        "gpt2-counting",
    ),
    Fault(
        "chunks-masked-like-the-first",
        "Each chunk of a prompt is masked as the first one is.",
        edit(
            PREFILL,
            ("attention_mask[:, :current_length]", "attention_mask[:, : input_chunk.shape[-1]]"),
        ),
        ("test_padded_prompts_are_read_in_place",),
        "llama-chat",
    ),
    Fault(
        "masks-repeated-in-turns",
        "For several sequences of each row, masks are tiled and ids are repeated.",
        edit(
            EXPAND,
            (
                REPEATED,
                REPEATED.replace(
                    "_interleave(expand_size, dim=0)",
                    "(expand_size, *[1] * (dict_to_expand[key].dim() - 1))",
                ),
            ),
        ),
        ("test_padded_prompts_are_read_in_place",),
        "llama-chat",
    ),
    Fault(
        "positions-repeated-in-turns",
        "For several sequences of each row, positions are tiled and ids are repeated.",
        edit(
            EXPAND,
            (
                "position_ids.repeat_interleave(expand_size, dim=batch_dim)",
                "position_ids.repeat(expand_size, 1)",
            ),
        ),
        ("test_padded_prompts_are_read_in_place",),
        "gpt2-counting",
    ),
    Fault(
        "types-of-tokens-unread",
        "generate does not hand token types on.",
        edit(PREPARE, ("model_inputs[token_type_key] = token_type", "pass")),
        ("test_types_of_tokens_are_read",),
        "gpt2-counting",
    ),
    Fault(
        "new-tokens-of-type-zero",
        "New tokens have the type 0.",
        edit(
            f"{GENERATE}_update_model_kwargs_for_generation",
            (
                "token_type_ids[:, -num_new_tokens:]",
                "torch.zeros_like(token_type_ids[:, -num_new_tokens:])",
            ),
        ),
        ("test_types_of_tokens_are_read",),
        "gpt2-counting",
    ),
    Fault(
        "encoder-states-computed-anew",
        "Encoder outputs given to generate are not looked at where there are ids to encode.",
        edit(
            f"{GENERATE}_maybe_prepare_encoder_kwargs_for_generation",
            ('model_kwargs.get("encoder_outputs") is None:', "True:"),
        ),
        ("test_padded_inputs_are_read_in_place",),
        "bart-random",
    ),
    Fault(
        "embedded-inputs-backwards",
        "An encoder's embeddings given to generate are read last to first.",
        edit(
            f"{GENERATE}_prepare_text_encoder_decoder_kwargs_for_generation",
            (
                "encoder_kwargs[model_input_name] = inputs_tensor",
                "encoder_kwargs[model_input_name] = inputs_tensor.flip(1) if inputs_tensor.dim() == 3 else inputs_tensor",
            ),
        ),
        ("test_padded_inputs_are_read_in_place",),
        "t5-reverse",
    ),
    Fault(
        "decoder-mask-dropped",
        "generate does not hand a decoder's mask on.",
        edit(
            PREPARE,
            (
                'kwargs.pop("decoder_attention_mask", None) if',
                'kwargs.pop("decoder_attention_mask", None) and None if',
            ),
        ),
        ("test_decoder_prompts_are_read",),
        "t5-reverse",
    ),
    Fault(
        "start-token-masked",
        "The start token put before a decoder's prompt is masked.",
        edit(
            BEGIN,
            (
                "torch.ones_like(decoder_attention_mask)[:, :1]",
                "torch.zeros_like(decoder_attention_mask)[:, :1]",
            ),
        ),
        ("test_decoder_prompts_are_read",),
        "bart-random",
    ),
    Fault(
        "start-token-not-added",
        "A decoder's prompt is read without the start token.",
        edit(
            BEGIN,
            (
                "elif (decoder_input_ids[:, 0] != decoder_start_token_id[:, 0]).all().item():",
                "elif False:",
            ),
        ),
        ("test_decoder_prompts_are_read",),
        "mbart-random",
    ),
    Fault(
        "one-start-for-all",
        "Of start tokens given for each row, the first is everybody's.",
        edit(
            BEGIN,
            (
                "decoder_start_token_id = decoder_start_token_id.view(-1, 1)",
                "decoder_start_token_id = decoder_start_token_id[:1].expand(batch_size).view(-1, 1)",
            ),
        ),
        ("test_decoder_prompts_are_read",),
        "t5-reverse",
    ),
    Fault(
        "short-masks-moved",
        "A mask shorter than a fixed cache is filled up in front.",
        edit("masking_utils:prepare_padding_mask", ("(0, padding_length)", "(padding_length, 0)")),
        ("test_padded_prompts_are_read_in_place",),
        "llama-chat",
    ),
    Fault(
        "embeddings-classified-at-the-first-token",
        "GPT-2's classifier, given embeddings, classifies the first token.",
        edit(
            "models.gpt2.modeling_gpt2:GPT2ForSequenceClassification.forward",
            ("last_non_pad_token = -1\n        logger", "last_non_pad_token = 0\n        logger"),
        ),
        ("test_other_heads_take_embeddings",),
        "gpt2-random",
    ),
]
