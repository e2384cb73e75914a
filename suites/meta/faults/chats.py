"""Faults in what is made of conversations: templates, what they are given, and tools."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BASE = "tokenization_utils_base:PreTrainedTokenizerBase."
RENDER = "utils.chat_template_utils:render_jinja_template"
GIVEN = """tools=tool_schemas,
                documents=documents,
                add_generation_prompt=add_generation_prompt,
                **kwargs,
            )
        if continue"""

FAULTS = [
    Fault(
        "template-in-a-file-unasked",
        "A chat template is saved in a file of its own, whatever is asked for.",
        edit(
            f"{BASE}save_pretrained",
            ('kwargs.get("save_jinja_files", True)', "True"),
        ),
        ("test_saved_chat_template_is_the_same",),
        "llama-chat",
    ),
    Fault(
        "fields-of-messages-sorted",
        "What a chat template is given has its fields in alphabetical order.",
        edit(
            "utils.chat_template_utils:_plain_template_data",
            ("in value.items()}", "in sorted(value.items())}"),
        ),
        ("test_given_template_wins",),
        "llama-chat",
    ),
    Fault(
        "template-without-tools",
        "A chat template is not given the tools.",
        edit(RENDER, (GIVEN, GIVEN.replace("tool_schemas", "None"))),
        ("test_given_template_wins",),
        "llama-chat",
    ),
    Fault(
        "template-without-documents",
        "A chat template is not given the documents.",
        edit(RENDER, (GIVEN, GIVEN.replace("documents=documents", "documents=None"))),
        ("test_given_template_wins",),
        "llama-chat",
    ),
    Fault(
        "continued-at-the-first-likeness",
        "continue_final_message cuts where the last message's text comes first.",
        edit(
            RENDER,
            (
                "rendered_chat.rindex(continue_final_message_tag.strip())",
                "rendered_chat.index(final_message.strip()) + len(final_message.strip())",
            ),
        ),
        ("test_final_message_can_be_continued",),
        "llama-chat",
    ),
    Fault(
        "numpy-numbers-named",
        "A chat template is shown the name of a numpy number's type.",
        edit(
            "utils.chat_template_utils:_plain_template_data",
            ("isinstance(value, np.generic)", "False"),
        ),
        ("test_templates_read_values_of_other_types",),
        "llama-chat",
    ),
    Fault(
        "data-classes-named",
        "A chat template is shown the name of a data class.",
        edit(
            "utils.chat_template_utils:_plain_template_data",
            ("dataclasses.is_dataclass(value)", "False"),
        ),
        ("test_templates_read_values_of_other_types",),
        "llama-chat",
    ),
    Fault(
        "what-is-empty-is-not-said",
        "Fields of a message that are empty, zero or false do not reach the template.",
        edit(
            f"{BASE}apply_chat_template",
            ("for k, v in msg.items() if v is not None", "for k, v in msg.items() if v"),
        ),
        ("test_given_template_wins",),
        "llama-chat",
    ),
    Fault(
        "none-is-not-said-of-tools",
        "That an argument of a tool may be none is not said.",
        edit(
            "utils.chat_template_utils:_parse_type_hint",
            ("if type(None) in args:", "if type(None) in args and len(subtypes) > 1:"),
        ),
        ("test_functions_are_described_as_tools",),
        "bert-sentiment",
    ),
]
