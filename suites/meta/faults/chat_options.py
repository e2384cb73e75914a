"""Faults in what a conversation is asked for besides its text."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BACKEND = "tokenization_utils_tokenizers:TokenizersBackend."
BASE = "tokenization_utils_base:PreTrainedTokenizerBase."
HINTS = "utils.chat_template_utils:_parse_type_hint"

FAULTS = [
    Fault(
        "chats-filled-to-the-longest",
        "A chat is filled to the length of the model, whatever length is asked for.",
        edit(
            f"{BASE}apply_chat_template",
            ("max_length=max_length,\n", "max_length=max_length if truncation else None,\n"),
        ),
        ("test_length_of_a_chat_is_as_asked",),
        "gpt2-counting",
    ),
    Fault(
        "tools-beat-a-given-template",
        "With tools, the template for tools is used in place of the one given in the call.",
        edit(
            f"{BASE}get_chat_template",
            (
                "elif chat_template is None:\n",
                'elif chat_template is None or (tools is not None and "tool_use" in template_dict):\n',
            ),
        ),
        ("test_given_template_beats_those_with_names",),
        "bart-random",
    ),
    Fault(
        "message-without-its-first-token",
        "Where the history alone ends otherwise, a message loses its first token.",
        edit(
            f"{BASE}encode_message_with_chat_template",
            ("return tokens[i:]", "return tokens[i + 1 :]"),
        ),
        ("test_message_is_what_a_chat_grows_by",),
        "llama-chat",
    ),
    Fault(
        "lists-of-control-tokens-hold-all",
        "Beside a list of control tokens, special tokens in what users write are special.",
        edit(
            f"{BASE}_get_control_tokens",
            (
                "token.content for token in added_tokens if token.special or ",
                "token.content for token in added_tokens if ",
            ),
        ),
        ("test_what_users_write_is_no_control_token",),
        "bert-random",
    ),
    Fault(
        "template-variables-trusted",
        "Variables for the template may hold control tokens, though the chat is sanitized.",
        edit(
            f"{BASE}_mark_chat_inputs",
            (
                "documents, mark_control_tokens(template_kwargs, control_tokens_re)",
                "documents, template_kwargs",
            ),
        ),
        ("test_what_users_write_is_no_control_token",),
        "bert-random",
    ),
    Fault(
        "control-tokens-not-saved",
        "A saved tokenizer forgets which tokens are control tokens.",
        edit(
            f"{BASE}save_pretrained",
            ('if getattr(self, "chat_control_tokens", None) is not None:', "if False:"),
        ),
        ("test_what_users_write_is_no_control_token",),
        "bert-random",
    ),
    Fault(
        "sanitized-tensors-without-a-batch",
        "A sanitized chat asked for as a tensor has no batch dimension.",
        edit(
            f"{BACKEND}_encode_plus", ("if is_batched or return_tensors else", "if is_batched else")
        ),
        ("test_sanitized_chats_are_shaped_as_others",),
        "bert-random",
    ),
    Fault(
        "sanitized-chats-cut-on-the-right",
        "Sanitized chats lose their end, whichever side is to be cut.",
        edit(
            f"{BACKEND}_encode_plus",
            ('if side == "right" else ids[-max_length:]', "if side else ids"),
        ),
        ("test_sanitized_chats_are_shaped_as_others",),
        "bert-random",
    ),
    Fault(
        "answers-decoded-without-marks",
        "Of an answer in ids, special tokens are left out before it is parsed.",
        edit(
            f"{BASE}parse_response",
            ("self.decode(response)", "self.decode(response, skip_special_tokens=True)"),
        ),
        ("test_answers_are_parsed_in_every_form",),
        "bert-random",
    ),
    Fault(
        "prompts-in-ids-decoded-without-marks",
        "Of a prompt in ids, special tokens are left out before it is read.",
        edit(
            f"{BASE}parse_response",
            ("self.decode(prefix)", "self.decode(prefix, skip_special_tokens=True)"),
        ),
        ("test_every_answer_of_a_batch_is_parsed",),
        "bert-random",
    ),
    Fault(
        "shared-prompt-parses-one",
        "Behind one prompt, the first answer alone is parsed.",
        edit(
            f"{BASE}parse_response",
            ("prefix_texts * len(responses)", "prefix_texts * max(1, len(responses) - 1)"),
        ),
        ("test_every_answer_of_a_batch_is_parsed",),
        "bert-random",
    ),
    Fault(
        "halves-of-delimiters-told",
        "Of an answer in pieces, the first half of a delimiter is taken for text.",
        edit(
            "utils.chat_parsing.response_parser:ResponseParser._scan",
            ("search(self._buffer, self._pos, partial=True)", "search(self._buffer, self._pos)"),
        ),
        ("test_an_answer_in_pieces_is_the_whole",),
        "bert-random",
    ),
    Fault(
        "choices-of-the-first-kind",
        "A choice of values of several kinds has the kind of the first.",
        edit(
            "utils.chat_template_utils:_enum_values_to_json_schema",
            ("value_types[0] if len(value_types) == 1 else value_types", "value_types[0]"),
        ),
        ("test_schema_of_a_tool_takes_what_its_hints_do",),
        "bert-random",
    ),
    Fault(
        "unions-of-anything",
        "A union of a list of integers and a word takes lists of anything.",
        edit(HINTS, ('subtype.keys() == {"type"} and ', "")),
        ("test_schema_of_a_tool_takes_what_its_hints_do",),
        "bert-random",
    ),
    Fault(
        "dictionaries-of-anything",
        "The schema of a tool does not say what the values of a dictionary are.",
        edit(HINTS, ("if len(args) == 2:", "if len(args) > 2:")),
        ("test_schema_of_a_tool_takes_what_its_hints_do",),
        "bert-random",
    ),
    Fault(
        "methods-are-no-tools",
        "Methods are refused as tools.",
        edit(
            "utils.chat_template_utils:render_jinja_template",
            ("isfunction(tool) or inspect.ismethod(tool)", "isfunction(tool)"),
        ),
        ("test_methods_are_tools_like_functions",),
        "bert-random",
    ),
]
