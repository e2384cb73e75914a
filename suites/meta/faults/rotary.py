"""Faults in rotary positions: angles, bases, scaling."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import LLAMA, MISTRAL

ROPE = "modeling_rope_utils:"

FAULTS = [
    Fault(
        "dynamic-frequencies-stay",
        "Dynamic rotary positions keep the frequencies of a long input for the short ones after it.",
        edit(
            LLAMA + "LlamaRotaryEmbedding.forward/modeling_rope_utils",
            (
                "dynamic_frequency_update(self, position_ids,",
                "dynamic_frequency_update(self, position_ids.clamp(self.max_seq_len_cached - 1),",
            ),
        ),
        ("test_long_input_leaves_nothing_behind",),
        "llama-dynamic",
    ),
    Fault(
        "rotary-sign",
        "Rotary embedding turns the wrong way.",
        edit(LLAMA + "rotate_half", ("(-x2, x1)", "(x2, -x1)")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-chat",
    ),
    Fault(
        "rotary-interleaved",
        "Rotary embedding pairs neighbours instead of halves.",
        edit(
            LLAMA + "rotate_half",
            ("x[..., : x.shape[-1] // 2]", "x[..., 0::2]"),
            ("x[..., x.shape[-1] // 2 :]", "x[..., 1::2]"),
            ("torch.cat((-x2, x1), dim=-1)", "torch.stack((-x2, x1), dim=-1).flatten(-2)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-bytes",
    ),
    Fault(
        "rotary-only-queries",
        "Only the queries are rotated.",
        edit(MISTRAL + "apply_rotary_pos_emb", ("(k * cos) + (rotate_half(k) * sin)", "k")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-random",
    ),
    Fault(
        "rotary-base-ignored",
        "Rotary frequencies always use the base 10000.",
        edit(
            MISTRAL + "MistralRotaryEmbedding.compute_default_rope_parameters",
            ('config.rope_parameters["rope_theta"]', "10000.0"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-random",
    ),
    Fault(
        "rotary-frequencies-shifted",
        "Rotary frequencies start at the second.",
        edit(
            LLAMA + "LlamaRotaryEmbedding.compute_default_rope_parameters",
            ("torch.arange(0, dim, 2,", "torch.arange(2, dim + 2, 2,"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-chat",
    ),
    Fault(
        "rotary-positions-in-half",
        "Rotary angles are computed in float16.",
        edit(
            MISTRAL + "MistralRotaryEmbedding.forward",
            ("position_ids[..., None].float()", "position_ids[..., None].half()"),
            ("dtype=torch.float)", "dtype=torch.half)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-sliding",
    ),
    Fault(
        "rotary-scaling-dropped",
        "The factor that some rotary types put on cosine and sine is dropped.",
        edit(
            LLAMA + "LlamaRotaryEmbedding.forward",
            ("emb.cos() * self.attention_scaling", "emb.cos()"),
            ("emb.sin() * self.attention_scaling", "emb.sin()"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-yarn",
    ),
    Fault(
        "linear-scaling-inverted",
        "Linear rotary scaling multiplies where it should divide.",
        edit(
            ROPE + "_compute_linear_scaling_rope_parameters",
            ("inv_freq /= factor", "inv_freq *= factor"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-spm-only",
    ),
    Fault(
        "llama3-unsmoothed",
        "LLaMA 3's rotary scaling leaves out the middle frequencies.",
        edit(
            ROPE + "_compute_llama3_parameters",
            (
                "inv_freq_llama = torch.where(is_medium_freq, smoothed_inv_freq, inv_freq_llama)",
                "pass",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-bytes",
    ),
    Fault(
        "llama3-factors-swapped",
        "LLaMA 3's rotary scaling swaps its low and high frequency factors.",
        edit(
            ROPE + "_compute_llama3_parameters",
            (
                'rope_parameters_dict["low_freq_factor"]',
                'rope_parameters_dict["high_freq_factor"] * 2',
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-bytes",
    ),
    Fault(
        "yarn-ramp-reversed",
        "YaRN interpolates the fast frequencies and leaves the slow ones.",
        edit(
            ROPE + "_compute_yarn_parameters",
            ("inv_freq_extrapolation_factor = 1 - ", "inv_freq_extrapolation_factor = "),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-yarn",
    ),
    Fault(
        "yarn-untruncated",
        "YaRN's correction range is not rounded outwards.",
        edit(
            ROPE + "_compute_yarn_parameters", ('.get("truncate", True)', '.get("truncate", False)')
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-yarn",
    ),
    Fault(
        "rotary-positions-ignored",
        "LLaMA counts positions from zero whatever it is told.",
        edit(LLAMA + "LlamaModel.forward", ("if position_ids is None:", "if True:")),
        ("test_shifted_positions_equal_reference",),
        "llama-chat",
    ),
    Fault(
        "dynamic-scaling-static",
        "Dynamic rotary scaling ignores the length of the sequence.",
        edit(
            ROPE + "_compute_dynamic_ntk_parameters",
            ("# Compute the inverse frequencies", "seq_len = config.max_position_embeddings"),
        ),
        ("test_long_input_equals_reference",),
        "llama-dynamic",
    ),
    Fault(
        "yarn-fast-pairs-of-16",
        "Yarn told no beta_fast takes 16 turns instead of 32.",
        edit(
            ROPE + "_compute_yarn_parameters",
            (
                'rope_parameters_dict.get("beta_fast") or 32',
                'rope_parameters_dict.get("beta_fast") or 16',
            ),
        ),
        ("test_wide_heads_equal_reference",),
        "llama-yarn",
    ),
    Fault(
        "yarn-slow-pairs-of-one-turn",
        "Yarn takes one turn for beta_slow whatever the configuration says.",
        edit(
            "modeling_rope_utils:_compute_yarn_parameters",
            ('rope_parameters_dict.get("beta_slow") or 1', "1"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-chat",
    ),
    Fault(
        "yarn-trained-as-long-as-now",
        "Yarn takes the length of now for the length of training.",
        edit(
            "modeling_rope_utils:_compute_yarn_parameters",
            (
                "dim, base, original_max_position_embeddings, truncate)",
                "dim, base, config.max_position_embeddings, truncate)",
            ),
        ),
        ("test_each_rotary_number_acts",),
        "llama-chat",
    ),
    Fault(
        "yarn-attention-factor-computed",
        "Yarn computes the factor on attention although one is given.",
        edit(
            "modeling_rope_utils:_compute_yarn_parameters",
            ('rope_parameters_dict.get("attention_factor")', "None"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-chat",
    ),
    Fault(
        "yarn-one-of-two-scales",
        "Yarn divides by no scale of all dimensions.",
        edit(
            "modeling_rope_utils:_compute_yarn_parameters",
            (
                "get_mscale(factor, mscale) / get_mscale(factor, mscale_all_dim)",
                "get_mscale(factor, mscale)",
            ),
        ),
        ("test_each_rotary_number_acts",),
        "llama-chat",
    ),
    Fault(
        "llama3-slowed-by-eight",
        "LLaMA 3's slow frequencies are divided by eight whatever the factor.",
        edit(
            "modeling_rope_utils:_compute_llama3_parameters",
            ("inv_freq / factor, inv_freq", "inv_freq / 8, inv_freq"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-chat",
    ),
    Fault(
        "yarn-told-no-factor-stretches-nothing",
        "Yarn told no factor takes one, whatever the lengths.",
        edit(
            "modeling_rope_utils:_compute_yarn_parameters",
            ("config.max_position_embeddings / original_max_position_embeddings", "1.0"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-yarn",
    ),
    Fault(
        "yarn-ends-with-the-last-pair",
        "Yarn's ramp ends with the last pair even where it would go on.",
        edit(
            "modeling_rope_utils:_compute_yarn_parameters",
            ("min(high, dim - 1)", "min(high, dim // 2 - 1)"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-yarn",
    ),
    Fault(
        "longrope-always-short",
        "Longrope takes the factors of short texts for every text.",
        edit(
            "modeling_rope_utils:_compute_longrope_parameters",
            ("torch.tensor(long_factor,", "torch.tensor(short_factor,"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-chat",
    ),
    Fault(
        "longrope-unscaled-scores",
        "Longrope leaves the scores of a stretched model as they are.",
        edit(
            "modeling_rope_utils:_compute_longrope_parameters",
            ("if factor <= 1.0:", "if factor > 1.0:"),
        ),
        ("test_each_rotary_number_acts",),
        "mistral-random",
    ),
    Fault(
        "longrope-long-from-the-trained-length",
        "A model that longrope stretches takes the stretched length for the one it was trained on.",
        edit(
            "modeling_rope_utils:RotaryEmbeddingConfigMixin.standardize_rope_params",
            ("= self.original_max_position_embeddings", "= self.max_position_embeddings"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-yarn",
    ),
]
