"""Faults in a model's parts, switches, new weights and training."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, CONFIG, DISTILBERT, GPT2, LLAMA, MBART, MISTRAL, T5, VIT

MODEL = "modeling_utils:"

FAULTS = [
    Fault(
        "base-model-is-the-head",
        "base_model gives the model with its head.",
        edit(
            MODEL + "PreTrainedModel.base_model",
            ("getattr(self, self.base_model_prefix, self)", "self"),
        ),
        ("test_base_model_is_under_the_head",),
        "bert-sentiment",
    ),
    Fault(
        "encoder-is-the-decoder",
        "get_encoder gives the decoder.",
        edit(
            MODEL + "PreTrainedModel.get_encoder",
            ('["text_encoder", "encoder"]', '["text_encoder", "decoder"]'),
        ),
        ("test_encoder_can_be_taken_out",),
        "bart-reverse",
    ),
    Fault(
        "new-embeddings-for-the-encoder-only",
        "T5 given new embeddings keeps the old ones in its decoder.",
        edit(
            T5 + "T5ForConditionalGeneration.set_input_embeddings",
            ("self.decoder.set_input_embeddings(new_embeddings)", "pass"),
        ),
        ("test_embeddings_can_be_replaced",),
        "t5-reverse",
    ),
    Fault(
        "embeddings-counted",
        "num_parameters counts embeddings that it should leave out.",
        edit(
            MODEL + "ModuleUtilsMixin.num_parameters",
            ("if exclude_embeddings and name in embedding_param_names:", "if False:"),
        ),
        ("test_parameters_are_counted",),
        "gpt2-counting",
    ),
    Fault(
        "frozen-parameters-counted",
        "num_parameters counts frozen parameters as trainable.",
        edit(
            MODEL + "ModuleUtilsMixin.num_parameters",
            ("if param.requires_grad or not only_trainable:", "if True:"),
        ),
        ("test_parameters_are_counted",),
        "vit-random",
    ),
    Fault(
        "switched-in-name-only",
        "Switching the attention kernel is forgotten.",
        edit(
            MODEL + "PreTrainedModel.set_attn_implementation",
            ("self.config._attn_implementation_internal = requested_implementation", "pass"),
        ),
        ("test_attention_can_be_switched",),
        "llama-chat",
    ),
    Fault(
        "given-fields-ignored",
        "Fields given to from_pretrained do not reach the configuration.",
        edit(CONFIG + "from_dict.__func__", ("setattr(config, key, value)", "pass")),
        ("test_labels_can_be_renamed",),
        "distilbert-sentiment",
    ),
    Fault(
        "json-without-the-activation",
        "A configuration's JSON leaves out the activation.",
        edit(
            CONFIG + "to_json_string",
            (
                "config_dict = self.to_diff_dict()",
                'config_dict = {k: v for k, v in self.to_diff_dict().items() if k != "hidden_act"}',
            ),
        ),
        ("test_configuration_survives_as_a_dictionary",),
        "bert-random",
    ),
    Fault(
        "unused-fields-swallowed",
        "AutoConfig gives back no unused arguments.",
        edit(CONFIG + "from_dict.__func__", ("return config, kwargs", "return config, {}")),
        ("test_unknown_settings_are_returned",),
        "gpt2-random",
    ),
    Fault(
        "new-weights-too-wide",
        "New matrices are drawn twice as wide as configured.",
        edit(
            MODEL + "PreTrainedModel._init_weights",
            (
                "init.normal_(module.weight, mean=0.0, std=std)",
                "init.normal_(module.weight, mean=0.0, std=2 * std)",
            ),
        ),
        ("test_new_weights_are_drawn_as_configured",),
        "bert-random",
    ),
    Fault(
        "new-weights-of-a-constant-width",
        "New matrices are drawn with 0.02 whatever the configuration says.",
        edit(
            MODEL + "PreTrainedModel._init_weights",
            ("std = self.config.initializer_range or 0.02", "std = 0.02"),
        ),
        ("test_new_weights_are_drawn_as_configured",),
        "llama-chat",
    ),
    Fault(
        "new-norms-are-zero",
        "New norms begin at zero.",
        edit(
            MODEL + "PreTrainedModel._init_weights",
            ("init.ones_(module.weight)", "init.zeros_(module.weight)"),
        ),
        ("test_new_weights_are_drawn_as_configured",),
        "vit-random",
    ),
    Fault(
        "gpt2-last-matrices-wide",
        "GPT-2's last matrices are drawn like all others.",
        edit(
            GPT2 + "GPT2PreTrainedModel._init_weights", ("/ math.sqrt(2 * self.config.n_layer)", "")
        ),
        ("test_new_weights_are_drawn_as_configured",),
        "gpt2-counting",
    ),
    Fault(
        "variant-not-added",
        "save_pretrained(variant=...) writes the plain file.",
        edit(
            MODEL + "PreTrainedModel.save_pretrained",
            ("_add_variant(weights_name, variant)", "weights_name"),
        ),
        ("test_variants_lie_beside_each_other",),
        "bert-masked",
    ),
    Fault(
        "chunk-lost",
        "A feed-forward in chunks gives the first chunk's again.",
        edit(
            "pytorch_utils:apply_chunking_to_forward",
            (
                "tuple(forward_fn(*input_tensors_chunk) for input_tensors_chunk in zip(*input_tensors_chunks))",
                "tuple(forward_fn(*next(zip(*input_tensors_chunks))) for _ in input_tensors_chunks[0])",
            ),
        ),
        ("test_chunks_change_nothing",),
        "bert-random",
    ),
    Fault(
        "packed-sequences-mixed",
        "Packed sequences see each other.",
        edit(
            "masking_utils:find_packed_sequence_indices",
            (
                "packed_sequence_mask = (position_diff != 1).cumsum(-1)",
                "packed_sequence_mask = (position_diff != 1).cumsum(-1) * 0",
            ),
        ),
        ("test_packed_sequences_are_apart",),
        "llama-bytes",
    ),
    Fault(
        "rotary-in-the-models-dtype",
        "LLaMA's angles are computed in the model's dtype.",
        edit(
            LLAMA + "LlamaRotaryEmbedding.forward",
            ("position_ids[..., None].float()", "position_ids[..., None].to(x.dtype).float()"),
        ),
        ("test_half_precision_far_from_the_start",),
        "llama-spm-only",
    ),
    Fault(
        "mistral-rotary-in-the-models-dtype",
        "Mistral's angles are computed in the model's dtype.",
        edit(
            MISTRAL + "MistralRotaryEmbedding.forward",
            ("position_ids[..., None].float()", "position_ids[..., None].to(x.dtype).float()"),
        ),
        ("test_half_precision_far_from_the_start",),
        "mistral-sliding",
    ),
    Fault(
        "bert-attention-dropout-missing",
        "BERT drops out no attention weight in training.",
        edit(
            BERT + "BertSelfAttention.forward",
            ("dropout=0.0 if not self.training else self.dropout.p", "dropout=0.0"),
        ),
        ("test_each_dropout_acts_alone",),
        "bert-random",
    ),
    Fault(
        "distilbert-attention-dropout-missing",
        "DistilBERT drops out no attention weight in training.",
        edit(
            DISTILBERT + "DistilBertSelfAttention.forward",
            ("dropout=0.0 if not self.training else self.dropout.p", "dropout=0.0"),
        ),
        ("test_each_dropout_acts_alone",),
        "distilbert-sentiment",
    ),
    Fault(
        "gpt2-embedding-dropout-missing",
        "GPT-2 does not drop out its embeddings.",
        edit(GPT2 + "GPT2Model.forward", ("hidden_states = self.drop(hidden_states)", "pass")),
        ("test_each_dropout_acts_alone",),
        "gpt2-counting",
    ),
    Fault(
        "llama-attention-dropout-missing",
        "LLaMA drops out no attention weight in training.",
        edit(
            LLAMA + "LlamaAttention.forward",
            ("dropout=0.0 if not self.training else self.attention_dropout", "dropout=0.0"),
        ),
        ("test_each_dropout_acts_alone",),
        "llama-dynamic",
    ),
    Fault(
        "bart-activation-dropout-missing",
        "BART's encoder and decoder do not drop out activations.",
        edit(BART + "BartEncoderLayer.forward", ("p=self.activation_dropout", "p=0.0")),
        ("test_each_dropout_acts_alone",),
        "bart-random",
    ),
    Fault(
        "mbart-attention-dropout-missing",
        "mBART drops out no attention weight.",
        edit(
            MBART + "MBartAttention.forward",
            ("dropout=0.0 if not self.training else self.dropout", "dropout=0.0"),
        ),
        ("test_each_dropout_acts_alone",),
        "mbart-random",
    ),
    Fault(
        "vit-attention-dropout-missing",
        "ViT drops out no attention weight.",
        edit(
            VIT + "ViTAttention.forward",
            ("dropout=0.0 if not self.training else self.attention_dropout", "dropout=0.0"),
        ),
        ("test_each_dropout_acts_alone",),
        "vit-shapes",
    ),
    Fault(
        "quick-gelu-constant",
        "quick_gelu has a digit wrong.",
        edit("activations:QuickGELUActivation.forward", ("1.702", "1.720")),
        ("test_each_activation_is_the_one_named",),
        "deit-shapes",
    ),
    Fault(
        "gelu-fast-constant",
        "gelu_fast has a digit wrong.",
        edit("activations:FastGELUActivation.forward", ("0.7978845608", "0.7878845608")),
        ("test_each_activation_is_the_one_named",),
        "bert-random",
    ),
    Fault(
        "t5-feed-forward-drawn-as-if-narrow",
        "T5's new feed-forward weights fit as many inputs as a state is wide.",
        edit(
            T5 + "T5PreTrainedModel._init_weights",
            ("(self.config.d_ff) ** -0.5", "(self.config.d_model) ** -0.5"),
        ),
        ("test_new_weights_are_drawn_as_configured",),
        "t5-reverse",
    ),
    Fault(
        "embeddings-stay",
        "GPT-2 keeps its embeddings when it is given others.",
        edit(GPT2 + "GPT2Model.set_input_embeddings", ("self.wte = new_embeddings", "pass")),
        ("test_embeddings_can_be_replaced",),
        "gpt2-random",
    ),
    Fault(
        "head-drawn-wide",
        "New heads that classify a text by T5 are drawn with a spread of one.",
        edit(
            T5 + "T5PreTrainedModel._init_weights",
            (
                "init.normal_(module.out_proj.weight, mean=0.0, std=factor * ((self.config.d_model) ** -0.5))",
                "init.normal_(module.out_proj.weight, mean=0.0, std=1.0)",
            ),
        ),
        ("test_new_heads_are_drawn_as_configured",),
        "t5-random",
    ),
    Fault(
        "new-masked-heads-are-biased",
        "The bias of BERT's new masked head is one.",
        edit(
            "models.bert.modeling_bert:BertPreTrainedModel._init_weights",
            ("init.zeros_(module.bias)", "init.ones_(module.bias)"),
        ),
        ("test_new_heads_are_drawn_as_configured",),
        "bert-random",
    ),
]
