"""Faults in stacks used otherwise: encoders that decode, GPT-2 beside an encoder, decoders alone."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, GPT2, MBART, ROBERTA, T5

REFERENCE = ("test_decoding_layers_equal_reference",)
DROPPED = ("test_what_is_attended_across_is_dropped",)

FAULTS = [
    Fault(
        "bert-cross-attends-to-itself",
        "BERT as a decoder takes the keys of its cross-attention from its own states.",
        edit(
            BERT + "BertCrossAttention.forward",
            (
                "self.key(encoder_hidden_states)",
                "self.key(hidden_states[:, : encoder_hidden_states.shape[1]])",
            ),
        ),
        ("test_encoder_layers_decode",),
        "bert-masked",
    ),
    Fault(
        "bert-cross-attention-unmasked",
        "BERT as a decoder attends to masked positions of the other model.",
        edit(
            BERT + "BertModel._create_attention_masks",
            (
                "if encoder_attention_mask is not None:",
                "encoder_attention_mask = None\n    if encoder_attention_mask is not None:",
            ),
        ),
        ("test_encoder_layers_decode",),
        "bert-random",
    ),
    Fault(
        "bert-decoder-sees-the-future",
        "BERT as a decoder masks padding only.",
        edit(
            BERT + "BertModel._create_attention_masks", ("if self.config.is_decoder:", "if False:")
        ),
        ("test_encoder_layers_decode",),
        "bert-sentiment",
    ),
    Fault(
        "bert-cross-cache-not-reused",
        "BERT as a decoder computes its cross-attention anew in each step and appends it to the cache.",
        edit(
            BERT + "BertCrossAttention.forward",
            ("past_key_values.is_updated[self.layer_idx] = True", "pass"),
        ),
        ("test_encoder_layers_decode",),
        "bert-cased-tagger",
    ),
    Fault(
        "roberta-decoder-position-restarts",
        "RoBERTa as a decoder numbers each cached step from the start.",
        edit(
            ROBERTA + "RobertaModel.forward",
            ("past_key_values.get_seq_length() if past_key_values is not None else 0", "0"),
        ),
        ("test_encoder_layers_decode",),
        "roberta-masked",
    ),
    Fault(
        "gpt2-reordered-unscaled",
        "GPT-2's reordered attention does not scale.",
        edit(
            GPT2 + "GPT2Attention._upcast_and_reordered_attn", ("alpha=self.scaling", "alpha=1.0")
        ),
        ("test_reordered_attention_changes_nothing",),
        "gpt2-counting",
    ),
    Fault(
        "gpt2-reordered-unmasked",
        "GPT-2's reordered attention ignores the mask.",
        edit(
            GPT2 + "GPT2Attention._upcast_and_reordered_attn",
            ("attn_weights = attn_weights + attention_mask", "pass"),
        ),
        ("test_reordered_attention_changes_nothing",),
        "gpt2-random",
    ),
    Fault(
        "gpt2-cross-attention-unmasked",
        "GPT-2 as a decoder attends to masked positions of the other model.",
        edit(
            GPT2 + "GPT2Block.forward",
            ("encoder_attention_mask=encoder_attention_mask", "encoder_attention_mask=None"),
        ),
        ("test_encoder_layers_decode",),
        "gpt2-counting",
    ),
    Fault(
        "gpt2-cross-residual-missing",
        "GPT-2's cross-attention forgets its residual.",
        edit(GPT2 + "GPT2Block.forward", ("residual + cross_attn_output", "residual")),
        ("test_encoder_layers_decode",),
        "gpt2-random",
    ),
    Fault(
        "t5-encoder-is-a-decoder",
        "T5's encoder alone masks the future.",
        edit(
            T5 + "T5EncoderModel.__init__",
            (
                "encoder_config.use_cache = False",
                "encoder_config.use_cache = False; encoder_config.is_decoder = True",
            ),
        ),
        ("test_encoder_alone_is_the_encoder",),
        "t5-random",
    ),
    Fault(
        "bart-decoder-alone-forgets",
        "BART's decoder alone loses the mask of what it attends to.",
        edit(
            BART + "BartForCausalLM.forward",
            ("encoder_attention_mask=encoder_attention_mask", "encoder_attention_mask=None"),
        ),
        ("test_encoder_layers_decode",),
        "bart-topics",
    ),
    Fault(
        "mbart-decoder-alone-deaf",
        "mBART's decoder alone hears nothing of the other model.",
        edit(
            MBART + "MBartForCausalLM.forward",
            (
                "encoder_hidden_states=encoder_hidden_states",
                "encoder_hidden_states=encoder_hidden_states * 0",
            ),
        ),
        ("test_encoder_layers_decode",),
        "mbart-random",
    ),
    Fault(
        "bert-learns-to-copy",
        "BERT as a decoder compares each token with itself.",
        edit(
            BERT + "BertLMHeadModel.forward",
            (
                "vocab_size=self.config.vocab_size,",
                "vocab_size=self.config.vocab_size, shift_labels=labels,",
            ),
        ),
        ("test_decoding_layers_learn_the_next_token",),
        "bert-random",
    ),
    Fault(
        "bert-decoder-always-caches",
        "BERT as a decoder returns a cache that nobody wants.",
        edit(
            BERT + "BertModel.forward",
            (
                "use_cache = use_cache if use_cache is not None else self.config.use_cache",
                "use_cache = self.config.use_cache",
            ),
        ),
        ("test_decoding_layers_learn_the_next_token",),
        "bert-masked",
    ),
    Fault(
        "gpt2-cross-attention-unnormed",
        "GPT-2 beside an encoder asks it with states that no norm has seen.",
        edit(
            GPT2 + "GPT2Block.forward",
            ("hidden_states = self.ln_cross_attn(hidden_states)", "pass"),
        ),
        ("test_cross_attention_reads_normed_states",),
        "gpt2-random",
    ),
    Fault(
        "cross-attention-weights-never-dropped",
        "BERT as a decoder drops out no weight of its cross-attention.",
        edit(
            BERT + "BertCrossAttention.forward",
            ("dropout=0.0 if not self.training else self.dropout.p", "dropout=0.0"),
        ),
        DROPPED,
        "bert-random",
    ),
    Fault(
        "cross-attention-never-dropped",
        "GPT-2 drops out what its self-attention hands on, but not what its cross-attention does.",
        edit(
            GPT2 + "GPT2Attention.forward",
            (
                "attn_output = self.resid_dropout(attn_output)",
                "attn_output = attn_output if is_cross_attention else self.resid_dropout(attn_output)",
            ),
        ),
        DROPPED,
        "gpt2-random",
    ),
    Fault(
        "half-shifts-its-labels",
        "BART's decoder alone is trained on the token after the one its caller says follows.",
        edit(
            BART + "BartForCausalLM.forward",
            (
                "logits.view(-1, self.config.vocab_size), labels.view(-1)",
                "logits[:, :-1].reshape(-1, self.config.vocab_size), labels[:, 1:].reshape(-1)",
            ),
        ),
        ("test_decoding_layers_learn_the_next_token",),
        "bart-random",
    ),
    Fault(
        "given-encoder-outputs-swapped",
        "BART takes the encoder's attentions it is given for its states.",
        edit(
            BART + "BartModel.forward",
            (
                "encoder_outputs[1] if len(encoder_outputs) > 1",
                "encoder_outputs[2] if len(encoder_outputs) > 1",
            ),
        ),
        ("test_encoder_outputs_may_be_given",),
        "bart-random",
    ),
    Fault(
        "mbart-classifies-at-the-first-end",
        "mBART classifies a text at the first of its end tokens.",
        edit(MBART + "MBartForSequenceClassification.forward", ("[:, -1, :]", "[:, 0, :]")),
        ("test_other_heads_equal_reference",),
        "mbart-random",
    ),
    Fault(
        "cross-attention-divides-by-the-width",
        "BERT's cross-attention is scaled by the width of its states, not of its heads.",
        edit(
            BERT + "BertCrossAttention.forward",
            ("scaling=self.scaling", "scaling=self.query.in_features**-0.5"),
        ),
        REFERENCE,
        "bert-random",
    ),
    Fault(
        "cross-attention-without-residual",
        "RoBERTa's cross-attention is not added to what asked it.",
        edit(
            ROBERTA + "RobertaLayer.forward",
            (
                "attention_output = cross_attention_output",
                "attention_output = cross_attention_output - self_attention_output",
            ),
        ),
        REFERENCE,
        "roberta-random",
    ),
    Fault(
        "cross-attentions-not-handed-on",
        "BERT as a decoder keeps its weights across to itself.",
        edit(
            BERT + "BertLMHeadModel.forward",
            ("cross_attentions=outputs.cross_attentions", "cross_attentions=None"),
        ),
        REFERENCE,
        "bert-masked",
    ),
    Fault(
        "fused-decoder-sees-the-future",
        "By the fused kernel BERT as a decoder hides nothing where there is no padding.",
        edit(
            BERT + "BertSelfAttention.__init__",
            ("self.is_causal = is_causal", "self.is_causal = False"),
        ),
        ("test_decoding_kernels_agree", *REFERENCE),
        "bert-random",
    ),
    Fault(
        "fused-cross-attention-is-causal",
        "By the fused kernel a query of RoBERTa as a decoder sees no more of the other model than its own place.",
        edit(
            ROBERTA + "RobertaCrossAttention.__init__",
            ("self.is_causal = is_causal", "self.is_causal = True"),
        ),
        ("test_decoding_kernels_agree", *REFERENCE),
        "roberta-masked",
    ),
    Fault(
        "decoder-counts-are-ignored",
        "BERT as a decoder divides its loss by the tokens it sees, whatever count it is told.",
        edit(
            BERT + "BertLMHeadModel.forward",
            ("vocab_size=self.config.vocab_size, **kwargs)", "vocab_size=self.config.vocab_size)"),
        ),
        ("test_decoding_layers_learn_the_next_token",),
        "bert-random",
    ),
    Fault(
        "recomputed-without-the-other-mask",
        "Computed anew, BERT's layers as a decoder attend to masked positions of the other model.",
        edit(
            BERT + "BertEncoder.forward",
            (
                "encoder_attention_mask=encoder_attention_mask",
                "encoder_attention_mask=None if layer_module.gradient_checkpointing else encoder_attention_mask",
            ),
        ),
        ("test_decoding_layers_learn_frugally",),
        "bert-random",
    ),
]
