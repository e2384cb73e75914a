"""What a configuration's file leaves out: files say only what departs from defaults, so these must stay what they were."""

from __future__ import annotations

import json

from fixtures.applicability import any_model, applies_to, convention, model_type, one_each
from fixtures.lazy import transformers
from fixtures.loading import SAFE
from fixtures.settings import rope_settings

USUAL = {"initializer_range": 0.02, "tie_word_embeddings": True, "num_labels": 2}
DROPS = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
# Devlin et al. 2019, section 3; google-bert/bert-base-uncased
BERT = (
    USUAL
    | DROPS
    | {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "classifier_dropout": None,
        "is_decoder": False,
        "add_cross_attention": False,
        "use_cache": True,
    }
)
# Dosovitskiy et al. 2021, table 1; google/vit-base-patch16-224
VIT = {
    "initializer_range": 0.02,
    "num_labels": 2,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "qkv_bias": True,
    "encoder_stride": 16,
}
# Su et al. 2021, section 3.3
ROPE = {"rope_theta": 10000.0, "rope_type": "default"}
# Touvron et al. 2023, table 2; huggyllama/llama-7b
LLAMA = {
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
    "num_labels": 2,
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope": ROPE,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "use_cache": True,
}
# Lewis et al. 2020, section 3; facebook/bart-large, and mBART by Liu et al. 2020, section 2
MBART = {
    "init_std": 0.02,
    "tie_word_embeddings": True,
    "num_labels": 2,
    "vocab_size": 50265,
    "d_model": 1024,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
    "activation_function": "gelu",
    "max_position_embeddings": 1024,
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "classifier_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "scale_embedding": False,
    "is_encoder_decoder": True,
    "forced_eos_token_id": 2,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": None,
    "use_cache": True,
}
# As https://huggingface.co/docs/transformers/model_doc/<family> documents them, unchanged in 4.46 to 5.23.
PUBLISHED = {
    "bert": BERT,
    # Liu et al. 2019 have 514 positions and one type, which their files say
    "roberta": BERT
    | {"vocab_size": 50265, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
    # Sanh et al. 2019, section 3; distilbert/distilbert-base-uncased
    "distilbert": USUAL
    | {
        "vocab_size": 30522,
        "dim": 768,
        "n_layers": 6,
        "n_heads": 12,
        "hidden_dim": 3072,
        "activation": "gelu",
        "max_position_embeddings": 512,
        "sinusoidal_pos_embds": False,
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "pad_token_id": 0,
    },
    # Radford et al. 2019, section 2.3; openai-community/gpt2
    "gpt2": USUAL
    | {
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_inner": None,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.1),
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        "bos_token_id": 50256,
        "eos_token_id": 50256,
        "use_cache": True,
    },
    "llama": LLAMA,
    # Jiang et al. 2023, table 1
    "mistral": {n: v for n, v in LLAMA.items() if n not in ("attention_bias", "mlp_bias")}
    | {
        "intermediate_size": 14336,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
    # Raffel et al. 2020, section 3.1.2; google-t5/t5-small
    "t5": {
        "tie_word_embeddings": True,
        "num_labels": 2,
        "vocab_size": 32128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 6,
        "num_decoder_layers": 6,
        "num_heads": 8,
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "dropout_rate": 0.1,
        "classifier_dropout": 0.0,
        "layer_norm_epsilon": 1e-6,
        "initializer_factor": 1.0,
        "feed_forward_proj": "relu",
        "is_encoder_decoder": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "use_cache": True,
    },
    "bart": MBART | {"num_labels": 3, "decoder_start_token_id": 2},
    "mbart": MBART,
    "vit": VIT,
    "deit": VIT,
}


@convention
@applies_to(any_model, model_type(*PUBLISHED), one_each)
def test_what_a_file_leaves_out_is_what_it_was(checkpoint, expect, tmp_path):
    """A configuration's file that names its model type alone means the model that the family was published with."""
    named = {"model_type": checkpoint.model_type}
    (tmp_path / "config.json").write_text(json.dumps(named), encoding="utf-8")
    config = transformers.AutoConfig.from_pretrained(tmp_path, **SAFE)
    wanted = PUBLISHED[checkpoint.model_type]
    value = {name: getattr(config, name, "absent") for name in wanted}
    if "rope" in wanted:
        value["rope"] = rope_settings(config.to_dict())
    found = {n: (value[n], wanted[n]) for n in wanted if value[n] != wanted[n]}
    call = f"AutoConfig.for_model({checkpoint.model_type!r})"
    expect.true(not found, found, "nothing here: field -> (value, published value)", call)
