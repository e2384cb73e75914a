"""Faults of mode and dtype: dropout, training, gradients, precision, what a call leaves behind."""

from __future__ import annotations

from suites.meta.edits import edit, edits
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, GPT2, LLAMA, MBART, T5, VIT

ALWAYS = ("training=self.training", "training=True")

FAULTS = [
    Fault(
        "bart-dropout-in-evaluation",
        "BART's decoder drops out in evaluation too.",
        edit(BART + "BartDecoder.forward", ALWAYS),
        (
            "test_outputs_equal_reference",
            "test_a_full_mask_is_no_mask",
            "test_left_padded_outputs_equal_reference",
        ),
        "bart-reverse",
    ),
    Fault(
        "mbart-dropout-in-evaluation",
        "mBART's encoder drops out in evaluation too.",
        edit(MBART + "MBartEncoderLayer.forward", ALWAYS),
        (
            "test_outputs_equal_reference",
            "test_a_full_mask_is_no_mask",
            "test_gradients_equal_reference",
        ),
        "mbart-transliterate",
    ),
    Fault(
        "attention-dropout-in-evaluation",
        "LLaMA's attention drops out in evaluation too.",
        edits(
            edit(
                LLAMA + "LlamaAttention.forward",
                ("0.0 if not self.training else self.attention_dropout", "self.attention_dropout"),
            ),
            edit(LLAMA + "eager_attention_forward", ("training=module.training", "training=True")),
        ),
        (
            "test_outputs_equal_reference",
            "test_a_full_mask_is_no_mask",
            "test_half_precision_is_close",
        ),
        "llama-chat",
    ),
    Fault(
        "sdpa-dropout-in-evaluation",
        "The fused kernel drops out in evaluation too.",
        edit(
            "integrations.sdpa_attention:sdpa_attention_forward",
            ("dropout_p=dropout", "dropout_p=0.1"),
        ),
        (
            "test_sdpa_outputs_equal_reference",
            "test_cache_counts_positions_itself",
            "test_masked_tokens_change_nothing",
        ),
        "gpt2-counting",
    ),
    Fault(
        "no-dropout-in-training",
        "GPT-2 drops nothing out, in training neither.",
        edits(
            edit(
                GPT2 + "GPT2Attention.__init__",
                ("nn.Dropout(config.attn_pdrop)", "nn.Dropout(0.0)"),
                ("nn.Dropout(config.resid_pdrop)", "nn.Dropout(0.0)"),
            ),
            edit(GPT2 + "GPT2MLP.__init__", ("nn.Dropout(config.resid_pdrop)", "nn.Dropout(0.0)")),
            edit(GPT2 + "GPT2Model.__init__", ("nn.Dropout(config.embd_pdrop)", "nn.Dropout(0.0)")),
        ),
        ("test_dropout_only_in_train_mode",),
        "gpt2-random",
    ),
    Fault(
        "gradient-cut",
        "No gradient flows below BERT's last layer.",
        edit(
            BERT + "BertSelfAttention.forward",
            ("key_layer = self.key(hidden_states)", "key_layer = self.key(hidden_states.detach())"),
        ),
        ("test_gradients_equal_reference",),
        "bert-sentiment",
    ),
    Fault(
        "gradient-of-the-encoder-cut",
        "T5's loss does not reach the encoder.",
        edit(
            T5 + "T5ForConditionalGeneration.forward",
            ("hidden_states = encoder_outputs[0]", "hidden_states = encoder_outputs[0].detach()"),
        ),
        ("test_gradients_equal_reference",),
        "t5-reverse",
    ),
    Fault(
        "gradient-of-the-norm-cut",
        "LLaMA's norm passes no gradient through its variance.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            (
                "torch.rsqrt(variance + self.variance_epsilon)",
                "torch.rsqrt(variance.detach() + self.variance_epsilon)",
            ),
        ),
        ("test_gradients_equal_reference",),
        "llama-chat",
    ),
    Fault(
        "input-changed-in-place",
        "GPT-2 writes into the position ids it was given.",
        edit(
            GPT2 + "GPT2Model.forward",
            (
                "position_embeds = self.wpe(position_ids)",
                "position_embeds = self.wpe(position_ids); position_ids += 1",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_a_full_mask_is_no_mask",
            "test_gradients_equal_reference",
        ),
        "gpt2-counting",
    ),
    Fault(
        "rows-depend-on-the-batch",
        "A norm looks at the whole batch.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            (".mean(-1, keepdim=True)", ".mean((0, -1), keepdim=True)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-spm-only",
    ),
    Fault(
        "answers-in-float32",
        "LLaMA's norm gives float32 whatever it is given.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            (
                "self.weight * hidden_states.to(input_dtype)",
                "(self.weight.float() * hidden_states).to(torch.bfloat16).to(input_dtype)",
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
        "remembers-the-last-input",
        "BERT adds a little of the last input's embeddings.",
        edit(
            BERT + "BertEmbeddings.forward",
            (
                "embeddings = self.dropout(embeddings)",
                "embeddings = embeddings + 1e-3 * self.__dict__.get('last', embeddings).mean(); self.__dict__['last'] = embeddings",
            ),
        ),
        ("test_checkpointing_changes_no_gradient", "test_eval_is_deterministic"),
        "bert-sentiment",
    ),
    Fault(
        "vit-dropout-missing",
        "ViT drops nothing out, in training neither.",
        edits(
            edit(
                VIT + "ViTEmbeddings.__init__",
                ("nn.Dropout(config.hidden_dropout_prob)", "nn.Dropout(0.0)"),
            ),
            edit(
                VIT + "ViTLayer.__init__",
                ("nn.Dropout(config.hidden_dropout_prob)", "nn.Dropout(0.0)"),
            ),
            edit(VIT + "ViTAttention.__init__", ("config.attention_probs_dropout_prob", "0.0")),
        ),
        ("test_dropout_only_in_train_mode",),
        "vit-shapes",
    ),
    Fault(
        "checkpointing-drops-the-mask",
        "Gradient checkpointing recomputes layers without their mask.",
        edit(
            LLAMA + "LlamaDecoderLayer.forward/modeling_layers",
            (
                "return self._gradient_checkpointing_func(",
                "kwargs['attention_mask'] = None; return self._gradient_checkpointing_func(",
            ),
        ),
        ("test_checkpointing_changes_no_gradient",),
        "llama-chat",
    ),
]
