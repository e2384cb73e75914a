"""Faults in what a pipeline does with generators, directories, dtypes and its model's settings."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BASE = "pipelines.base:Pipeline."

FAULTS = [
    Fault(
        "generator-read-at-once",
        "A pipeline makes a list of a generator before it answers.",
        edit(
            f"{BASE}__call__",
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
            f"{BASE}__call__",
            ("inputs = _reform_generator(first, inputs)", "inputs = (one for one in inputs)"),
        ),
        ("test_generators_are_read_as_answers_are_asked",),
        "bert-sentiment",
    ),
    Fault(
        "pipeline-saved-without-tokenizer",
        "A pipeline saves its model and not its tokenizer.",
        edit(
            f"{BASE}save_pretrained", ("if self.tokenizer is not None", "if self.tokenizer is None")
        ),
        ("test_a_saved_pipeline_answers_alike",),
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
        edit(f"{BASE}_prepare_generate_kwargs", ("if key not in set_params", "if True")),
        ("test_a_models_settings_are_its_pipelines",),
        "gpt2-counting",
    ),
]
