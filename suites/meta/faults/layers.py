"""Faults within a layer: norms, residuals, activations, embeddings, the order of things."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BERT = "models.bert.modeling_bert:"
ROBERTA = "models.roberta.modeling_roberta:"
DISTILBERT = "models.distilbert.modeling_distilbert:"
GPT2 = "models.gpt2.modeling_gpt2:"
LLAMA = "models.llama.modeling_llama:"
MISTRAL = "models.mistral.modeling_mistral:"
T5 = "models.t5.modeling_t5:"
BART = "models.bart.modeling_bart:"
MBART = "models.mbart.modeling_mbart:"
VIT = "models.vit.modeling_vit:"

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
