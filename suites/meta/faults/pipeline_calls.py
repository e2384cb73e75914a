"""Faults in what a call of a pipeline says: of pairs, targets, stops, beams, padding, files."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BASE = "pipelines.base:Pipeline."
WRITE = "pipelines.text_generation:TextGenerationPipeline."

FAULTS = [
    Fault(
        "pairs-are-not-cut",
        "What the tokenizer is told is dropped for a pair.",
        edit(
            "pipelines.text_classification:TextClassificationPipeline.preprocess",
            (
                "self.tokenizer(**inputs, return_tensors=return_tensors, **tokenizer_kwargs)",
                "self.tokenizer(**inputs, return_tensors=return_tensors)",
            ),
        ),
        ("test_pairs_are_cut_as_told",),
        "bert-sentiment",
    ),
    Fault(
        "targets-answered-twice",
        "A target that is named twice has two rows.",
        edit(
            "pipelines.fill_mask:FillMaskPipeline.get_target_ids",
            ("list(set(target_ids))", "sorted(target_ids)"),
        ),
        ("test_targets_named_twice_are_answered_once",),
        "bert-masked",
    ),
    Fault(
        "several-labels-for-good",
        "A call cannot take back that several labels may hold.",
        edit(
            "pipelines.zero_shot_classification:ZeroShotClassificationPipeline._sanitize_parameters",
            ('if "multi_label" in kwargs:', 'if kwargs.get("multi_label", False) is True:'),
        ),
        ("test_a_call_may_take_back_several_labels",),
        "bert-sentiment",
    ),
    Fault(
        "last-stop-sequence-only",
        "Of several stop sequences the last one ends a text.",
        edit(
            f"{WRITE}_sanitize_parameters",
            ('["stop_strings"] = stop_sequence', '["stop_strings"] = stop_sequence[-1:]'),
        ),
        ("test_any_stop_sequence_ends_writing",),
        "gpt2-counting",
    ),
    Fault(
        "padding-zero-is-none",
        "A padding token of id 0 counts as none.",
        edit(
            f"{BASE}__init__",
            ("self.tokenizer.pad_token_id is not None", "self.tokenizer.pad_token_id"),
        ),
        ("test_padding_of_texts_is_the_tokenizers",),
        "gpt2-counting",
    ),
    Fault(
        "pipeline-saves-its-way",
        "Options of saving a pipeline do not reach its model.",
        edit(
            f"{BASE}save_pretrained",
            (
                "self.model.save_pretrained(save_directory, **kwargs)",
                "self.model.save_pretrained(save_directory)",
            ),
        ),
        ("test_a_pipeline_saves_its_model_as_told",),
        "bert-sentiment",
    ),
    Fault(
        "given-tokenizer-dropped",
        "A tokenizer given beside a directory is not used: the directory's is.",
        edit(
            "pipelines:_infer_pipeline_component",
            ("if component is not None:", "if component is not None and model_name is None:"),
        ),
        ("test_a_tokenizer_that_is_given_is_used",),
        "bert-sentiment",
    ),
    Fault(
        "scores-of-the-last-text",
        "Each of several texts has the last one's scores.",
        edit(f"{WRITE}postprocess", ("record[key] = values[idx]", "record[key] = values[-1]")),
        ("test_each_of_several_texts_has_its_own_score",),
        "gpt2-counting",
    ),
]
