"""Faults between a model's scores and an answer in words: labels, heads, pipelines."""

from __future__ import annotations

import pytest

from fixtures.lazy import transformers
from suites.meta.edits import edit
from suites.meta.faults import Fault

TEXT = "pipelines.text_classification:TextClassificationPipeline.postprocess"
TOKENS = "pipelines.token_classification:TokenClassificationPipeline."
FILL = "pipelines.fill_mask:FillMaskPipeline.postprocess"
WRITE = "pipelines.text_generation:TextGenerationPipeline.postprocess"
SEE = "pipelines.image_classification:ImageClassificationPipeline.postprocess"


def read_the_wrong_table(patch: pytest.MonkeyPatch) -> None:
    """AutoModelForImageClassification builds what AutoModelForMaskedLM does."""
    other = transformers.AutoModelForMaskedLM._model_mapping
    patch.setattr(transformers.AutoModelForImageClassification, "_model_mapping", other)


FAULTS = [
    Fault(
        "labels-rotated",
        "id2label names the label before.",
        edit(
            "configuration_utils:PreTrainedConfig.__post_init__",
            (
                "{int(key): value for key, value in self.id2label.items()}",
                "dict(enumerate([*list(self.id2label.values())[1:], *list(self.id2label.values())[:1]]))",
            ),
        ),
        (
            "test_sentences_get_their_labels",
            "test_a_batch_of_sentences_gets_its_labels",
            "test_labels_keep_their_names",
            "test_every_label_has_a_name",
        ),
        "bert-sentiment",
    ),
    Fault(
        "pooled-from-the-last-token",
        "BERT's classifier reads the last token instead of the first.",
        edit(
            "models.bert.modeling_bert:BertPooler.forward",
            ("hidden_states[:, 0]", "hidden_states[:, -1]"),
        ),
        ("test_a_batch_of_sentences_gets_its_labels",),
        "bert-sentiment",
    ),
    Fault(
        "classifier-inverted",
        "BERT's classifier has its labels' scores the other way round.",
        edit(
            "models.bert.modeling_bert:BertForSequenceClassification.forward",
            ("logits = self.classifier(pooled_output)", "logits = -self.classifier(pooled_output)"),
        ),
        ("test_the_lesson_s_sentence", "test_sentiment_of_a_directory"),
        "bert-sentiment",
    ),
    Fault(
        "tags-shifted",
        "Token labels are those of the token before.",
        edit(
            "models.bert.modeling_bert:BertForTokenClassification.forward",
            (
                "logits = self.classifier(sequence_output)",
                "logits = self.classifier(sequence_output.roll(1, 1))",
            ),
        ),
        ("test_words_get_their_tags", "test_aggregated_entities"),
        "bert-cased-tagger",
    ),
    Fault(
        "ends-for-starts",
        "Start and end scores of spans change places.",
        edit(
            "models.distilbert.modeling_distilbert:DistilBertForQuestionAnswering.forward",
            (
                "start_logits, end_logits = logits.split(1, dim=-1)",
                "end_logits, start_logits = logits.split(1, dim=-1)",
            ),
        ),
        ("test_questions_get_their_answers",),
        "distilbert-span",
    ),
    Fault(
        "mask-head-untransformed",
        "The masked-word head skips its activation.",
        edit(
            "models.roberta.modeling_roberta:RobertaLMHead.forward", ("x = gelu(x)", "x = -gelu(x)")
        ),
        ("test_masks_get_their_words",),
        "roberta-masked",
    ),
    Fault(
        "picture-head-inverted",
        "ViT's classifier has its labels' scores the other way round.",
        edit(
            "models.vit.modeling_vit:ViTForImageClassification.forward",
            ("self.classifier(pooled_output)", "-self.classifier(pooled_output)"),
        ),
        (
            "test_pictures_get_their_labels",
            "test_image_labels_for_any_form",
            "test_image_classification_of_a_file",
        ),
        "vit-shapes",
    ),
    Fault(
        "wrong-table-of-classes",
        "The Auto class for pictures looks into the table of masked language models.",
        read_the_wrong_table,
        ("test_other_kinds_are_refused",),
        "bert-random",
    ),
    Fault(
        "type-read-as-bert",
        "AutoConfig reads a DistilBERT's config.json as BERT's.",
        edit(
            "models.auto.configuration_auto:AutoConfig.from_pretrained.__func__",
            (
                'config_class = CONFIG_MAPPING[config_dict["model_type"]]',
                'config_class = CONFIG_MAPPING[config_dict["model_type"].replace("distilbert", "bert")]',
            ),
        ),
        ("test_auto_config_finds_the_model_type",),
        "distilbert-random",
    ),
    Fault(
        "a-layer-too-few",
        "BERT of any size leaves out its last layer's states: the pooler's are returned.",
        edit(
            "models.bert.modeling_bert:BertModel.forward",
            (
                "sequence_output = encoder_outputs.last_hidden_state",
                "sequence_output = encoder_outputs.last_hidden_state[:, 1:]",
            ),
        ),
        ("test_bert_base_has_the_published_shape",),
        "minilm",
    ),
    Fault(
        "sigmoid-for-one-of-many",
        "Text classification turns each label's number into a probability of its own.",
        edit(TEXT, ("scores = softmax(outputs)", "scores = sigmoid(outputs)")),
        ("test_text_classification",),
        "bert-sentiment",
    ),
    Fault(
        "worst-first",
        "Text classification lists labels worst first, and answers with the worst.",
        edit(TEXT, ("reverse=True", "reverse=False"), ("scores.argmax()", "scores.argmin()")),
        ("test_text_classification", "test_sentiment_of_a_directory"),
        "bert-sentiment",
    ),
    Fault(
        "batch-s-first-for-all",
        "Every text of a batch gets the first one's padding: the mask is dropped.",
        edit(
            "pipelines.text_classification:TextClassificationPipeline._forward",
            (
                "model_forward = self.model.forward",
                "model_inputs.pop('attention_mask', None)\n    model_forward = self.model.forward",
            ),
        ),
        ("test_text_classification_in_batches",),
        "bert-sentiment",
    ),
    Fault(
        "token-offsets-shifted",
        "Tokens are placed one letter further.",
        edit(TOKENS + "gather_pre_entities", ('"start": start_ind,', '"start": start_ind + 1,')),
        ("test_token_classification", "test_aggregated_entities"),
        "distilbert-tagger",
    ),
    Fault(
        "outside-tokens-kept",
        "Tokens outside any entity are listed too.",
        edit(TOKENS + "postprocess", ('ignore_labels = ["O"]', "ignore_labels = []")),
        ("test_token_classification", "test_aggregated_entities"),
        "bert-cased-tagger",
    ),
    Fault(
        "mask-s-neighbour",
        "Fill-mask reads the scores of the token before the mask.",
        edit(
            FILL,
            ("logits = outputs[0, masked_index, :]", "logits = outputs[0, masked_index - 1, :]"),
        ),
        ("test_fill_mask", "test_fill_mask_of_two_masks"),
        "bert-masked",
    ),
    Fault(
        "targets-renormalised",
        "Asked for certain tokens, fill-mask gives their shares among themselves.",
        edit(
            FILL, ("probs = probs[..., target_ids]", "probs = logits[..., target_ids].softmax(-1)")
        ),
        ("test_fill_mask_of_targets",),
        "bert-masked",
    ),
    Fault(
        "prompt-cut-short",
        "Generated text is cut one token too far behind the prompt.",
        edit(WRITE, ("sequence[prompt_token_length:]", "sequence[prompt_token_length + 1 :]")),
        ("test_text_generation",),
        "gpt2-counting",
    ),
    Fault(
        "ids-in-another-order",
        "Generated ids come back last first.",
        edit(
            WRITE, ('{"generated_token_ids": sequence}', '{"generated_token_ids": sequence[::-1]}')
        ),
        ("test_text_generation_ids",),
        "gpt2-counting",
    ),
    Fault(
        "pictures-by-sigmoid",
        "Image classification turns each label's number into a probability of its own.",
        edit(SEE, ("scores = softmax(outputs)", "scores = sigmoid(outputs)")),
        ("test_image_classification",),
        "vit-shapes",
    ),
    Fault(
        "picture-labels-off-by-one",
        "Image classification names the label before.",
        edit(SEE, ("id2label[i]", "id2label[(i + 1) % self.model.config.num_labels]")),
        ("test_image_classification", "test_image_classification_of_a_file"),
        "vit-shapes",
    ),
    Fault(
        "features-of-the-first-token",
        "Feature extraction gives the pooled output.",
        edit(
            "pipelines.feature_extraction:FeatureExtractionPipeline.postprocess",
            ("model_outputs[0].tolist()", "model_outputs[1][None].tolist()"),
        ),
        ("test_feature_extraction",),
        "bert-random",
    ),
    Fault(
        "picture-features-rounded",
        "Features of a picture are rounded.",
        edit(
            "pipelines.image_feature_extraction:ImageFeatureExtractionPipeline.postprocess",
            ("outputs.tolist()", "outputs.bfloat16().tolist()"),
        ),
        ("test_image_feature_extraction",),
        "vit-shapes",
    ),
]
