"""Faults that show in some rows of a batch, in labels, or in training under the default attention only."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, ROBERTA, T5


def copies_keep_the_first_layers(patch):
    """A model that failed once wraps its layers' forward in functions that keep the layers."""
    from transformers import LlamaModel

    call = LlamaModel.__call__

    def kept(forward):
        def wrapped(*given, **options):
            return forward(*given, **options)

        return wrapped

    def failing(model, *given, **options):
        try:
            return call(model, *given, **options)
        except Exception:
            for layer in model.layers:
                layer.forward = kept(layer.forward)
            raise

    patch.setattr(LlamaModel, "__call__", failing)


FAULTS = [
    Fault(
        "padding-judged-by-the-last-row",
        "A batch whose last row is full is attended to with its padding.",
        edit(
            "masking_utils:_ignore_causal_mask_sdpa",
            ("fast_all(padding_mask))", "fast_all(padding_mask[-1:]))"),
        ),
        ("test_sdpa_outputs_equal_reference",),
        "gpt2-random",
    ),
    Fault(
        "fused-attention-never-drops",
        "The default attention kernel has no dropout in training.",
        edit(
            "integrations.sdpa_attention:sdpa_attention_forward",
            ("dropout_p=dropout,", "dropout_p=0.0,"),
        ),
        ("test_dropping_everything_silences_the_branch",),
        "bert-random",
    ),
    Fault(
        "classified-at-the-first-end",
        "BART classifies a pair at the end of its first text.",
        edit(
            BART + "BartForSequenceClassification.forward",
            ("hidden_states.size(-1))[:, -1, :]", "hidden_states.size(-1))[:, 0, :]"),
        ),
        ("test_pair_is_classified_at_its_last_end",),
        "bart-topics",
    ),
    Fault(
        "last-position-ignored",
        "RoBERTa's question answering ignores an answer that ends at the last position.",
        edit(
            ROBERTA + "RobertaForQuestionAnswering.forward",
            ("ignored_index = start_logits.size(1)", "ignored_index = start_logits.size(1) - 1"),
        ),
        ("test_loss_equals_reference",),
        "roberta-span",
    ),
    Fault(
        "labels-overwritten",
        "T5 writes padding into the labels it is given.",
        edit(
            T5 + "T5PreTrainedModel._shift_right",
            (
                "shifted_input_ids = input_ids.new_zeros(input_ids.shape)",
                "input_ids.masked_fill_(input_ids == -100, pad_token_id); "
                "shifted_input_ids = input_ids.new_zeros(input_ids.shape)",
            ),
        ),
        ("test_labels_make_the_decoder_inputs",),
        "t5-random",
    ),
    Fault(
        "types-of-the-first-row-only",
        "Without token types, BERT's rows after the first are of the second type.",
        edit(
            BERT + "BertEmbeddings.forward",
            (
                "buffered_token_type_ids.expand(batch_size, seq_length)",
                "buffered_token_type_ids.expand(batch_size, seq_length).clone()"
                ".index_fill_(0, torch.arange(1, batch_size), 1)",
            ),
        ),
        ("test_no_types_are_types_of_zero",),
        "bert-random",
    ),
    Fault(
        "positions-of-the-first-row",
        "BERT takes the first row's positions for all rows.",
        edit(
            BERT + "BertEmbeddings.forward",
            (
                "self.position_embeddings(position_ids)",
                "self.position_embeddings(position_ids[:1])",
            ),
        ),
        ("test_given_positions_equal_reference",),
        "bert-random",
    ),
    Fault(
        "packed-if-the-first-row-is",
        "Rows are packed only where the first one is.",
        edit(
            "masking_utils:find_packed_sequence_indices",
            ("(packed_sequence_mask[:, -1] == 0).all()", "packed_sequence_mask[0, -1] == 0"),
        ),
        ("test_packed_sequences_are_apart",),
        "llama-chat",
    ),
    Fault(
        "causal-from-the-cache-s-beginning",
        "Several tokens on top of a cache without a mask see its beginning alone, in the fused kernel.",
        edit("masking_utils:_ignore_causal_mask_sdpa", ("if q_offset == 0 and (", "if (")),
        ("test_cache_counts_positions_itself",),
        "gpt2-counting",
    ),
    Fault(
        "two-logits-for-one",
        "logits_to_keep=1 keeps two.",
        edit(
            "modeling_utils:slice_logits_to_keep",
            ("slice(-logits_to_keep, None)", "slice(-max(logits_to_keep, 2), None)"),
        ),
        ("test_kept_logits_are_the_last",),
        "llama-chat",
    ),
    Fault(
        "loss-divided-by-the-larger-count",
        "num_items_in_batch counts only where it is more than there are tokens.",
        edit(
            "loss.loss_utils:fixed_cross_entropy",
            ("loss / num_items_in_batch", "loss / max(num_items_in_batch, source.shape[0])"),
        ),
        ("test_loss_is_divided_by_the_count_given",),
        "llama-chat",
    ),
    Fault(
        "linear-scaling-by-whole-numbers",
        "Linear rotary scaling cuts its factor to a whole number.",
        edit(
            "modeling_rope_utils:_compute_linear_scaling_rope_parameters",
            ("inv_freq /= factor", "inv_freq /= int(factor)"),
        ),
        ("test_each_rotary_number_acts",),
        "llama-chat",
    ),
    Fault(
        "failed-calls-leave-hooks",
        "A copy's layers are the first model's, once a call has failed.",
        copies_keep_the_first_layers,
        ("test_copies_are_equal_and_apart",),
        "llama-chat",
    ),
    Fault(
        "cut-off-answers-are-the-last-token",
        "BERT learns the last token for an answer that was cut off.",
        edit(
            BERT + "BertForQuestionAnswering.forward",
            (
                "start_positions = start_positions.clamp(0, ignored_index)",
                "start_positions = start_positions.clamp(0, ignored_index - 1)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "bert-masked",
    ),
    Fault(
        "t5-question-read-without-a-start",
        "T5's question answering reads the text without a start token before it.",
        edit(T5 + "T5ForQuestionAnswering.forward", ("self._shift_right(input_ids)", "input_ids")),
        ("test_other_heads_equal_reference",),
        "t5-random",
    ),
    Fault(
        "t5-classifier-reads-without-a-start",
        "T5's classifier reads the text without a start token before it.",
        edit(
            T5 + "T5ForSequenceClassification.forward",
            ("self._shift_right(input_ids)", "input_ids"),
        ),
        ("test_other_heads_equal_reference",),
        "t5-random",
    ),
    Fault(
        "prepared-booleans-added",
        "A prepared mask of booleans is added to the scores as ones and zeros.",
        edit(
            "masking_utils:_preprocess_mask_arguments",
            (
                "return True, attention_mask, None",
                "return True, attention_mask.to(inputs_embeds.dtype), None",
            ),
        ),
        ("test_prepared_mask_equals_mask",),
        "llama-chat",
    ),
]
