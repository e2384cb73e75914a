"""Faults in what pipelines make of tags, masks and several prompts or sequences."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

TAGGING = "pipelines.token_classification:TokenClassificationPipeline."
FILLING = "pipelines.fill_mask:FillMaskPipeline.postprocess"

FAULTS = [
    Fault(
        "entities-not-begun",
        "A tag that begins an entity goes on with the one before, of the same group.",
        edit(
            TAGGING + "group_entities",
            ('if tag == last_tag and bi != "B":', "if tag == last_tag:"),
        ),
        ("test_tags_spell_entities",),
        "bert-cased-tagger",
    ),
    Fault(
        "shorter-entity-wins",
        "Of two entities in overlapping windows the shorter one is kept.",
        edit(
            TAGGING + "aggregate_overlapping_entities",
            ("current_length > previous_length", "current_length < previous_length"),
        ),
        ("test_windows_find_the_entities_of_the_text",),
        "bert-cased-tagger",
    ),
    Fault(
        "windows-end-with-the-first",
        "Only the first of several windows of a text is looked at with the text.",
        edit(
            TAGGING + "preprocess",
            ('model_inputs["is_last"] = i == num_chunks - 1', 'model_inputs["is_last"] = i == 0'),
        ),
        ("test_windows_find_the_entities_of_the_text",),
        "distilbert-tagger",
    ),
    Fault(
        "windows-do-not-overlap",
        "Windows of a text stand side by side whatever overlap is asked for.",
        edit(TAGGING + "_sanitize_parameters", ('"stride": stride', '"stride": 0')),
        ("test_windows_find_the_entities_of_the_text",),
        "bert-cased-tagger",
    ),
    Fault(
        "unknown-words-shown-as-such",
        "A word the vocabulary cannot spell is shown as the unknown token.",
        edit(TAGGING + "gather_pre_entities", ("word = word_ref\n", "pass\n")),
        ("test_unknown_words_are_their_text",),
        "bert-cased-tagger",
    ),
    Fault(
        "second-mask-unfilled",
        "The text shown for any mask has the first one filled.",
        edit(FILLING, ("tokens[masked_index[i]] = p", "tokens[masked_index[0]] = p")),
        ("test_fill_mask_of_two_masks",),
        "bert-masked",
    ),
    Fault(
        "padding-shown",
        "The text shown for a mask has the batch's padding in it.",
        edit(FILLING, ("tokens = tokens[np.where(tokens != self.tokenizer.pad_token_id)]", "pass")),
        ("test_fill_mask_of_two_masks",),
        "roberta-masked",
    ),
    Fault(
        "prompts-padded-right",
        "Prompts of a batch are padded on the other side than the tokenizer says.",
        edit("pipelines.base:_pad", ('if padding_side == "left":', 'if padding_side == "right":')),
        ("test_prompts_of_different_lengths_in_a_batch",),
        "gpt2-counting",
    ),
    Fault(
        "one-sequence-of-many",
        "Of several generated sequences the first alone is given.",
        edit(
            "pipelines.text_generation:TextGenerationPipeline.postprocess",
            (
                "for idx, sequence in enumerate(generated_sequence):",
                "for idx, sequence in enumerate(generated_sequence[:1]):",
            ),
        ),
        ("test_every_returned_sequence_is_shown",),
        "gpt2-counting",
    ),
    Fault(
        "too-many-labels-are-one",
        "Asked for more labels than there are, image classification gives the likeliest alone.",
        edit(
            "pipelines.image_classification:ImageClassificationPipeline.postprocess",
            ("top_k = self.model.config.num_labels", "top_k = 1"),
        ),
        ("test_image_classification",),
        "vit-shapes",
    ),
    Fault(
        "unknown-words-are-pieces",
        "A word the vocabulary cannot spell belongs to the word before it.",
        edit(TAGGING + "gather_pre_entities", ("is_subword = False", "pass")),
        ("test_unknown_words_are_their_text",),
        "bert-cased-tagger",
    ),
    Fault(
        "entities-that-touch-overlap",
        "An entity that begins where another ends counts as the same of another window.",
        edit(
            TAGGING + "aggregate_overlapping_entities",
            ('< previous_entity["end"]', '<= previous_entity["end"]'),
        ),
        ("test_windows_find_the_entities_of_the_text",),
        "distilbert-tagger",
    ),
]
