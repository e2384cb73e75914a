"""Faults of text generation's pipeline: prompts cut wrongly, ends missed, options dropped."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

WRITING = "pipelines.text_generation:TextGenerationPipeline."
OPTIONS = WRITING + "_sanitize_parameters"


def dropped(option, keyword="preprocess_params"):
    """An edit that loses an option on its way."""
    return edit(OPTIONS, (f'{keyword}["{option}"] = {option}', "pass"))


FAULTS = [
    Fault(
        "long-prompts-lose-their-end",
        "handle_long_generation='hole' keeps a prompt's beginning.",
        edit(
            WRITING + "preprocess",
            (
                'inputs["input_ids"] = inputs["input_ids"][:, -keep_length:]',
                'inputs["input_ids"] = inputs["input_ids"][:, :keep_length]',
            ),
        ),
        ("test_prompts_are_cut_as_told",),
        "gpt2-counting",
    ),
    Fault(
        "prompts-never-cut",
        "A prompt is as long as it is although truncation is asked for.",
        dropped("truncation"),
        ("test_prompts_are_cut_as_told",),
        "gpt2-counting",
    ),
    Fault(
        "one-token-is-none",
        "A prompt of one token is taken for an empty one.",
        edit(WRITING + "_forward", ("input_ids.shape[1] == 0", "input_ids.shape[1] <= 1")),
        ("test_prompts_are_cut_as_told",),
        "gpt2-counting",
    ),
    Fault(
        "stop-sequence-unheard",
        "stop_sequence is ignored.",
        edit(OPTIONS, ('generate_kwargs["stop_strings"] = stop_sequence', "pass")),
        ("test_writing_ends_with_the_stop_sequence",),
        "gpt2-counting",
    ),
    Fault(
        "special-tokens-shown",
        "Generated text has its special tokens in it.",
        edit(
            WRITING + "postprocess",
            (
                "skip_special_tokens is not None else True",
                "skip_special_tokens is not None else False",
            ),
        ),
        ("test_special_tokens_are_left_out",),
        "gpt2-counting",
    ),
    Fault(
        "special-tokens-never-shown",
        "skip_special_tokens=False is ignored.",
        dropped("skip_special_tokens", "postprocess_params"),
        ("test_special_tokens_are_shown_when_asked",),
        "gpt2-counting",
    ),
    Fault(
        "tools-unmentioned",
        "Tools given to a pipeline do not reach the template.",
        dropped("tools"),
        ("test_conversations_are_rendered_as_told",),
        "llama-chat",
    ),
    Fault(
        "documents-unmentioned",
        "Documents given to a pipeline do not reach the template.",
        dropped("documents"),
        ("test_conversations_are_rendered_as_told",),
        "llama-chat",
    ),
    Fault(
        "assistants-always-go-on",
        "An assistant's message is continued although one says not to.",
        dropped("continue_final_message"),
        ("test_conversations_are_rendered_as_told",),
        "llama-chat",
    ),
]
