"""Faults behind the layers: pooling, heads, and what is handed to the caller."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, DISTILBERT, GPT2, MBART, ROBERTA, T5, VIT

CAPTURE = "utils.output_capturing:"

SUMMARISED = ("test_choices_are_summarised_as_configured",)

FAULTS = [
    Fault(
        "pooler-without-tanh",
        "BERT's pooler leaves out its tanh.",
        edit(BERT + "BertPooler.forward", ("self.activation(pooled_output)", "pooled_output")),
        (
            "test_outputs_equal_reference",
            "test_given_positions_equal_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bert-random",
    ),
    Fault(
        "pooler-reads-the-last-token",
        "BERT pools the last token, which may be padding.",
        edit(BERT + "BertPooler.forward", ("hidden_states[:, 0]", "hidden_states[:, -1]")),
        (
            "test_outputs_equal_reference",
            "test_a_batch_of_sentences_gets_its_labels",
            "test_half_precision_is_close",
        ),
        "bert-sentiment",
    ),
    Fault(
        "masked-head-not-normalised",
        "The head for masked words skips its norm.",
        edit(
            BERT + "BertPredictionHeadTransform.forward",
            ("hidden_states = self.LayerNorm(hidden_states)", "pass"),
        ),
        (
            "test_outputs_equal_reference",
            "test_given_positions_equal_reference",
            "test_half_precision_is_close",
        ),
        "bert-masked",
    ),
    Fault(
        "tagger-reads-shifted-states",
        "BERT's tagger labels each token by its left neighbour.",
        edit(
            BERT + "BertForTokenClassification.forward",
            ("sequence_output = outputs[0]", "sequence_output = outputs[0].roll(1, dims=1)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_aggregated_entities",
            "test_left_padded_outputs_equal_reference",
        ),
        "bert-cased-tagger",
    ),
    Fault(
        "roberta-head-without-tanh",
        "RoBERTa's classifier leaves out its tanh.",
        edit(ROBERTA + "RobertaClassificationHead.forward", ("x = torch.tanh(x)", "pass")),
        (
            "test_outputs_equal_reference",
            "test_given_positions_equal_reference",
            "test_half_precision_is_close",
        ),
        "roberta-sentiment",
    ),
    Fault(
        "roberta-masked-head-relu",
        "RoBERTa's head for masked words uses ReLU.",
        edit(ROBERTA + "RobertaLMHead.forward", ("gelu(x)", "torch.relu(x)")),
        (
            "test_outputs_equal_reference",
            "test_given_positions_equal_reference",
            "test_half_precision_is_close",
        ),
        "roberta-masked",
    ),
    Fault(
        "distilbert-without-relu",
        "DistilBERT's classifier leaves out its ReLU.",
        edit(
            DISTILBERT + "DistilBertForSequenceClassification.forward",
            ("nn.ReLU()(pooled_output)", "pooled_output"),
        ),
        (
            "test_outputs_equal_reference",
            "test_given_positions_equal_reference",
            "test_half_precision_is_close",
        ),
        "distilbert-sentiment",
    ),
    Fault(
        "span-ends-swapped",
        "A span's start scores are returned as its end scores.",
        edit(
            DISTILBERT + "DistilBertForQuestionAnswering.forward",
            (
                "start_logits, end_logits = logits.split(1, dim=-1)",
                "end_logits, start_logits = logits.split(1, dim=-1)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_given_positions_equal_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "distilbert-span",
    ),
    Fault(
        "bart-bias-ignored",
        "BART's final_logits_bias is not added.",
        edit(
            BART + "BartForConditionalGeneration.forward",
            ("lm_logits + self.final_logits_bias", "lm_logits + 0 * self.final_logits_bias"),
        ),
        (
            "test_outputs_equal_reference",
            "test_half_precision_is_close",
            "test_left_padded_outputs_equal_reference",
        ),
        "bart-random",
    ),
    Fault(
        "mbart-bias-ignored",
        "mBART's final_logits_bias is not added.",
        edit(
            MBART + "MBartForConditionalGeneration.forward",
            ("+ self.final_logits_bias", "+ 0 * self.final_logits_bias"),
        ),
        (
            "test_outputs_equal_reference",
            "test_gradients_equal_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mbart-random",
    ),
    Fault(
        "bart-classifies-before-the-end",
        "BART's classifier reads the token before the end token.",
        edit(
            BART + "BartForSequenceClassification.forward",
            (
                "eos_mask = input_ids.eq(self.config.eos_token_id)",
                "eos_mask = input_ids.eq(self.config.eos_token_id).roll(-1, dims=1)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_gradients_equal_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bart-topics",
    ),
    Fault(
        "t5-tied-logits-unscaled",
        "T5 with tied embeddings does not scale its states before the output.",
        edit(
            T5 + "T5ForConditionalGeneration.forward",
            ("if self.config.scale_decoder_outputs:", "if False:"),
        ),
        (
            "test_outputs_equal_reference",
            "test_gradients_equal_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "t5-reverse",
    ),
    Fault(
        "t5-untied-logits-scaled",
        "T5 with an output matrix of its own scales its states all the same.",
        edit(
            T5 + "T5ForConditionalGeneration.forward",
            ("if self.config.scale_decoder_outputs:", "if True:"),
        ),
        (
            "test_outputs_equal_reference",
            "test_gradients_equal_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "t5-gated",
    ),
    Fault(
        "deit-pools-the-teacher",
        "DeiT classifies by its distillation token.",
        edit(
            "models.deit.modeling_deit:DeiTForImageClassification.forward",
            ("sequence_output[:, 0, :]", "sequence_output[:, 1, :]"),
        ),
        (
            "test_outputs_equal_reference",
            "test_gradients_equal_reference",
            "test_half_precision_is_close",
        ),
        "deit-shapes",
    ),
    Fault(
        "kept-logits-off-by-one",
        "logits_to_keep=n keeps n + 1 positions.",
        edit(
            "modeling_utils:slice_logits_to_keep",
            ("slice(-logits_to_keep, None)", "slice(-logits_to_keep - 1, None)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_cache_counts_positions_itself",
            "test_left_padded_outputs_equal_reference",
            "test_kept_logits_are_the_last",
        ),
        "llama-chat",
    ),
    Fault(
        "hidden-states-start-late",
        "The embeddings are missing from the hidden states.",
        edit(
            CAPTURE + "install_output_capuring_hook",
            ("if capture_initial_hidden_state and", "if False and"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_hidden_states_shape",
        ),
        "bert-sentiment",
    ),
    Fault(
        "tuple-without-its-first",
        "return_dict=False leaves out the first output.",
        edit(
            "utils.generic:ModelOutput.to_tuple",
            ("for k in self.keys()", "for k in list(self.keys())[1:]"),
        ),
        (
            "test_outputs_equal_reference",
            "test_a_batch_of_sentences_gets_its_labels",
            "test_loss_appears_with_labels",
            "test_tuple_equals_dict",
        ),
        "bert-sentiment",
    ),
    Fault(
        "vit-pools-a-patch",
        "ViT classifies by the first patch.",
        edit(
            VIT + "ViTForImageClassification.forward",
            ("sequence_output[:, 0, :]", "sequence_output[:, 1, :]"),
        ),
        ("test_outputs_equal_reference",),
        "vit-shapes",
    ),
    Fault(
        "last-hidden-state-before-the-norm",
        "The last of the hidden states is not the last hidden state.",
        edit(
            GPT2 + "GPT2Model.forward/output_capturing",
            (
                "collected_outputs[key].append(outputs.last_hidden_state)",
                "collected_outputs[key].append(outputs.last_hidden_state * 1.001)",
            ),
        ),
        ("test_outputs_equal_reference", "test_base_model_equals_reference"),
        "gpt2-random",
    ),
    Fault(
        "types-of-tokens-unused",
        "GPT-2 looks token types up and does not add them.",
        edit(
            "models.gpt2.modeling_gpt2:GPT2Model.forward",
            ("hidden_states = hidden_states + token_type_embeds", "pass"),
        ),
        ("test_types_are_embedded_as_tokens",),
        "gpt2-counting",
    ),
    Fault(
        "choices-at-the-last-token",
        "GPT-2 with two heads scores every choice at its last token.",
        edit(
            "models.gpt2.modeling_gpt2:GPT2DoubleHeadsModel.forward",
            ("(hidden_states, mc_token_ids)", "(hidden_states, None)"),
        ),
        ("test_double_heads_are_the_two_heads",),
        "gpt2-random",
    ),
    Fault(
        "double-heads-loss-unshifted",
        "GPT-2 with two heads compares each token with the one before.",
        edit(
            "models.gpt2.modeling_gpt2:GPT2DoubleHeadsModel.forward",
            ("labels[..., 1:]", "labels[..., :-1]"),
        ),
        ("test_double_heads_are_the_two_heads",),
        "gpt2-random",
    ),
    Fault(
        "summary-never-squashed",
        "GPT-2's summary of a text has no activation.",
        edit(
            GPT2 + "GPT2SequenceSummary.__init__",
            (
                "get_activation(activation_string) if activation_string else nn.Identity()",
                "nn.Identity()",
            ),
        ),
        SUMMARISED,
        "gpt2-counting",
    ),
    Fault(
        "summary-of-the-wrong-end",
        "GPT-2 told to summarise by the first token takes the last.",
        edit(
            GPT2 + "GPT2SequenceSummary.forward",
            ("hidden_states[:, 0]", "hidden_states[:, -1]"),
        ),
        SUMMARISED,
        "gpt2-random",
    ),
    Fault(
        "summary-of-the-token-before",
        "GPT-2 told no place summarises by the last token but one.",
        edit(
            GPT2 + "GPT2SequenceSummary.forward",
            ("hidden_states.shape[-2] - 1", "hidden_states.shape[-2] - 2"),
        ),
        SUMMARISED,
        "gpt2-random",
    ),
    Fault(
        "states-counted-without-the-first",
        "Hidden states chosen from the back are counted without the embeddings.",
        edit(
            "utils.output_capturing:resolve_hidden_states_indices",
            (
                'num_layers + int(getattr(specs, "capture_initial_hidden_state", True))',
                "num_layers",
            ),
        ),
        ("test_states_are_chosen_by_number",),
        "bert-masked",
    ),
    Fault(
        "copies-lose-what-is-none",
        "Copied outputs have their values under the names of those that are none.",
        edit(
            "utils.generic:ModelOutput.__reduce__",
            ("tuple(getattr(self, field.name) for field in fields(self))", "self.to_tuple()"),
        ),
        ("test_copied_outputs_are_the_same",),
        "bert-masked",
    ),
    Fault(
        "tokens-classified-without-a-bias",
        "A decoder's classifier of tokens has no bias.",
        edit(
            "modeling_layers:GenericForTokenClassification.__init__",
            ('"token_classification_bias", True', '"token_classification_bias", False'),
        ),
        ("test_heads_have_the_biases_they_had",),
        "llama-bytes",
    ),
]
