"""Faults in labels and losses."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, DISTILBERT, MBART, ROBERTA, T5

LOSS = "loss.loss_utils:"

FAULTS = [
    Fault(
        "distilbert-tagger-loss-counts-ignored",
        "DistilBERT's tagging loss counts positions marked to be ignored.",
        edit(
            DISTILBERT + "DistilBertForTokenClassification.forward",
            ("labels.view(-1))", "labels.view(-1).clamp(min=0))"),
        ),
        ("test_loss_equals_reference", "test_gradients_equal_reference"),
        "distilbert-tagger",
    ),
    Fault(
        "regression-by-absolute-error",
        "The loss of a regression head is the absolute error.",
        edit(
            ROBERTA + "RobertaForSequenceClassification.forward",
            ("loss_fct = MSELoss()", "loss_fct = nn.L1Loss()"),
        ),
        ("test_loss_equals_reference", "test_gradients_equal_reference"),
        "roberta-random",
    ),
    Fault(
        "several-labels-by-cross-entropy",
        "The loss of a multi-label head is a cross entropy.",
        edit(
            DISTILBERT + "DistilBertForSequenceClassification.forward",
            ("BCEWithLogitsLoss()", "CrossEntropyLoss()"),
        ),
        ("test_loss_equals_reference", "test_gradients_equal_reference"),
        "distilbert-random",
    ),
    Fault(
        "span-loss-not-halved",
        "The loss of a span is the sum of its two losses.",
        edit(
            ROBERTA + "RobertaForQuestionAnswering.forward",
            ("(start_loss + end_loss) / 2", "(start_loss + end_loss)"),
        ),
        ("test_loss_equals_reference", "test_gradients_equal_reference"),
        "roberta-span",
    ),
    Fault(
        "loss-not-shifted",
        "The loss of a decoder compares each token with its own logits.",
        edit(LOSS + "ForCausalLMLoss", ("labels[..., 1:]", "labels[..., :-1]")),
        (
            "test_loss_equals_reference",
            "test_gradients_equal_reference",
            "test_loss_is_the_mean_negative_log_probability",
        ),
        "gpt2-counting",
    ),
    Fault(
        "loss-counts-ignored-labels",
        "Labels of -100 are counted as the first token.",
        edit(
            LOSS + "fixed_cross_entropy",
            ("cross_entropy(source, target,", "cross_entropy(source, target.clamp(min=0),"),
        ),
        (
            "test_loss_equals_reference",
            "test_gradients_equal_reference",
            "test_loss_is_divided_by_the_count_given",
        ),
        "llama-chat",
    ),
    Fault(
        "accumulated-loss-ignored",
        "num_items_in_batch is ignored.",
        edit(
            LOSS + "fixed_cross_entropy",
            ("loss = loss / num_items_in_batch", "loss = loss / target.ne(ignore_index).sum()"),
        ),
        ("test_loss_is_divided_by_the_count_given",),
        "llama-chat",
    ),
    Fault(
        "t5-labels-not-shifted",
        "T5 given labels feeds its decoder the labels themselves.",
        edit(
            T5 + "T5PreTrainedModel._shift_right",
            (
                "shifted_input_ids[..., 1:] = input_ids[..., :-1].clone()",
                "shifted_input_ids[...] = input_ids",
            ),
        ),
        ("test_labels_make_the_decoder_inputs",),
        "t5-reverse",
    ),
    Fault(
        "bart-wrong-start",
        "BART given labels starts its decoder with padding.",
        edit(
            BART + "shift_tokens_right",
            (
                "shifted_input_ids[:, 0] = decoder_start_token_id",
                "shifted_input_ids[:, 0] = pad_token_id",
            ),
        ),
        ("test_labels_make_the_decoder_inputs",),
        "bart-reverse",
    ),
    Fault(
        "bart-ignored-labels-reach-the-decoder",
        "Ignored labels are fed to BART's decoder as the first token.",
        edit(
            BART + "shift_tokens_right",
            ("shifted_input_ids == -100, pad_token_id", "shifted_input_ids == -100, 0"),
        ),
        ("test_labels_make_the_decoder_inputs",),
        "bart-random",
    ),
    Fault(
        "mbart-language-not-moved",
        "mBART's decoder does not start with the language at the end of the labels.",
        edit(MBART + "shift_tokens_right", (".sum(dim=1) - 1)", ".sum(dim=1) - 2)")),
        ("test_labels_make_the_decoder_inputs",),
        "mbart-transliterate",
    ),
    Fault(
        "labels-rotated-in-the-config",
        "id2label names each label by the next one's name.",
        edit(
            "configuration_utils:PreTrainedConfig.__post_init__",
            ("int(key): value", "(int(key) + 1) % len(self.id2label): value"),
        ),
        (
            "test_a_batch_of_sentences_gets_its_labels",
            "test_sentences_get_their_labels",
            "test_every_label_has_a_name",
        ),
        "bert-sentiment",
    ),
    Fault(
        "loss-summed",
        "A loss is the sum over tokens, not the mean.",
        edit(LOSS + "fixed_cross_entropy", ('else "mean"', 'else "sum"')),
        ("test_loss_equals_reference", "test_gradients_equal_reference"),
        "vit-shapes",
    ),
    Fault(
        "shifted-labels-ignored",
        "Labels that the caller has shifted are ignored.",
        edit("loss.loss_utils:ForCausalLMLoss", ("if shift_labels is None:", "if True:")),
        ("test_shifted_labels_may_be_given",),
        "llama-chat",
    ),
    Fault(
        "loss-in-half-precision",
        "The loss of a decoder in bfloat16 is computed in bfloat16.",
        edit("loss.loss_utils:ForCausalLMLoss", ("logits = logits.float()", "pass")),
        ("test_half_precision_loss_is_not_rounded",),
        "llama-chat",
    ),
    Fault(
        "loss-left-out",
        "LLaMA's token classifier returns no loss.",
        edit(
            "modeling_layers:GenericForTokenClassification.forward",
            ("if labels is not None:", "if False:"),
        ),
        ("test_other_heads_equal_reference",),
        "llama-bytes",
    ),
    Fault(
        "attentions-left-out",
        "BART's classifier does not hand on how its encoder attends.",
        edit(
            "models.bart.modeling_bart:BartForSequenceClassification.forward",
            ("encoder_attentions=outputs.encoder_attentions,", ""),
        ),
        ("test_other_heads_equal_reference",),
        "bart-random",
    ),
    Fault(
        "positions-in-a-column-refused",
        "BERT's question answering takes positions in a row only.",
        edit(
            "models.bert.modeling_bert:BertForQuestionAnswering.forward",
            ("if len(start_positions.size()) > 1:", "if False:"),
        ),
        ("test_other_heads_equal_reference",),
        "bert-random",
    ),
    Fault(
        "two-labels-are-two-questions",
        "A classifier of two labels, told no problem_type, is trained as if a text could have both.",
        edit(
            "loss.loss_utils:ForSequenceClassificationLoss",
            ("if num_labels > 1 and", "if num_labels > 2 and"),
        ),
        ("test_other_heads_equal_reference",),
        "mistral-random",
    ),
    Fault(
        "problem-type-unheard",
        "T5's classifier decides by its labels what it is trained for, whatever it was told.",
        edit(
            "models.t5.modeling_t5:T5ForSequenceClassification.forward",
            ("if self.config.problem_type is None:", "if True:"),
        ),
        ("test_loss_follows_the_labels",),
        "t5-random",
    ),
    Fault(
        "column-of-numbers-is-spread",
        "A column of numbers to learn is compared with every row.",
        edit(f"{LOSS}ForSequenceClassificationLoss", ("labels.squeeze()", "labels")),
        ("test_loss_follows_the_labels",),
        "llama-bytes",
    ),
    Fault(
        "one-label-is-always-a-number",
        "A single label is learnt as a number, whatever problem is told.",
        edit(
            f"{LOSS}ForSequenceClassificationLoss",
            (
                "if config.problem_type is None:",
                "if config.problem_type is None or num_labels == 1:",
            ),
        ),
        ("test_loss_follows_the_labels",),
        "llama-bytes",
    ),
    Fault(
        "loss-of-pictures-not-counted",
        "A classifier's loss is the mean of its rows, whatever count is given.",
        edit(
            f"{LOSS}ForSequenceClassificationLoss",
            ("labels.view(-1), **kwargs)", "labels.view(-1))"),
        ),
        ("test_loss_of_pictures_is_divided_by_the_count_given",),
        "vit-random",
    ),
]
