"""Faults in models made of a configuration: its defaults, ties, tables, activations and the heads' own dropouts."""

from __future__ import annotations

import pytest

from fixtures.lazy import transformers
from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BERT, DISTILBERT, GPT2, ROBERTA


def another_default(family: str, field: str, value: object):
    """A family's configuration means another value where a field is left out."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        kind = getattr(transformers, family)
        plain = kind.__init__
        patch.setattr(kind, "__init__", lambda self, **told: plain(self, **{field: value} | told))

    return apply


def untied_pretraining(patch: pytest.MonkeyPatch) -> None:
    """BertForPreTraining names no weights that are tied."""
    patch.setattr(transformers.BertForPreTraining, "_tied_weights_keys", {})


def bias_left_behind(patch: pytest.MonkeyPatch) -> None:
    """A larger head of its own takes the old weights over, not the old bias."""
    plain = transformers.PreTrainedModel._copy_lm_head_original_to_resized

    def copy(self, new, old, count, transposed, has_bias):
        plain(self, new, old, count, transposed, False)

    patch.setattr(transformers.PreTrainedModel, "_copy_lm_head_original_to_resized", copy)


def one_activation_for_all(patch: pytest.MonkeyPatch) -> None:
    """Each activation is made once and handed to every layer."""
    from transformers.activations import ClassInstantier

    plain, made = ClassInstantier.__getitem__, {}
    patch.setattr(
        ClassInstantier,
        "__getitem__",
        lambda self, name: made.setdefault(name, plain(self, name)),
    )


LEFT_OUT = ("test_what_a_file_leaves_out_is_what_it_was",)
TOLD_NOTHING = ("test_heads_told_to_drop_nothing_drop_nothing",)

FAULTS = [
    Fault(
        "unsaid-norms-are-torch-s",
        "A BERT whose file says nothing of its norms has torch's epsilon.",
        another_default("BertConfig", "layer_norm_eps", 1e-5),
        LEFT_OUT,
        "bert-random",
    ),
    Fault(
        "unsaid-window-is-none",
        "A Mistral whose file says nothing of a window has none.",
        another_default("MistralConfig", "sliding_window", None),
        LEFT_OUT,
        "mistral-random",
    ),
    Fault(
        "unsaid-patches-have-no-bias",
        "A DeiT whose file says nothing of biases has none in its attention.",
        another_default("DeiTConfig", "qkv_bias", False),
        LEFT_OUT,
        "deit-shapes",
    ),
    Fault(
        "pretraining-head-untied",
        "BERT for pre-training scores words by a matrix of its own.",
        untied_pretraining,
        ("test_each_head_that_writes_is_tied_as_configured",),
        "bert-random",
    ),
    Fault(
        "resized-head-loses-its-bias",
        "A masked language model that is not tied forgets its bias when it learns new tokens.",
        bias_left_behind,
        ("test_resizing_keeps_a_head_of_its_own",),
        "distilbert-random",
    ),
    Fault(
        "activations-are-shared",
        "All layers of all models learn one activation function.",
        one_activation_for_all,
        ("test_each_layer_has_an_activation_of_its_own",),
        "bert-masked",
    ),
    Fault(
        "sinusoids-turn-one-too-fast",
        "The cosines of DistilBERT's positions have the frequency of the next pair's sines.",
        edit(f"{DISTILBERT}_create_sinusoidal_embeddings", ("2 * (j // 2)", "2 * ((j + 1) // 2)")),
        ("test_positions_are_sinusoids_where_configured",),
        "distilbert-random",
    ),
    Fault(
        "zero-dropout-is-unsaid",
        "RoBERTa takes a head's dropout of zero for none that is said, and drops as its layers do.",
        edit(
            f"{ROBERTA}RobertaForTokenClassification.__init__",
            ("config.classifier_dropout is not None", "config.classifier_dropout"),
        ),
        TOLD_NOTHING,
        "roberta-random",
    ),
    Fault(
        "gpt2-heads-drop-a-tenth",
        "GPT-2's head drops out a tenth though its configuration says nothing of it.",
        edit(
            f"{GPT2}GPT2ForTokenClassification.__init__",
            ("config.classifier_dropout is not None", "config.classifier_dropout"),
            ("config.hidden_dropout is not None", "config.hidden_dropout"),
        ),
        TOLD_NOTHING,
        "gpt2-random",
    ),
    Fault(
        "last-token-is-counted",
        "LLaMA classifies a text at the place that its length counts to, wherever its padding is.",
        edit(
            "modeling_layers:GenericForSequenceClassification.forward",
            ("(token_indices * non_pad_mask).argmax(-1)", "non_pad_mask.sum(-1) - 1"),
        ),
        ("test_other_heads_equal_reference",),
        "llama-bytes",
    ),
    Fault(
        "embedded-choices-are-rows",
        "DistilBERT takes as many choices of embeddings as there are rows of them.",
        edit(
            f"{DISTILBERT}DistilBertForMultipleChoice.forward",
            ("else inputs_embeds.shape[1]", "else inputs_embeds.shape[0]"),
        ),
        ("test_heads_hand_on_what_they_are_given",),
        "distilbert-random",
    ),
    Fault(
        "embedded-tokens-have-no-type",
        "BERT's answers know no types of tokens that the caller looks up.",
        edit(
            f"{BERT}BertEmbeddings.forward",
            (
                "if inputs_embeds is None:",
                "if inputs_embeds is not None: token_type_ids = token_type_ids * 0\n    if inputs_embeds is None:",
            ),
        ),
        ("test_heads_hand_on_what_they_are_given", "test_embeddings_equal_ids"),
        "bert-random",
    ),
    Fault(
        "own-head-is-not-rounded-up",
        "Rows are added up to a multiple to the input, not to an output of its own.",
        edit(
            "modeling_utils:PreTrainedModel._resize_token_embeddings",
            (
                "else:\n            new_num_tokens = new_embeddings.weight.shape[0]",
                "else:\n            pass",
            ),
        ),
        ("test_resizing_keeps_a_head_of_its_own",),
        "llama-bytes",
    ),
    Fault(
        "padding-beyond-the-end",
        "A padding token that is cut off is still looked for.",
        edit(
            "modeling_utils:PreTrainedModel._get_resized_embeddings",
            # once where memory is sharded, once where it is not
            *[("(new_num_tokens - 1) < old_emb", "new_num_tokens < old_emb")] * 2,
        ),
        ("test_padding_may_be_cut_off",),
        "bert-random",
    ),
    Fault(
        "own-head-always-the-mean",
        "Rows added to an output of its own are the mean of the old ones, whatever is asked for.",
        edit(
            "modeling_utils:PreTrainedModel._resize_token_embeddings",
            (
                "_get_resized_lm_head(old_lm_head, new_num_tokens, mean_resizing=mean_resizing)",
                "_get_resized_lm_head(old_lm_head, new_num_tokens)",
            ),
        ),
        ("test_new_rows_are_drawn_as_configured",),
        "llama-bytes",
    ),
    Fault(
        "encoder-shares-the-configuration",
        "T5's encoder writes what it is into the configuration of the whole.",
        edit(
            "models.t5.modeling_t5:T5ForConditionalGeneration.__init__",
            ("encoder_config = copy.deepcopy(config)", "encoder_config = config"),
        ),
        ("test_making_a_model_leaves_its_configuration",),
        "t5-random",
    ),
    Fault(
        "last-positions-stay",
        "Of a table of positions that is cut the last ones stay.",
        edit(
            "models.distilbert.modeling_distilbert:DistilBertModel.resize_position_embeddings",
            ("[:num_position_embeds_diff]", "[-num_position_embeds_diff:]"),
        ),
        ("test_positions_can_be_fewer_or_more",),
        "distilbert-random",
    ),
]
