"""Faults of the pipelines for tags, masks, labels and features: options and problem types misread."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

TAGS = "pipelines.token_classification:TokenClassificationPipeline."
MASKS = "pipelines.fill_mask:FillMaskPipeline."
PICTURES = "pipelines.image_classification:ImageClassificationPipeline."
LABELS = "pipelines.text_classification:TextClassificationPipeline."
GUESSES = "pipelines.zero_shot_classification:"
FEATURES = "pipelines.feature_extraction:FeatureExtractionPipeline."
SIGHTS = "pipelines.image_feature_extraction:ImageFeatureExtractionPipeline."
LABELLED = 'self.model.config.problem_type == "multi_label_classification" or'

FAULTS = [
    Fault(
        "words-all-at-the-start",
        "Tokens of split words are placed as if each word began the text.",
        edit(TAGS + "gather_pre_entities", ("start_ind += start_char", "start_ind += 0")),
        ("test_split_words_are_placed_in_the_joined_text",),
        "bert-cased-tagger",
    ),
    Fault(
        "delimiters-of-one-letter",
        "Split words are placed as if one letter stood between them.",
        edit(TAGS + "preprocess", ("len(word) + delimiter_len", "len(word) + 1")),
        ("test_split_words_are_placed_in_the_joined_text",),
        "bert-cased-tagger",
    ),
    Fault(
        "delimiter-forgotten",
        "Split words are joined by a space whatever the delimiter.",
        edit(TAGS + "_sanitize_parameters", ('" " if delimiter is None else delimiter', '" "')),
        ("test_split_words_are_placed_in_the_joined_text",),
        "bert-cased-tagger",
    ),
    Fault(
        "last-part-of-a-name",
        "An entity is named by what follows the last hyphen of its tag.",
        edit(TAGS + "group_sub_entities", ('split("-", 1)[-1]', 'split("-")[-1]')),
        ("test_labels_are_grouped_by_what_follows_the_first_hyphen",),
        "bert-cased-tagger",
    ),
    Fault(
        "bare-tags-begin",
        "Each token with a tag without B- or I- is an entity of its own.",
        edit(
            TAGS + "get_tag",
            ('bi = "I"\n        tag = entity_name\n', 'bi = "B"\n        tag = entity_name\n'),
        ),
        ("test_labels_are_grouped_by_what_follows_the_first_hyphen",),
        "bert-cased-tagger",
    ),
    Fault(
        "tagging-never-cuts",
        "A text too long for the model is tagged whole.",
        edit(TAGS + "preprocess", ("truncation=truncation", "truncation=False")),
        ("test_long_texts_are_tagged_up_to_the_maximum",),
        "bert-cased-tagger",
    ),
    Fault(
        "targets-end",
        "A target that is no token stands for its last piece.",
        edit(
            MASKS + "get_target_ids",
            ("max_length=1,\n                truncation=True,", ""),
            ("id_ = input_ids[0]", "id_ = input_ids[-1]"),
        ),
        ("test_targets_are_tokens_or_begin_with_one",),
        "bert-masked",
    ),
    Fault(
        "a-target-is-its-letters",
        "A target given alone is taken for a list of letters.",
        edit(MASKS + "get_target_ids", ("targets = [targets]", "targets = list(targets)")),
        ("test_targets_are_tokens_or_begin_with_one",),
        "bert-masked",
    ),
    Fault(
        "masks-never-cut",
        "tokenizer_kwargs do not reach the tokenizer of masks.",
        edit(
            MASKS + "_sanitize_parameters",
            ('preprocess_params["tokenizer_kwargs"] = tokenizer_kwargs', "pass"),
        ),
        ("test_targets_are_tokens_or_begin_with_one",),
        "bert-masked",
    ),
    Fault(
        "regression-in-shares",
        "Numbers of a regression are made shares.",
        edit(LABELS + "postprocess", ('self.model.config.problem_type == "regression"', "False")),
        ("test_the_problem_decides_the_function",),
        "bert-sentiment",
    ),
    Fault(
        "many-labels-compete",
        "Several labels of a text share one probability.",
        edit(LABELS + "postprocess", (LABELLED, "")),
        ("test_the_problem_decides_the_function",),
        "bert-sentiment",
    ),
    Fault(
        "labels-of-a-picture-compete",
        "Several labels of a picture share one probability.",
        edit(PICTURES + "postprocess", (LABELLED, "")),
        ("test_pictures_have_the_function_of_their_problem",),
        "vit-shapes",
    ),
    Fault(
        "pictures-function-ignored",
        "function_to_apply of image classification is ignored.",
        edit(
            PICTURES + "_sanitize_parameters",
            ('postprocess_params["function_to_apply"] = function_to_apply', "pass"),
        ),
        ("test_pictures_have_the_function_of_their_problem",),
        "vit-shapes",
    ),
    Fault(
        "candidates-keep-their-spaces",
        "Candidate labels between commas keep the spaces around them.",
        edit(
            GUESSES + "ZeroShotClassificationArgumentHandler._parse_labels",
            ("[label.strip() for label", "[label for label"),
        ),
        ("test_zero_shot_labels_and_texts_may_be_many",),
        "bert-sentiment",
    ),
    Fault(
        "entailment-by-one-name",
        "Only a label called entailment, in full, is found.",
        edit(
            GUESSES + "ZeroShotClassificationPipeline.entailment_id",
            ('startswith("entail")', 'startswith("entailment")'),
        ),
        ("test_zero_shot_labels_and_texts_may_be_many",),
        "bert-sentiment",
    ),
    Fault(
        "features-never-cut",
        "truncation given to feature extraction is dropped.",
        edit(
            FEATURES + "_sanitize_parameters",
            ('tokenize_kwargs["truncation"] = truncation', "pass"),
        ),
        ("test_features_of_a_cut_text",),
        "bert-random",
    ),
    Fault(
        "pool-drained",
        "Pooled features of a picture are the unpooled ones.",
        edit(SIGHTS + "_sanitize_parameters", ('postprocess_params["pool"] = pool', "pass")),
        ("test_pooled_features_of_a_picture",),
        "vit-random",
    ),
    Fault(
        "pictures-prepared-as-usual",
        "image_processor_kwargs do not reach the processor.",
        edit(
            SIGHTS + "_sanitize_parameters",
            ("{} if image_processor_kwargs is None else image_processor_kwargs", "{}"),
        ),
        ("test_pooled_features_of_a_picture",),
        "vit-random",
    ),
    Fault(
        "one-candidate-is-sure",
        "A single candidate label is weighed against no other, and certain.",
        edit(
            "pipelines.zero_shot_classification:ZeroShotClassificationPipeline.postprocess",
            ("if multi_label or len(candidate_labels) == 1:", "if multi_label:"),
        ),
        ("test_zero_shot_labels_and_texts_may_be_many",),
        "bert-sentiment",
    ),
    Fault(
        "targets-are-the-count",
        "As many answers are given as there are targets, however few are asked for.",
        edit(
            f"{MASKS}postprocess", ("target_ids.shape[0] < top_k", "target_ids.shape[0] != top_k")
        ),
        ("test_targets_are_tokens_or_begin_with_one",),
        "roberta-masked",
    ),
    Fault(
        "hypothesis-is-cut",
        "Of a long text and its hypothesis the hypothesis is cut.",
        edit(
            f"{GUESSES}ZeroShotClassificationPipeline._parse_and_tokenize",
            ("truncation=truncation", 'truncation="only_second"'),
        ),
        ("test_zero_shot_cuts_the_text",),
        "bert-sentiment",
    ),
    Fault(
        "any-entail-will-do",
        "A label that has entail anywhere in its name counts as the entailed one.",
        edit(
            f"{GUESSES}ZeroShotClassificationPipeline.entailment_id",
            (
                'ind in self.model.config.label2id.items():\n        if label.lower().startswith("entail")',
                'ind in self.model.config.label2id.items():\n        if "entail" in label.lower()',
            ),
        ),
        ("test_zero_shot_labels_and_texts_may_be_many",),
        "bert-sentiment",
    ),
    Fault(
        "features-of-framed-texts-only",
        "Of tokenize_kwargs, a pipeline for features passes on whether to cut.",
        edit(
            f"{FEATURES}preprocess",
            (
                "**tokenize_kwargs",
                'truncation=tokenize_kwargs.get("truncation"), max_length=tokenize_kwargs.get("max_length")',
            ),
        ),
        ("test_features_of_a_cut_text",),
        "bert-random",
    ),
]
