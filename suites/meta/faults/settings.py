"""Settings that work alone, and not beside another: no built-in checkpoint has both."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, ROBERTA, T5

TOGETHER = ("test_settings_act_together",)

FAULTS = [
    Fault(
        "t5-answers-as-deep-as-it-reads",
        "T5 with a question answering head has as many decoder layers as its encoder has.",
        edit(
            T5 + "T5ForQuestionAnswering.__init__",
            (
                "decoder_config.num_layers = config.num_decoder_layers",
                "decoder_config.num_layers = config.num_layers",
            ),
        ),
        TOGETHER,
        "t5-random",
    ),
    Fault(
        "bart-crosses-with-the-encoders-heads",
        "BART's decoder attends across with as many heads as its encoder has.",
        edit(
            BART + "BartDecoderLayer.__init__",
            (
                "self.embed_dim,\n        config.decoder_attention_heads",
                "self.embed_dim,\n        config.encoder_attention_heads",
            ),
        ),
        TOGETHER,
        "bart-random",
    ),
    Fault(
        "roberta-pads-with-one",
        "RoBERTa's positions take id 1 for padding, whatever its configuration says.",
        edit(
            ROBERTA + "RobertaEmbeddings.__init__",
            ("self.padding_idx = config.pad_token_id", "self.padding_idx = 1"),
        ),
        TOGETHER,
        "roberta-random",
    ),
    Fault(
        "length-of-the-answer-alone",
        "A model's own max_length is taken for that of the answer.",
        edit(
            "generation.utils:GenerationMixin.generate",
            ("and self.generation_config.max_length is None", ""),
        ),
        ("test_a_models_length_counts_the_prompt",),
        "gpt2-counting",
    ),
    Fault(
        "an-end-in-a-prompt-is-padding",
        "Where the end pads, too, one within a prompt is not read.",
        edit(
            "generation.utils:GenerationMixin._prepare_attention_mask_for_generation",
            (
                "is_pad_token_in_inputs * is_pad_token_not_equal_to_eos_token_id",
                "is_pad_token_in_inputs",
            ),
        ),
        ("test_an_end_within_a_prompt_is_read",),
        "gpt2-counting",
    ),
]
