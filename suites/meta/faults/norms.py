"""Faults in normalisation: where it stands, what it divides by."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, GPT2, LLAMA, MBART, MISTRAL, T5, VIT

FAULTS = [
    Fault(
        "bert-normalises-first",
        "BERT normalises before it adds the residual.",
        edit(
            BERT + "BertOutput.forward",
            (
                "self.LayerNorm(hidden_states + input_tensor)",
                "self.LayerNorm(hidden_states) + input_tensor",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bert-cased-tagger",
    ),
    Fault(
        "bert-epsilon-ignored",
        "BERT's last norms use an epsilon of 1e-12 whatever the configuration says.",
        edit(BERT + "BertOutput.__init__", ("eps=config.layer_norm_eps", "eps=1e-12")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bert-random",
    ),
    Fault(
        "bert-embeddings-not-normalised",
        "BERT's embeddings are not normalised.",
        edit(BERT + "BertEmbeddings.forward", ("embeddings = self.LayerNorm(embeddings)", "pass")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bert-masked",
    ),
    Fault(
        "gpt2-final-norm-skipped",
        "GPT-2's last norm is skipped.",
        edit(GPT2 + "GPT2Model.forward", ("hidden_states = self.ln_f(hidden_states)", "pass")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-random",
    ),
    Fault(
        "gpt2-residual-after-the-norm",
        "GPT-2 adds the normalised input instead of the input.",
        edit(
            GPT2 + "GPT2Block.forward",
            (
                "residual = hidden_states\n    hidden_states = self.ln_1(hidden_states)",
                "hidden_states = residual = self.ln_1(hidden_states)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-counting",
    ),
    Fault(
        "gpt2-one-norm-for-both",
        "GPT-2 normalises before its feed-forward with the first norm's weights.",
        edit(GPT2 + "GPT2Block.forward", ("self.ln_2(hidden_states)", "self.ln_1(hidden_states)")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-random",
    ),
    Fault(
        "llama-epsilon-outside",
        "LLaMA's norm adds epsilon to the root instead of under it.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            (
                "torch.rsqrt(variance + self.variance_epsilon)",
                "1 / (variance.sqrt() + self.variance_epsilon)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-yarn",
    ),
    Fault(
        "llama-norm-centred",
        "LLaMA's norm subtracts the mean, as LayerNorm does.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            (
                "variance = ",
                "hidden_states = hidden_states - hidden_states.mean(-1, keepdim=True)\n    variance = ",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-chat",
    ),
    Fault(
        "llama-norm-in-the-input-dtype",
        "LLaMA's norm squares in the dtype of its input instead of float32.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            ("hidden_states.to(torch.float32)", "hidden_states.to(torch.bfloat16)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-spm-only",
    ),
    Fault(
        "llama-final-norm-skipped",
        "LLaMA's last norm is skipped.",
        edit(LLAMA + "LlamaModel.forward", ("hidden_states = self.norm(hidden_states)", "pass")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-bytes",
    ),
    Fault(
        "mistral-epsilon-ignored",
        "Mistral's norms use an epsilon of 1e-6 whatever the configuration says.",
        edit(
            MISTRAL + "MistralRMSNorm.__init__",
            ("self.variance_epsilon = eps", "self.variance_epsilon = 1e-6"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-random",
    ),
    Fault(
        "t5-final-norm-skipped",
        "The last norm of T5's stacks is skipped.",
        edit(
            T5 + "T5Stack.forward", ("hidden_states = self.final_layer_norm(hidden_states)", "pass")
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-reverse",
    ),
    Fault(
        "t5-residual-normalised",
        "T5 adds the normalised input instead of the input after its feed-forward.",
        edit(
            T5 + "T5LayerFF.forward",
            (
                "hidden_states + self.dropout(forwarded_states)",
                "self.layer_norm(hidden_states) + self.dropout(forwarded_states)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-random",
    ),
    Fault(
        "bart-embeddings-not-normalised",
        "BART's decoder does not normalise its embeddings.",
        edit(
            BART + "BartDecoder.forward",
            ("hidden_states = self.layernorm_embedding(hidden_states)", "pass"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "bart-reverse",
    ),
    Fault(
        "bart-normalises-first",
        "BART's encoder normalises before its attention, as mBART does.",
        edit(
            BART + "BartEncoderLayer.forward",
            (
                "hidden_states, _ = self.self_attn(\n        hidden_states,",
                "hidden_states, _ = self.self_attn(\n        self.self_attn_layer_norm(hidden_states),",
            ),
            ("hidden_states = self.self_attn_layer_norm(hidden_states)\n", "pass\n"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "bart-topics",
    ),
    Fault(
        "mbart-final-norm-skipped",
        "The last norm of mBART's encoder is skipped.",
        edit(
            "models.mbart.modeling_mbart:MBartEncoder.forward",
            ("hidden_states = self.layer_norm(hidden_states)", "pass"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "mbart-random",
    ),
    Fault(
        "mbart-normalises-last",
        "mBART's decoder normalises after its self-attention, as BART does.",
        edit(
            MBART + "MBartDecoderLayer.forward",
            ("hidden_states = self.self_attn_layer_norm(hidden_states)\n", "pass\n"),
            (
                "hidden_states = residual + hidden_states\n",
                "hidden_states = self.self_attn_layer_norm(residual + hidden_states)\n",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "mbart-transliterate",
    ),
    Fault(
        "vit-first-norm-skipped",
        "ViT's attention reads states that are not normalised.",
        edit(
            VIT + "ViTLayer.forward",
            ("hidden_states = self.layernorm_before(hidden_states)", "pass"),
        ),
        ("test_outputs_equal_reference",),
        "vit-shapes",
    ),
    Fault(
        "vit-final-norm-skipped",
        "ViT's last norm is skipped.",
        edit(VIT + "ViTModel.forward", ("self.layernorm(hidden_states)", "hidden_states")),
        ("test_outputs_equal_reference",),
        "vit-random",
    ),
]
