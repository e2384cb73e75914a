"""Faults in what pipelines share: options, saving, generators, dtypes, single labels, prefixes."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

SHARED = "pipelines.base:Pipeline."
CLASSIFY = "pipelines.text_classification:TextClassificationPipeline."
WRITE = "pipelines.text_generation:TextGenerationPipeline."

FAULTS = [
    Fault(
        "prompts-padded-on-the-right",
        "Prompts side by side are padded as the tokenizer pads, on the right.",
        edit(f"{WRITE}__init__", ('padding_side == "right"', 'padding_side == "neither"')),
        ("test_prompts_of_different_lengths_in_a_batch",),
        "gpt2-counting",
    ),
    Fault(
        "pipeline-forgets-its-task",
        "A pipeline does not know its task's name.",
        edit(
            "pipelines:pipeline",
            (
                "pipeline_class(model=model, task=task, **kwargs)",
                "pipeline_class(model=model, **kwargs)",
            ),
        ),
        ("test_options_are_given_once_or_each_time",),
        "bert-masked",
    ),
    Fault(
        "six-labels-of-a-picture",
        "A picture that is asked for nothing gets six labels instead of five.",
        edit(
            "pipelines.image_classification:ImageClassificationPipeline.postprocess",
            ("if top_k is not None:", "if (top_k := top_k + (top_k == 5)) is not None:"),
        ),
        ("test_image_classification",),
        "vit-shapes",
    ),
    Fault(
        "options-of-a-pipeline-forgotten",
        "What a pipeline was told to make of outputs when it was made is forgotten.",
        edit(
            f"{SHARED}__call__",
            ("{**self._postprocess_params, **postprocess_params}", "postprocess_params"),
        ),
        ("test_options_are_given_once_or_each_time",),
        "bert-masked",
    ),
    Fault(
        "options-of-a-pipeline-win",
        "What a call asks for is overruled by what the pipeline was made with.",
        edit(
            f"{SHARED}__call__",
            (
                "{**self._postprocess_params, **postprocess_params}",
                "{**postprocess_params, **self._postprocess_params}",
            ),
        ),
        ("test_options_are_given_once_or_each_time",),
        "vit-shapes",
    ),
    Fault(
        "options-of-a-call-stay",
        "What one call asks for holds for those after it.",
        edit(
            f"{SHARED}__call__",
            (
                "postprocess_params = {**self._postprocess_params, **postprocess_params}",
                "postprocess_params = {**self._postprocess_params, **postprocess_params}\n"
                "    self._postprocess_params = postprocess_params",
            ),
        ),
        ("test_options_are_given_once_or_each_time",),
        "bert-masked",
    ),
    Fault(
        "pipeline-saved-without-tokenizer",
        "A pipeline saves its model and not its tokenizer.",
        edit(f"{SHARED}save_pretrained", ("if self.tokenizer is not None", "if False")),
        ("test_a_saved_pipeline_answers_alike",),
        "bert-sentiment",
    ),
    Fault(
        "pipeline-saved-without-processor",
        "A pipeline saves its model and not its image processor.",
        edit(f"{SHARED}save_pretrained", ("if self.image_processor is not None", "if False")),
        ("test_a_saved_pipeline_answers_alike",),
        "vit-shapes",
    ),
    Fault(
        "single-label-is-certain",
        "The softmax of a single label's number is given, which is one.",
        edit(
            f"{CLASSIFY}postprocess",
            (" or self.model.config.num_labels == 1", ""),
            ("self.model.config.num_labels > 1", "True"),
        ),
        ("test_a_single_label_has_a_probability",),
        "bert-sentiment",
    ),
    Fault(
        "listed-pairs-swapped",
        "Of a pair given as a list, the second text is read first.",
        edit(
            f"{CLASSIFY}preprocess",
            (
                "text=inputs[0][0], text_pair=inputs[0][1]",
                "text=inputs[0][1], text_pair=inputs[0][0]",
            ),
        ),
        ("test_pairs_are_classified_as_pairs",),
        "bert-sentiment",
    ),
    Fault(
        "prefix-counts-for-the-length",
        "max_length of a pipeline counts the prefix.",
        edit(
            f"{WRITE}_forward",
            ("generation_params[length] + prefix_length", "generation_params[length]"),
        ),
        ("test_max_length_counts_no_prefix",),
        "gpt2-counting",
    ),
    Fault(
        "generator-read-at-once",
        "A pipeline makes a list of a generator before it answers.",
        edit(
            f"{SHARED}__call__",
            (
                "inputs = _reform_generator(first, inputs)",
                "inputs = list(_reform_generator(first, inputs))",
            ),
        ),
        ("test_generators_are_read_as_answers_are_asked",),
        "bert-sentiment",
    ),
    Fault(
        "generator-loses-its-first",
        "A pipeline looks at a generator's first text and does not put it back.",
        edit(
            f"{SHARED}__call__",
            ("inputs = _reform_generator(first, inputs)", "inputs = (one for one in inputs)"),
        ),
        ("test_generators_are_read_as_answers_are_asked",),
        "bert-sentiment",
    ),
    Fault(
        "pipeline-dtype-ignored",
        "A pipeline drops the torch_dtype it is asked for.",
        edit(
            "pipelines:pipeline",
            ('dtype = torch_dtype if dtype == "auto" else dtype', 'dtype = "auto"'),
        ),
        ("test_a_pipeline_is_made_in_the_dtype_asked",),
        "bert-sentiment",
    ),
    Fault(
        "pipeline-defaults-first",
        "A pipeline's own default length wins over its model's.",
        edit(f"{SHARED}_prepare_generate_kwargs", ("if key not in set_params", "if True")),
        ("test_a_models_settings_are_its_pipelines",),
        "gpt2-counting",
    ),
    Fault(
        "second-column-is-the-first",
        "A table's second column is read as the first again.",
        edit("pipelines.pt_utils:KeyPairDataset.__getitem__", ("[self.key2]", "[self.key1]")),
        ("test_columns_of_a_table_are_pairs",),
        "bert-sentiment",
    ),
    Fault(
        "padding-is-tagged",
        "Padding of a batch counts as a token like others.",
        edit(
            "pipelines.base:pad_collate_fn",
            ('{"p_mask", "special_tokens_mask"}', '{"p_mask"}'),
        ),
        ("test_questions_in_a_batch_are_answered_alike",),
        "bert-cased-tagger",
    ),
    Fault(
        "settings-of-a-caller-changed",
        "A pipeline writes its own settings into the caller's generation configuration.",
        edit(
            f"{SHARED}_prepare_generate_kwargs",
            ("user_config = copy.deepcopy(user_config)", "pass"),
        ),
        ("test_a_callers_settings_are_left_alone",),
        "gpt2-counting",
    ),
    Fault(
        "head-kept-for-features",
        "A pipeline takes the class that config.json names, whatever its task.",
        edit(
            "pipelines.base:load_model",
            (
                "class_tuple = class_tuple + tuple(classes)",
                "class_tuple = tuple(classes) + class_tuple",
            ),
        ),
        ("test_a_task_without_a_head_leaves_it_out",),
        "bert-masked",
    ),
    Fault(
        "candidates-of-a-batch-lost",
        "Candidates of the next text that are in a batch with those of the last are forgotten.",
        edit(
            "pipelines.pt_utils:PipelinePackIterator.__next__",
            ("while not is_last:", "while accumulator.clear() or not is_last:"),
        ),
        ("test_candidates_in_batches_are_scored_alike",),
        "bert-sentiment",
    ),
]
