"""Faults that show in some rows of a batch, in labels, or in training under the default attention only."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, ROBERTA, T5

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
        ("test_each_dropout_acts_alone",),
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
]
