"""Faults in caches: what is kept, where, how long, and for whom."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

CACHE = "cache_utils:"
DYNAMIC = CACHE + "DynamicLayer."
SLIDING = CACHE + "DynamicSlidingWindowLayer."
STATIC = CACHE + "StaticLayer."

FAULTS = [
    Fault(
        "cached-values-move",
        "Cached values move one place along in every step.",
        edit(
            DYNAMIC + "update",
            (
                "[self.values, value_states]",
                "[self.values.roll(1, dims=-2) if self.values.numel() else self.values, value_states]",
            ),
        ),
        ("test_beams_equal_textbook", "test_drafted_tokens_change_nothing"),
        "gpt2-counting",
    ),
    Fault(
        "cache-in-reverse",
        "New keys and values are put before the old ones.",
        edit(
            DYNAMIC + "update",
            ("[self.keys, key_states]", "[key_states, self.keys]"),
            ("[self.values, value_states]", "[value_states, self.values]"),
        ),
        ("test_cache_equals_whole", "test_cached_keys_are_the_same"),
        "llama-chat",
    ),
    Fault(
        "cache-length-off-by-one",
        "A cache says it holds one position less than it does.",
        edit(
            DYNAMIC + "get_seq_length",
            ("return self.keys.shape[-2]", "return self.keys.shape[-2] - 1"),
        ),
        ("test_beams_equal_textbook", "test_beam_batch_equals_singles", "test_greedy_text"),
        "bart-reverse",
    ),
    Fault(
        "cache-values-in-half",
        "Cached values are rounded to bfloat16.",
        edit(
            DYNAMIC + "update",
            (
                "[self.values, value_states]",
                "[self.values, value_states.bfloat16().to(value_states.dtype)]",
            ),
        ),
        ("test_cache_counts_positions_itself",),
        "llama-spm-only",
    ),
    Fault(
        "cache-shared-between-layers",
        "All layers share the first layer's slot.",
        edit(CACHE + "Cache.update", ("self.layers[layer_idx].update(", "self.layers[0].update(")),
        ("test_beams_equal_textbook", "test_a_full_mask_is_no_mask", "test_greedy_is_the_argmax"),
        "gpt2-counting",
    ),
    Fault(
        "cache-not-reordered",
        "Beam search does not reorder the cache.",
        edit(
            CACHE + "CacheLayerMixin.reorder_cache", ("if self.get_seq_length() > 0:", "if False:")
        ),
        ("test_beams_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "cache-reorders-keys-only",
        "Beam search reorders the keys and not the values.",
        edit(
            CACHE + "CacheLayerMixin.reorder_cache",
            ("self.values.index_select(0, beam_idx.to(self.values.device))", "self.values"),
        ),
        ("test_beams_equal_textbook",),
        "t5-reverse",
    ),
    Fault(
        "sliding-cache-too-short",
        "A sliding cache keeps one position too few.",
        edit(
            SLIDING + "update",
            (
                "full_key_states[:, :, -self.sliding_window + 1 :, :]",
                "full_key_states[:, :, -self.sliding_window + 2 :, :]",
            ),
            (
                "full_value_states[:, :, -self.sliding_window + 1 :, :]",
                "full_value_states[:, :, -self.sliding_window + 2 :, :]",
            ),
        ),
        ("test_beams_equal_textbook", "test_beam_batch_equals_singles", "test_greedy_text"),
        "mistral-sliding",
    ),
    Fault(
        "sliding-cache-mask-offset",
        "The mask over a full sliding cache is shifted by one.",
        edit(
            SLIDING + "get_mask_sizes",
            (
                "self.cumulative_length - self.sliding_window + 1",
                "self.cumulative_length - self.sliding_window",
            ),
        ),
        ("test_cache_counts_positions_itself", "test_greedy_is_the_argmax"),
        "mistral-random",
    ),
    Fault(
        "sliding-cache-keeps-the-first",
        "A full sliding cache keeps the oldest positions.",
        edit(
            SLIDING + "update",
            (
                "full_key_states[:, :, -self.sliding_window + 1 :, :]",
                "full_key_states[:, :, : self.sliding_window - 1, :]",
            ),
            (
                "full_value_states[:, :, -self.sliding_window + 1 :, :]",
                "full_value_states[:, :, : self.sliding_window - 1, :]",
            ),
        ),
        ("test_beams_equal_textbook", "test_cache_counts_positions_itself", "test_greedy_text"),
        "mistral-sliding",
    ),
    Fault(
        "cache-outlives-the-call",
        "A model without a cache of the caller's goes on with its last one.",
        edit(
            "models.llama.modeling_llama:LlamaModel.forward",
            (
                "past_key_values = DynamicCache(config=self.config)",
                "past_key_values = self.__dict__.setdefault('last', DynamicCache(config=self.config))",
            ),
        ),
        (
            "test_a_full_mask_is_no_mask",
            "test_cached_keys_are_the_same",
            "test_cache_does_not_leak_between_calls",
        ),
        "llama-chat",
    ),
    Fault(
        "encoder-states-stale",
        "T5's cross-attention goes on with the keys of an earlier input.",
        edit(
            "models.t5.modeling_t5:T5Attention.forward",
            (
                "value_states = self.v(current_states).view(kv_shape).transpose(1, 2)",
                "value_states = self.v(current_states).view(kv_shape).transpose(1, 2)\n"
                "        if is_cross_attention and past_key_values is not None:\n"
                "            last = self.__dict__.setdefault('last', key_states)\n"
                "            key_states = last if last.shape == key_states.shape else key_states",
            ),
        ),
        ("test_batch_order_changes_nothing", "test_dropout_only_in_train_mode"),
        "t5-reverse",
    ),
    Fault(
        "cross-cache-grows",
        "BART's cross-attention computes its keys anew and appends them in every step.",
        edit(
            "models.bart.modeling_bart:BartAttention.forward",
            ("past_key_values.is_updated[self.layer_idx] = True", "pass"),
        ),
        ("test_decoder_cache_equals_whole",),
        "bart-reverse",
    ),
    Fault(
        "cache-off-means-on",
        "use_cache=False returns a cache all the same.",
        edit(
            "models.gpt2.modeling_gpt2:GPT2Model.forward",
            (
                "past_key_values = past_key_values if use_cache else None",
                "past_key_values = past_key_values or DynamicCache(config=self.config)",
            ),
        ),
        ("test_no_cache_unless_wanted", "test_processed_greedy_is_the_argmax"),
        "gpt2-counting",
    ),
    Fault(
        "static-cache-slot-off-by-one",
        "A static cache writes new positions one slot too early.",
        edit(
            STATIC + "update",
            (
                "torch.arange(kv_length, device=self.device) + self.cumulative_length",
                "(torch.arange(kv_length, device=self.device) + self.cumulative_length - 1).clamp(min=0)",
            ),
        ),
        ("test_static_cache_changes_nothing",),
        "llama-chat",
    ),
    Fault(
        "static-sliding-cache-not-rolled",
        "A full static sliding cache overwrites its last position instead of rolling.",
        edit(
            CACHE + "StaticSlidingWindowLayer.update",
            ("self.keys.roll(-1, dims=-2)", "self.keys.clone()"),
            ("self.values.roll(-1, dims=-2)", "self.values.clone()"),
        ),
        ("test_static_cache_changes_nothing",),
        "mistral-sliding",
    ),
    Fault(
        "crop-keeps-values",
        "Taking back rejected tokens leaves one of them in the cache.",
        edit(
            DYNAMIC + "crop",
            (
                "self.keys[..., : -abs(tokens_to_remove), :]",
                "self.keys[..., : -abs(tokens_to_remove), :].roll(1, dims=-2)",
            ),
        ),
        ("test_drafted_tokens_change_nothing",),
        "gpt2-counting",
    ),
    Fault(
        "cache-repeats-in-turns",
        "A cache copied for several continuations is tiled instead of repeated row by row.",
        edit(
            DYNAMIC + "batch_repeat_interleave",
            ("self.keys.repeat_interleave(repeats, dim=0)", "self.keys.repeat(repeats, 1, 1, 1)"),
            (
                "self.values.repeat_interleave(repeats, dim=0)",
                "self.values.repeat(repeats, 1, 1, 1)",
            ),
        ),
        ("test_cache_rows_follow_the_caller",),
        "llama-chat",
    ),
]
