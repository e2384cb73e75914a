"""Faults in what pipelines do with the options of a text."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

WRITE = "pipelines.text_generation:TextGenerationPipeline."

FAULTS = [
    Fault(
        "prefix-forgotten",
        "A prefix is measured and not read.",
        edit(f"{WRITE}preprocess", ("prefix + prompt_text", "prompt_text")),
        ("test_prompts_are_encoded_as_told",),
        "gpt2-counting",
    ),
    Fault(
        "special-tokens-of-a-prompt-as-usual",
        "add_special_tokens given to a pipeline is dropped.",
        edit(
            f"{WRITE}_sanitize_parameters",
            (
                'preprocess_params["add_special_tokens"] = generate_kwargs.pop("add_special_tokens")',
                'generate_kwargs.pop("add_special_tokens")',
            ),
        ),
        ("test_prompts_are_encoded_as_told",),
        "llama-spm-only",
    ),
    Fault(
        "continued-message-begins-anew",
        "A continued message loses what it began with.",
        edit(
            f"{WRITE}postprocess",
            ('prompt_text.messages[-1]["content"] + all_text', "all_text"),
        ),
        ("test_an_assistants_message_is_continued",),
        "llama-chat",
    ),
    Fault(
        "assistant-answers-itself",
        "A conversation that ends with the assistant gets another answer.",
        edit(
            f"{WRITE}preprocess",
            (
                'continue_final_message = prompt_text.messages[-1]["role"] == "assistant"',
                "continue_final_message = False",
            ),
        ),
        ("test_an_assistants_message_is_continued",),
        "llama-chat",
    ),
    Fault(
        "classification-never-cuts",
        "Options for the tokenizer do not reach it in text classification.",
        edit(
            "pipelines.text_classification:TextClassificationPipeline._sanitize_parameters",
            ("preprocess_params = tokenizer_kwargs", "preprocess_params = {}"),
        ),
        ("test_texts_are_cut_as_told",),
        "bert-sentiment",
    ),
    Fault(
        "stop-strings-token-by-token",
        "Stop strings are looked for in tokens decoded one by one.",
        edit(
            "generation.stopping_criteria:StopStringCriteria._get_stop_string_matching_mode",
            ("if decoder is None:", "if True:"),
        ),
        ("test_texts_of_several_bytes_end_an_answer",),
        "gpt2-counting",
    ),
    Fault(
        "choices-stay-in-the-words",
        "The choices of a tool's argument stay in its description.",
        edit(
            "utils.chat_template_utils:get_json_schema",
            ("enum_choices.string[: enum_choices.start()].strip()", "enum_choices.string.strip()"),
        ),
        ("test_functions_are_described_as_tools",),
        "gpt2-counting",
    ),
    Fault(
        "indented-blocks-show",
        "What indents a block of a template is part of the text.",
        edit(
            "utils.chat_template_utils:_cached_compile_jinja_template",
            ("lstrip_blocks=True", "lstrip_blocks=False"),
        ),
        ("test_functions_are_described_as_tools",),
        "gpt2-counting",
    ),
]
