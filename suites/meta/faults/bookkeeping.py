"""Faults of what is kept beside the weights: headers, indices, sizes, switches, dtypes of their own."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

MODEL = "modeling_utils:PreTrainedModel."
TOKENIZER = "tokenization_utils_base:PreTrainedTokenizerBase."
SAVING = MODEL + "save_pretrained"
RESIZING = MODEL + "_get_resized_embeddings"
RESIZED = "else:\n        old_embeddings.weight.data = new_embeddings.weight.data\n        "
COUNTED = "old_embeddings.num_embeddings = new_embeddings.weight.data.shape[0]"

FAULTS = [
    Fault(
        "prefix-of-one-file",
        "filename_prefix is not put before tokenizer_config.json.",
        edit(
            TOKENIZER + "save_pretrained",
            (
                '(filename_prefix + "-" if filename_prefix else "") + TOKENIZER_CONFIG_FILE',
                "TOKENIZER_CONFIG_FILE",
            ),
        ),
        ("test_saved_files_have_the_prefix",),
        "bert-masked",
    ),
    Fault(
        "special-tokens-pile-up",
        "New additional special tokens join the older ones although they replace them.",
        edit(
            TOKENIZER + "add_special_tokens",
            ("if replace_extra_special_tokens and new_tokens:", "if False:"),
        ),
        ("test_further_special_tokens_replace_or_join",),
        "bert-masked",
    ),
    Fault(
        "ids-alone-are-masked",
        "Rows without a mask get one of zeros when they are padded.",
        edit(
            TOKENIZER + "_pad",
            (
                'encoded_inputs["attention_mask"] = [1] * len',
                'encoded_inputs["attention_mask"] = [0] * len',
            ),
        ),
        ("test_finished_rows_are_padded_as_asked",),
        "bert-masked",
    ),
    Fault(
        "width-before-height",
        "A size of two numbers is read as width and height.",
        edit(
            "image_processing_utils:convert_to_size_dict",
            ('{"height": size[0], "width": size[1]}', '{"height": size[1], "width": size[0]}'),
        ),
        ("test_numbers_of_a_call_win",),
        "vit-shapes",
    ),
    Fault(
        "files-without-a-format",
        "Saved weights do not say that they are torch's.",
        edit(SAVING, ("metadata=metadata", "metadata=None")),
        ("test_saved_files_are_safetensors",),
        "bert-masked",
    ),
    Fault(
        "settings-of-decoders-only",
        "Generation settings of an encoder-decoder are not saved.",
        edit(SAVING, ("if self.can_generate():", "if not self.config.is_encoder_decoder:")),
        ("test_saved_files_are_safetensors",),
        "t5-reverse",
    ),
    Fault(
        "parameters-miscounted",
        "The index of a sharded model counts its weights' names, not their numbers.",
        edit(SAVING, ("self.num_parameters()", "len(list(self.parameters()))")),
        ("test_sharded_weights_are_the_same",),
        "bert-masked",
    ),
    Fault(
        "sizes-miscounted",
        "The index of a sharded model counts weights for bytes.",
        edit(SAVING, ("**state_dict_split.metadata", '"total_size": self.num_parameters()')),
        ("test_sharded_weights_are_the_same",),
        "bert-masked",
    ),
    Fault(
        "one-index-for-all",
        "The index of a variant in several files is written over the plain one.",
        edit(SAVING, ("_add_variant(save_index_file, variant)", "save_index_file")),
        ("test_variants_lie_beside_each_other",),
        "bert-masked",
    ),
    Fault(
        "frozen-rows-thaw",
        "Resized embeddings learn although they were frozen.",
        edit(
            MODEL + "_resize_token_embeddings",
            ("requires_grad_(old_embeddings_requires_grad)", "requires_grad_(True)"),
        ),
        ("test_new_rows_are_the_mean",),
        "bert-masked",
    ),
    Fault(
        "frozen-heads-thaw",
        "A resized output embedding learns although it was frozen.",
        edit(
            MODEL + "_resize_token_embeddings",
            ("requires_grad_(old_lm_head_requires_grad)", "requires_grad_(True)"),
        ),
        ("test_new_rows_are_the_mean",),
        "mistral-random",
    ),
    Fault(
        "padding-row-learns",
        "Resized embeddings forget which row is padding.",
        edit(RESIZING, (RESIZED, RESIZED + "old_embeddings.padding_idx = None; ")),
        ("test_new_rows_are_the_mean",),
        "bert-masked",
    ),
    Fault(
        "rows-as-they-were-counted",
        "Resized embeddings say that they have as many rows as before.",
        edit(RESIZING, (RESIZED + COUNTED, RESIZED + "pass")),
        ("test_new_rows_are_the_mean",),
        "bert-masked",
    ),
    Fault(
        "checkpointing-for-good",
        "Gradient checkpointing cannot be switched off.",
        edit(
            MODEL + "_set_gradient_checkpointing",
            ('setattr(module, "gradient_checkpointing", enable)', "pass"),
        ),
        ("test_checkpointing_can_be_switched_off",),
        "bert-masked",
    ),
    Fault(
        "buffers-alone",
        "A model's memory is that of its buffers.",
        edit(MODEL + "get_memory_footprint", ("mem = mem + mem_bufs", "mem = mem_bufs")),
        ("test_parameters_are_counted",),
        "bert-masked",
    ),
    Fault(
        "t5-overflows",
        "T5's last matrix of a feed-forward comes in float16 like the others.",
        edit(MODEL + "_get_dtype_plan", ("dtype == torch.float16", "False")),
        ("test_float16_is_honoured",),
        "t5-gated",
    ),
    Fault(
        "frequencies-rounded",
        "Rotary frequencies are rounded to the dtype of the weights.",
        edit(
            MODEL + "_init_weights",
            (
                "init.copy_(module.inv_freq, buffer_value)",
                "init.copy_(module.inv_freq, buffer_value.to(self.dtype))",
            ),
        ),
        ("test_bfloat16_is_honoured",),
        "llama-bytes",
    ),
    Fault(
        "t5-unclamped-behind-cross-attention",
        "T5 does not hold back what its cross-attention makes of float16.",
        edit(
            "models.t5.modeling_t5:T5Block.forward",
            (
                "if do_cross_attention:",
                "if not do_cross_attention:\n        pass\n    elif hidden_states.dtype == torch.float16:\n        hidden_states = self.layer[1](hidden_states, key_value_states=encoder_hidden_states, attention_mask=encoder_attention_mask, position_bias=encoder_decoder_position_bias, past_key_values=past_key_values)[0]\n    else:",
            ),
        ),
        ("test_float16_sums_stay_finite",),
        "t5-gated",
    ),
    Fault(
        "mbart-unclamped",
        "mBART's encoder lets float16 overflow.",
        edit(
            "models.mbart.modeling_mbart:MBartEncoderLayer.forward",
            ("hidden_states.dtype == torch.float16", "False"),
        ),
        ("test_float16_sums_stay_finite",),
        "mbart-random",
    ),
    Fault(
        "written-in-part-whatever-is-asked",
        "A configuration is written without its default values although all are asked for.",
        edit(
            "configuration_utils:PreTrainedConfig.to_json_string",
            ("if use_diff is True:", "if True:"),
        ),
        ("test_configuration_is_written_whole",),
        "gpt2-counting",
    ),
    Fault(
        "updates-of-new-fields-only",
        "Updating a configuration leaves the fields that it has.",
        edit(
            "configuration_utils:PreTrainedConfig.update",
            ("setattr(self, key, value)", "hasattr(self, key) or setattr(self, key, value)"),
        ),
        ("test_configuration_is_written_whole",),
        "bert-masked",
    ),
    Fault(
        "new-output-rows-at-random",
        "Rows added to an output embedding of its own are drawn anew, not around the mean.",
        edit(
            MODEL + "_get_resized_lm_head",
            ("elif new_num_tokens > old_num_tokens and mean_resizing:", "elif False:"),
        ),
        ("test_new_rows_are_the_mean",),
        "llama-bytes",
    ),
]
