"""Faults in what a caller does to a cache: crop, reset, choose rows, fill a fixed one in pieces."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

CACHE = "cache_utils:"
RESET = CACHE + "CacheLayerMixin.reset"
STATIC_SLIDING = CACHE + "StaticSlidingWindowLayer."
BOTH = CACHE + "EncoderDecoderCache."

FAULTS = [
    Fault(
        "selected-rows-keep-the-first-values",
        "Choosing rows of a cache chooses their keys and keeps the values of the first rows.",
        edit(
            CACHE + "DynamicLayer.batch_select_indices",
            ("self.values[indices, ...]", "self.values[: len(indices)]"),
        ),
        ("test_cache_rows_follow_the_caller",),
        "llama-chat",
    ),
    Fault(
        "reset-sliding-cache-counts-on",
        "A sliding cache that was reset goes on counting positions.",
        edit(RESET, ("self.cumulative_length = 0", "pass")),
        ("test_a_reset_cache_starts_anew",),
        "mistral-sliding",
    ),
    Fault(
        "reset-fixed-cache-writes-on",
        "A fixed cache that was reset goes on writing behind what it held.",
        edit(RESET, ("self.cumulative_length.zero_()", "pass")),
        ("test_a_reset_cache_starts_anew",),
        "llama-chat",
    ),
    Fault(
        "sliding-crop-one-off",
        "A full sliding cache cut back counts one position too many.",
        edit(
            CACHE + "DynamicSlidingWindowLayer.crop",
            (
                "self.cumulative_length - tokens_to_remove",
                "self.cumulative_length - tokens_to_remove + 1",
            ),
        ),
        ("test_sliding_cache_is_cut_back",),
        "mistral-sliding",
    ),
    Fault(
        "encoder-decoder-cache-not-cut",
        "Cutting an encoder-decoder's cache back does nothing.",
        edit(BOTH + "crop", ("self.self_attention_cache.crop(tokens_to_remove)", "pass")),
        ("test_both_caches_follow_the_caller",),
        "t5-reverse",
    ),
    Fault(
        "encoder-states-not-repeated",
        "Repeating the rows of an encoder-decoder's cache forgets the encoder's.",
        edit(
            BOTH + "batch_repeat_interleave",
            ("self.cross_attention_cache.batch_repeat_interleave(repeats)", "pass"),
        ),
        ("test_both_caches_follow_the_caller",),
        "bart-random",
    ),
    Fault(
        "reset-cache-reads-the-last-encoder",
        "An encoder-decoder's cache that was reset believes that it still holds the encoder's states.",
        edit(BOTH + "reset", ("self.is_updated[layer_idx] = False", "pass")),
        ("test_both_caches_start_anew",),
        "t5-reverse",
    ),
    Fault(
        "full-fixed-window-drops-the-newest",
        "A second piece on a full fixed window drops its newest key instead of the oldest.",
        edit(
            STATIC_SLIDING + "update",
            ("(self.keys[:, :, 1:, :], key_states)", "(self.keys[:, :, :-1, :], key_states)"),
        ),
        ("test_fixed_cache_is_filled_in_pieces",),
        "mistral-random",
    ),
    Fault(
        "filling-fixed-window-takes-the-end",
        "A piece that fills a fixed window is put behind its empty end.",
        edit(
            STATIC_SLIDING + "update",
            (
                "self.values[:, :, :current_length, :]",
                "self.values[:, :, -current_length:, :]",
            ),
        ),
        ("test_fixed_cache_is_filled_in_pieces",),
        "mistral-sliding",
    ),
    Fault(
        "t5-fixed-cache-bias-one-step-off",
        "T5 reads how much a fixed cache holds after it has grown.",
        edit(
            "models.t5.modeling_t5:T5Attention.forward",
            (
                "past_seen_tokens.clone() if isinstance(past_seen_tokens, torch.Tensor) else past_seen_tokens",
                "past_seen_tokens",
            ),
        ),
        ("test_static_cache_changes_nothing",),
        "t5-reverse",
    ),
    Fault(
        "short-sliding-crop-counts-on",
        "A sliding cache cut back before it is full goes on counting where it was.",
        edit(
            "cache_utils:DynamicSlidingWindowLayer.crop",
            ("self.cumulative_length = self.keys.shape[-2]", "pass"),
        ),
        ("test_sliding_cache_is_cut_back",),
        "mistral-sliding",
    ),
    Fault(
        "window-lost-in-copying",
        "A cache made of the tensors of one with a window keeps everything.",
        edit(
            f"{CACHE}DynamicCache.__init__",
            (
                "layers.append(DynamicSlidingWindowLayer(sliding_window=sliding_window_tensor.item()))",
                "layers.append(DynamicLayer())",
            ),
        ),
        ("test_a_cache_made_anew_keeps_as_many",),
        "mistral-sliding",
    ),
]
