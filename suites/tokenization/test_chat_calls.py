"""What a tokenized conversation is besides its text: padded, cut, marked, named, continued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import pytest

from fixtures.applicability import applies_to, walk_sample
from fixtures.chat import TOOLS, accepted, converses
from fixtures.lazy import transformers
from fixtures.loading import SAFE
from fixtures.tokenizer_files import chats, encodes, fast, marks_unknown
from fixtures.tokenizing import private, some_pad_token

# Who speaks stands before each message; what the assistant says is marked.
MARKED = (
    "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}"
    "; {% endfor %}"
)
LISTED = "{% for m in messages %}{{ m.content[0].text }}|{{ m.content[1].text }}{% endfor %}"
TALK = (
    {"role": "user", "content": "what is it"},
    {"role": "assistant", "content": "it is a day"},
    {"role": "user", "content": "and now"},
    {"role": "assistant", "content": "now"},
)
NAMES = ("default", "tool_use", "other")
SHORT = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello you"})


@applies_to(chats, converses)
@pytest.mark.parametrize(
    "options",
    [
        {"padding": True},
        {"padding": "max_length", "max_length": 200},
        {"truncation": True, "max_length": 5},
        {"tokenizer_kwargs": {"return_length": True, "padding_side": "left"}, "padding": True},
    ],
    ids=["padded", "filled", "cut", "told"],
)
def test_chats_are_encoded_as_their_texts(checkpoint, tokenizer, expect, options):
    """Options of encoding do to conversations what they do to the rendered texts."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    found = accepted(checkpoint, False)
    call = "tokenizer.apply_chat_template(chats, return_dict=True, **options)"
    expect.true(bool(found), found, "a conversation the template takes", "tokenizer.chat_template")
    talks, texts = [messages for messages, _ in found], [text for _, text in found]
    told = {k: v for k, v in options.items() if k != "tokenizer_kwargs"}
    told |= options.get("tokenizer_kwargs", {})
    want = own(texts, add_special_tokens=False, **told)
    got = own.apply_chat_template(talks, tokenize=True, return_dict=True, **options)
    expect.equal(dict(got), dict(want), call, chats=talks, options=options)


@applies_to(fast, marks_unknown, walk_sample)
@pytest.mark.parametrize("kind", ["list", "tensor"])
def test_what_the_assistant_says_is_marked(checkpoint, tokenizer, expect, kind):
    """assistant_masks is one exactly where a token has a letter of what {% generation %} encloses."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    own.padding_side = "right"
    talks = [list(TALK), list(SHORT)]
    options = {"chat_template": MARKED, "return_assistant_tokens_mask": True, "return_dict": True}
    tensors = {"return_tensors": "pt"} if kind == "tensor" else {}
    got = own.apply_chat_template(
        talks,
        tokenize=True,
        padding=True,
        tokenizer_kwargs={"return_offsets_mapping": True},
        **options,
        **tensors,
    )
    masks, places = (got[name] for name in ("assistant_masks", "offset_mapping"))
    for row, talk in enumerate(talks):
        spoken = spans_of(talk)
        want = [
            int(any(start < end and start < b and end > a for a, b in spoken))
            for start, end in (map(int, pair) for pair in places[row])
        ]
        # a space that its token's place leaves out is on neither side
        bare = [start == end for start, end in places[row]]
        value = [0 if empty else int(mask) for mask, empty in zip(masks[row], bare, strict=True)]
        call = f"tokenizer.apply_chat_template(chats, **options)['assistant_masks'][{row}]"
        expect.equal(value, want, call, chats=talks, options=options)
    alone = own.apply_chat_template(list(TALK), tokenize=True, **options)["assistant_masks"]
    value = [int(mask) for mask in masks[0]][: len(alone)]
    call = "tokenizer.apply_chat_template(chat, **options)['assistant_masks']"
    expect.equal(alone, value, call, chat=TALK, options=options)


def spans_of(talk):
    """Where in the rendering by MARKED the assistant speaks."""
    at, spans = 0, []
    for message in talk:
        at += len(message["role"]) + 2
        if message["role"] == "assistant":
            spans.append((at, at + len(message["content"])))
        at += len(message["content"]) + 2
    return spans


@applies_to(encodes, walk_sample)
def test_templates_have_names(checkpoint, tokenizer, expect, tmp_path):
    """Of several templates the named one renders, tool_use where there are tools; saved, they are the same."""
    own = private(tokenizer)
    own.chat_template = {name: f"{name}: {{{{ messages[0].content }}}}" for name in NAMES}
    own.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE)
    for one, who in ((own, "tokenizer"), (again, "tokenizer saved and loaded")):
        for options, wanted in (
            ({}, "default"),
            ({"tools": list(TOOLS)}, "tool_use"),
            ({"chat_template": "other"}, "other"),
        ):
            got = one.apply_chat_template(list(SHORT), tokenize=False, **options)
            call = f"{who}.apply_chat_template(messages, tokenize=False, **options)"
            expect.equal(got, f"{wanted}: hi", call, messages=SHORT, options=options)


@applies_to(encodes, walk_sample)
def test_spaces_and_blocks_are_continued(checkpoint, tokenizer, expect):
    """A continued message keeps the space it ends with, unless its template trims; of several blocks the last goes on."""
    options = {"tokenize": False, "continue_final_message": True}
    messages = [{"role": "assistant", "content": "The answer is "}]
    template = "{% for m in messages %}{{ m.content }}{% endfor %};"
    got = tokenizer.apply_chat_template(messages, chat_template=template, **options)
    call = "tokenizer.apply_chat_template(messages, chat_template=template, **options)"
    expect.equal(got, "The answer is ", call, messages=messages, options=options)
    trimming = template.replace("m.content", "m.content | trim")
    got = tokenizer.apply_chat_template(messages, chat_template=trimming, **options)
    call = call.replace("=template", "=trimming")
    expect.equal(got, "The answer is", call, messages=messages, options=options, trimming=trimming)
    blocks = [{"type": "text", "text": "first"}, {"type": "text", "text": "then"}]
    messages = [{"role": "assistant", "content": blocks}]
    got = tokenizer.apply_chat_template(messages, chat_template=LISTED, **options)
    expect.equal(got, "first|then", call, messages=messages, options=options, template=LISTED)


# 4.46 does not read `int | None`
def look_up(word: str, tags: list[str], times: Optional[int] = None, share: float = 0.5):  # noqa: UP045
    """
    Finds a word.

    Args:
        word: The word (choices: ["sea", "air"])
        tags: Its tags,
            all of them
        times: How often
        share: How much
    """


@applies_to(encodes, walk_sample)
def test_functions_are_described_as_tools(checkpoint, tokenizer, expect):
    """A function given as a tool reaches the template as the JSON schema of its signature and docstring."""
    # blocks on lines of their own leave nothing of their lines
    template = "  {% if tools %}\n{{ tools | tojson }}\n  {% endif %}\n{{ 'ü' | tojson }}"
    options = {"chat_template": template, "tokenize": False, "tools": [look_up]}
    got = tokenizer.apply_chat_template(list(SHORT), **options)
    schema = (
        '[{"type": "function", "function": {"name": "look_up", "description": "Finds a word.", '
        '"parameters": {"type": "object", "properties": {"word": {"type": "string", "enum": ["sea", '
        '"air"], "description": "The word"}, "tags": {"type": "array", "items": {"type": "string"}, "description": "Its '
        'tags, all of them"}, "times": {"type": "integer", "nullable": true, "description": "How often"}, "share": {"type": '
        '"number", "description": "How much"}}, "required": ["word", "tags"]}}}]\n"ü"'
    )
    call = "tokenizer.apply_chat_template(messages, chat_template=template, tools=[look_up], tokenize=False)"
    expect.equal(got, schema, call, messages=SHORT, template=template)


ASKED = "{{ note.title }} {{ pair[1] }} {% if flag %}yes{% else %}no{% endif %} {{ count + 1 }}"


@dataclass
class Note:
    """What a caller may hand to a template in place of a dictionary."""

    title: str


@applies_to(chats)
def test_templates_read_values_of_other_types(checkpoint, tokenizer, expect):
    """Tuples, data classes and numpy's numbers are rendered as the lists, dictionaries and numbers they stand for."""
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}; {% endfor %}" + ASKED
    plain = {"note": {"title": "a"}, "pair": ["b", "c"], "flag": False, "count": 2}
    rich = {"note": Note("a"), "pair": ("b", "c"), "flag": np.bool_(False), "count": np.int64(2)}
    wanted = "".join(f"{m['role']}: {m['content']}; " for m in SHORT) + "a c no 3"
    for talk, values in ((list(SHORT), plain), (SHORT, rich)):
        text = tokenizer.apply_chat_template(talk, chat_template=template, tokenize=False, **values)
        call = (
            "tokenizer.apply_chat_template(talk, chat_template=template, tokenize=False, **values)"
        )
        expect.equal(text, wanted, call, talk=talk, values=values, template=template)
