"""Faults in what tokenizers return and take besides plain texts: pairs in batches, conversations, padding."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BASE = "tokenization_utils_base:PreTrainedTokenizerBase."
FAST = "tokenization_utils_tokenizers:TokenizersBackend."
CALL = "tokenization_utils_base:BatchEncoding."
CHAT = f"{BASE}apply_chat_template"
RENDER = "utils.chat_template_utils:render_jinja_template"
STRIPPED = "rendered_chat = rendered_chat[:tag_loc]\n"


def of(name: str, says: str, check: str, target: str, *changes: tuple[str, str]) -> Fault:
    """A fault that this check must notice on the checkpoint with a chat template, which shows all of them."""
    return Fault(name, says, edit(target, *changes), (check,), "llama-chat")


MAPS = "test_any_row_and_text_can_be_asked"
NAMED = "test_templates_have_names"
SPOKEN = "test_what_the_assistant_says_is_marked"
TEXTS = "test_chats_are_encoded_as_their_texts"
CONTINUED = "test_spaces_and_blocks_are_continued"
PADDED = "test_finished_rows_are_padded_as_asked"
FURTHER = "test_further_special_tokens_are_special"
LOADED = "test_settings_given_at_loading_act"

FAULTS = [
    of(
        "words-of-the-first-row",
        "token_to_word answers for the first row of a batch.",
        MAPS,
        f"{CALL}token_to_word",
        ("self._encodings[batch_index]", "self._encodings[0]"),
    ),
    of(
        "tokens-of-the-first-text",
        "word_to_tokens answers for the first text of a pair.",
        MAPS,
        f"{CALL}word_to_tokens",
        ("word_to_tokens(word_index, sequence_index)", "word_to_tokens(word_index, 0)"),
    ),
    of(
        "characters-of-the-first-text",
        "word_to_chars answers for the first text of a pair.",
        MAPS,
        f"{CALL}word_to_chars",
        ("sequence_index)", "0)"),
    ),
    of(
        "maps-lost-in-pickling",
        "A pickled encoding forgets its words and characters.",
        MAPS,
        f"{CALL}__setstate__",
        ('self._encodings = state["encodings"]', "self._encodings = None"),
    ),
    of(
        "split-words-joined-in-batches",
        "Lists of words in a batch are taken for lists of texts.",
        "test_split_words_in_a_batch_are_each_text",
        f"{FAST}_encode_plus",
        (
            "is_pretokenized=is_split_into_words",
            "is_pretokenized=is_split_into_words and not is_batched",
        ),
    ),
    of(
        "tokens-strung-together",
        "convert_tokens_to_string puts tokens side by side.",
        "test_tokens_make_the_decoded_text",
        f"{FAST}convert_tokens_to_string",
        ("self.backend_tokenizer.decoder.decode(tokens)", '"".join(tokens)'),
    ),
    of(
        "pad-on-its-own-side",
        "`pad` pads on the tokenizer's side whatever the call says.",
        PADDED,
        f"{BASE}_pad",
        ("padding_side if padding_side is not None else self.padding_side", "self.padding_side"),
    ),
    of(
        "empty-row-refused",
        "`pad` fails where the first row is empty.",
        PADDED,
        f"{BASE}pad",
        ("if len(item) != 0:", "if True:"),
    ),
    of(
        "padded-to-less-than-the-maximum",
        'padding="max_length" stops one short of the model\'s maximum.',
        "test_padding_to_the_maximum_is_to_the_models",
        f"{BASE}_get_padding_truncation_strategies",
        ("max_length = self.model_max_length", "max_length = self.model_max_length - 1"),
    ),
    of(
        "further-tokens-normalized",
        "Further special tokens are added as ordinary, normalized ones.",
        FURTHER,
        f"{BASE}add_special_tokens",
        ("normalized=False, special=True)", "normalized=True, special=False)"),
    ),
    of(
        "one-further-token-listed",
        "Of further special tokens the first alone is listed.",
        FURTHER,
        f"{BASE}all_special_tokens",
        (
            "for token in self._extra_special_tokens:",
            "for token in self._extra_special_tokens[:1]:",
        ),
    ),
    of(
        "roles-set-by-the-next-id",
        "A role set by its id goes to the next token.",
        FURTHER,
        f"{BASE}__setattr__",
        ("self.convert_ids_to_tokens(value)", "self.convert_ids_to_tokens(value + 1)"),
    ),
    of(
        "names-of-inputs-ignored",
        "model_input_names given at loading are ignored.",
        LOADED,
        f"{BASE}__init__",
        (
            'list(kwargs.pop("model_input_names", self.model_input_names))',
            "list(self.model_input_names)",
        ),
    ),
    of(
        "splitting-at-loading-ignored",
        "split_special_tokens given at loading is ignored.",
        LOADED,
        f"{BASE}__init__",
        (
            'kwargs.pop("split_special_tokens", False)',
            'kwargs.pop("split_special_tokens", False) and False',
        ),
    ),
    of(
        "chats-uncut",
        "Conversations are not truncated.",
        TEXTS,
        CHAT,
        ("truncation=truncation,", "truncation=False,"),
    ),
    of(
        "chats-unpadded",
        "Conversations are not padded.",
        TEXTS,
        CHAT,
        ("padding=padding,", "padding=False,"),
    ),
    of(
        "chats-deaf-to-tokenizer-options",
        "tokenizer_kwargs do not reach the tokenizer.",
        TEXTS,
        CHAT,
        ("**tokenizer_kwargs,", ""),
    ),
    of(
        "assistant-of-the-first-row",
        "Each row's assistant speaks where the first row's letters are.",
        SPOKEN,
        CHAT,
        (
            "out.char_to_token(i, assistant_start_char)",
            "out.char_to_token(0, assistant_start_char)",
        ),
    ),
    of(
        "assistant-speaks-once",
        "The first of the assistant's messages alone is marked.",
        SPOKEN,
        CHAT,
        ("in generation_indices[i]:", "in generation_indices[i][:1]:"),
    ),
    of(
        "assistant-says-one-letter-more",
        "The letter behind the assistant's message is marked, too.",
        SPOKEN,
        CHAT,
        ("assistant_end_char - 1)", "assistant_end_char)"),
    ),
    of(
        "tool-template-unused",
        "Where there are tools, the default template renders all the same.",
        NAMED,
        f"{BASE}get_chat_template",
        ('tools is not None and "tool_use" in template_dict', "False"),
    ),
    of(
        "named-templates-overwrite-each-other",
        "All templates but the default are saved under one name.",
        NAMED,
        f"{BASE}save_chat_templates",
        ('f"{template_name}.jinja"', '"template.jinja"'),
    ),
    of(
        "continued-without-its-space",
        "A continued message loses the space it ends with.",
        CONTINUED,
        RENDER,
        (STRIPPED, STRIPPED.replace("]\n", "].rstrip()\n")),
    ),
    of(
        "first-block-continued",
        "Of several blocks of text the first is continued.",
        CONTINUED,
        RENDER,
        ("for content_block in reversed(final_message):", "for content_block in final_message:"),
    ),
    of(
        "functions-without-their-frame",
        "A function given as a tool is described without saying that it is a function.",
        "test_functions_are_described_as_tools",
        RENDER,
        (
            "tool_schemas.append(get_json_schema(tool))",
            'tool_schemas.append(get_json_schema(tool)["function"])',
        ),
    ),
]
