"""Faults within a layer: residuals, activations, embeddings, the order of things."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, DISTILBERT, LLAMA, MISTRAL, ROBERTA, T5

FAULTS = [
    Fault(
        "bert-residual-missing",
        "BERT's attention output is normalised without its input.",
        edit(BERT + "BertSelfOutput.forward", ("hidden_states + input_tensor", "hidden_states")),
        (
            "test_outputs_equal_reference",
            "test_a_batch_of_sentences_gets_its_labels",
            "test_half_precision_is_close",
        ),
        "bert-sentiment",
    ),
    Fault(
        "bert-activation-ignored",
        "BERT's activation is the exact GELU whatever the configuration says.",
        edit(BERT + "BertIntermediate.__init__", ("ACT2FN[config.hidden_act]", 'ACT2FN["gelu"]')),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bert-random",
    ),
    Fault(
        "bert-one-layer-less",
        "BERT leaves out its last layer.",
        edit(BERT + "BertEncoder.forward", ("enumerate(self.layer)", "enumerate(self.layer[:-1])")),
        ("test_outputs_equal_reference", "test_attentions_shape", "test_half_precision_is_close"),
        "bert-sentiment",
    ),
    Fault(
        "roberta-residual-missing",
        "RoBERTa's feed-forward output is normalised without its input.",
        edit(ROBERTA + "RobertaOutput.forward", ("hidden_states + input_tensor", "hidden_states")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "roberta-masked",
    ),
    Fault(
        "distilbert-residual-missing",
        "DistilBERT's feed-forward output is normalised without its input.",
        edit(
            DISTILBERT + "TransformerBlock.forward", ("ffn_output + attention_output", "ffn_output")
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "distilbert-span",
    ),
    Fault(
        "distilbert-activation-ignored",
        "DistilBERT's activation is GELU whatever the configuration says.",
        edit(
            DISTILBERT + "FFN.__init__",
            ("get_activation(config.activation)", 'get_activation("gelu")'),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "distilbert-random",
    ),
    Fault(
        "new-gelu-constant",
        "One constant of GPT-2's GELU has a digit wrong.",
        edit("activations:NewGELUActivation.forward", ("0.044715", "0.044751")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-counting",
    ),
    Fault(
        "silu-is-sigmoid",
        "SiLU forgets to multiply by its input.",
        edit(
            "activations:SiLUActivation.forward",
            ("nn.functional.silu(input)", "nn.functional.sigmoid(input)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-chat",
    ),
    Fault(
        "gelu-tanh-exact",
        "The GELU with tanh is computed exactly.",
        edit(
            "activations:GELUTanh.__init__",
            ('functools.partial(nn.functional.gelu, approximate="tanh")', "nn.functional.gelu"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-random",
    ),
    Fault(
        "llama-gate-and-up-swapped",
        "LLaMA applies its activation to the wrong of two projections.",
        edit(
            LLAMA + "LlamaMLP.forward",
            (
                "self.act_fn(self.gate_proj(x)) * self.up_proj(x)",
                "self.gate_proj(x) * self.act_fn(self.up_proj(x))",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-dynamic",
    ),
    Fault(
        "mistral-residual-missing",
        "Mistral's feed-forward forgets its residual.",
        edit(
            MISTRAL + "MistralDecoderLayer.forward",
            (
                "hidden_states = self.mlp(hidden_states)\n    hidden_states = residual + hidden_states",
                "hidden_states = self.mlp(hidden_states)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-sliding",
    ),
    Fault(
        "t5-gate-on-the-wrong-branch",
        "T5's gated feed-forward activates the linear branch.",
        edit(
            T5 + "T5DenseGatedActDense.forward",
            ("self.act(self.wi_0(hidden_states))", "self.wi_0(hidden_states)"),
            ("self.wi_1(hidden_states)", "self.act(self.wi_1(hidden_states))"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-gated",
    ),
    Fault(
        "t5-activation-skipped",
        "T5's plain feed-forward has no activation.",
        edit(T5 + "T5DenseActDense.forward", ("hidden_states = self.act(hidden_states)", "pass")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-reverse",
    ),
    Fault(
        "bart-embeddings-unscaled",
        "BART's embeddings are not scaled although its configuration says so.",
        edit(BART + "BartScaledWordEmbedding.forward", ("* self.embed_scale", "")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bart-random",
    ),
    Fault(
        "bart-cross-residual-missing",
        "BART's cross-attention forgets its residual.",
        edit(
            BART + "BartDecoderLayer.forward",
            (
                "hidden_states = residual + hidden_states\n        hidden_states = self.encoder_attn_layer_norm",
                "hidden_states = self.encoder_attn_layer_norm",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "bart-reverse",
    ),
    Fault(
        "deit-residual-missing",
        "DeiT's feed-forward forgets its residual.",
        edit(
            "models.deit.modeling_deit:DeiTLayer.forward",
            (
                "hidden_states = self.mlp(hidden_states)\n    hidden_states = self.dropout(hidden_states)\n    hidden_states = hidden_states + residual",
                "hidden_states = self.mlp(hidden_states)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_image_classification_of_a_file",
        ),
        "deit-shapes",
    ),
    Fault(
        "gelu-approximated",
        "The exact GELU is computed by the approximation with tanh.",
        edit(
            "activations:GELUActivation.__init__",
            (
                "self.act = nn.functional.gelu",
                'self.act = functools.partial(nn.functional.gelu, approximate="tanh")',
            ),
        ),
        ("test_outputs_equal_reference",),
        "vit-shapes",
    ),
]
