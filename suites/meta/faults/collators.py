"""Faults in the collation of rows for training."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

COLLATE = "data.data_collator:"
MASK = f"{COLLATE}DataCollatorForLanguageModeling."

FAULTS = [
    Fault(
        "labels-keep-their-old-name",
        "Collated labels are left under the name they had in a row.",
        edit(
            f"{COLLATE}DataCollatorWithPadding.__call__",
            ('if "label" in batch', "if False"),
        ),
        ("test_batches_for_training_are_padded",),
        "bert-sentiment",
    ),
    Fault(
        "labels-padded-on-the-right-only",
        "Labels are padded on the right where ids are on the left.",
        edit(
            f"{COLLATE}DataCollatorForTokenClassification.torch_call",
            ('padding_side == "right"', "True"),
        ),
        ("test_batches_for_training_are_padded",),
        "bert-sentiment",
    ),
    Fault(
        "target-padding-is-learnt",
        "Padding among the labels of a sequence to sequence model is counted.",
        edit(
            f"{COLLATE}DataCollatorForSeq2Seq.__call__",
            ("label + [self.label_pad_token_id] *", "label + [0] *"),
        ),
        ("test_batches_for_training_are_padded",),
        "t5-gated",
    ),
    Fault(
        "choices-are-questions",
        "Choices are counted as questions and questions as choices.",
        edit(
            f"{COLLATE}DataCollatorForMultipleChoice.torch_call",
            ("v.view(batch_size, num_choices, -1)", "v.view(num_choices, batch_size, -1)"),
        ),
        ("test_choices_of_a_question_stay_together",),
        "bert-sentiment",
    ),
    Fault(
        "whole-labels-become-fractions",
        "Rows whose labels are numpy's whole numbers are stacked as for a regression.",
        edit(
            f"{COLLATE}torch_default_data_collator",
            ("isinstance(label, (int, np.integer))", "isinstance(label, int)"),
        ),
        ("test_labels_keep_their_kind",),
        "bert-sentiment",
    ),
    Fault(
        "causal-padding-is-learnt",
        "A causal language model's labels count padding.",
        edit(f"{MASK}torch_call", ("= -100", "= 0")),
        ("test_language_models_learn_their_input",),
        "bart-random",
    ),
    Fault(
        "special-tokens-are-masked",
        "Special tokens are drawn for masking like all others.",
        edit(
            f"{MASK}torch_mask_tokens", ("(no_mask_mask, value=0.0)", "(no_mask_mask, value=0.5)")
        ),
        ("test_masked_models_learn_what_is_masked",),
        "roberta-masked",
    ),
    Fault(
        "fewer-random-words",
        "Of the ids drawn, those left after masking are never replaced at random.",
        edit(f"{MASK}torch_mask_tokens", ("& ~indices_replaced", "& indices_replaced")),
        ("test_masked_models_learn_what_is_masked",),
        "roberta-masked",
    ),
    Fault(
        "labels-as-long-as-allowed",
        "Labels are padded to the greatest length, not to the longest.",
        edit(
            f"{COLLATE}DataCollatorForSeq2Seq.__call__",
            ("self.padding == PaddingStrategy.MAX_LENGTH and", ""),
        ),
        ("test_batches_for_training_are_padded",),
        "t5-gated",
    ),
    Fault(
        "rows-learn-across-their-border",
        "Of rows side by side the first token is to be learnt from the row before.",
        edit(
            f"{COLLATE}DataCollatorWithFlattening.__call__",
            ("separator_id = self.separator_id", "separator_id = 1"),
        ),
        ("test_rows_side_by_side_are_told_apart",),
        "bert-sentiment",
    ),
    Fault(
        "array-labels-padded-behind",
        "Labels of tokens in arrays are padded behind, whichever side the rows are.",
        edit(
            f"{COLLATE}DataCollatorForTokenClassification.numpy_call",
            ('padding_side == "right"', "padding_side"),
        ),
        ("test_batches_for_training_are_padded",),
        "bert-sentiment",
    ),
    Fault(
        "bare-ids-padded-behind",
        "Rows of ids alone are padded behind, whichever side is asked for.",
        edit(f"{COLLATE}_torch_collate_batch", ('padding_side == "right"', "padding_side")),
        ("test_language_models_learn_their_input",),
        "bert-sentiment",
    ),
    Fault(
        "arrays-learn-padding",
        "Padding in arrays counts as something to learn.",
        edit(
            f"{MASK}numpy_call",
            ("labels[labels == self.tokenizer.pad_token_id] = -100", "pass"),
        ),
        ("test_language_models_learn_their_input",),
        "bert-sentiment",
    ),
    Fault(
        "arrays-always-masked",
        "All that is drawn from arrays is masked, none kept or replaced.",
        edit(f"{MASK}numpy_mask_tokens", ("self.mask_replace_prob == 1", "True")),
        ("test_masked_models_learn_what_is_masked",),
        "bert-sentiment",
    ),
    Fault(
        "pieces-drawn-alone",
        "Of a word that is drawn as a whole, its first piece is masked alone.",
        edit(
            f"{MASK}_whole_word_mask",
            ("np.any(same_word & mask[:, None, :], axis=2)", "mask"),
        ),
        ("test_whole_words_are_drawn",),
        "bert-sentiment",
    ),
    Fault(
        "first-word-never-drawn",
        "The word behind the first special token is never drawn.",
        edit(
            f"{MASK}_calc_word_ids_and_prob_mask",
            ("prev_token_special == 1", "prev_token_special == 2"),
        ),
        ("test_whole_words_are_drawn",),
        "roberta-masked",
    ),
    Fault(
        "collator-seed-ignored",
        "A collator draws anew whatever seed it was given.",
        edit(f"{MASK}get_generator", ("manual_seed(seed)", "manual_seed(torch.seed())")),
        ("test_draws_of_a_seed_are_repeated",),
        "bert-sentiment",
    ),
    Fault(
        "labels-overshoot-the-multiple",
        "Labels that are a multiple long are padded to the next one.",
        edit(
            f"{COLLATE}DataCollatorForSeq2Seq.__call__",
            (
                "max_label_length + self.pad_to_multiple_of - 1",
                "max_label_length + self.pad_to_multiple_of",
            ),
        ),
        ("test_labels_are_as_long_as_told",),
        "bert-sentiment",
    ),
    Fault(
        "labels-know-no-maximum",
        "Labels are padded to the longest where rows are to a maximum.",
        edit(
            f"{COLLATE}DataCollatorForSeq2Seq.__call__",
            (
                "self.padding == PaddingStrategy.MAX_LENGTH and",
                "self.padding is PaddingStrategy.MAX_LENGTH and",
            ),
        ),
        ("test_labels_are_as_long_as_told",),
        "t5-gated",
    ),
    Fault(
        "each-call-begins-anew",
        "A collator of a seed draws the same in every call.",
        edit(
            f"{MASK}torch_call",
            ("self.seed is not None and self.generator is None", "self.seed is not None"),
        ),
        ("test_draws_of_a_seed_are_repeated",),
        "roberta-masked",
    ),
    Fault(
        "positions-begin-at-none",
        "Flattened rows count from 0 wherever they should begin.",
        edit(
            f"{COLLATE}DataCollatorWithFlattening.__call__",
            ("self.position_ids_start + i for i", "i for i"),
        ),
        ("test_positions_begin_where_told",),
        "roberta-masked",
    ),
    Fault(
        "rows-separated-by-the-usual",
        "Flattened rows are told apart by -100 whatever separator is asked for.",
        edit(
            f"{COLLATE}DataCollatorWithFlattening.__call__",
            ("separator_id = self.separator_id", "separator_id = -100"),
        ),
        ("test_rows_side_by_side_are_told_apart",),
        "roberta-masked",
    ),
    Fault(
        "left-labels-uncounted-as-usual",
        "Labels of tokens padded on the left are filled with -100, whatever is told.",
        edit(
            COLLATE + "DataCollatorForTokenClassification.torch_call",
            (
                "[self.label_pad_token_id] * (sequence_length - len(label)) + to_list(label)",
                "[-100] * (sequence_length - len(label)) + to_list(label)",
            ),
        ),
        ("test_labels_are_filled_as_told",),
        "bert-sentiment",
    ),
    Fault(
        "not-padding-said-in-words",
        "Told in words not to pad, the collator of sequences pads labels.",
        edit(
            COLLATE + "DataCollatorForSeq2Seq.__call__",
            (
                "self.padding is False or self.padding == PaddingStrategy.DO_NOT_PAD",
                "self.padding is False",
            ),
        ),
        ("test_unpadded_labels_stay_as_long",),
        "bert-sentiment",
    ),
]
