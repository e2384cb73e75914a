"""What a conversation is asked for besides its text: a length, a template, harmless inputs, its answer parsed."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Literal, Optional, Union

import pytest

from fixtures.applicability import applies_to, beside_one, walk_sample
from fixtures.chat import TOOLS
from fixtures.lazy import numpy, tokenizers, torch, transformers
from fixtures.loading import SAFE
from fixtures.tokenizer_files import encodes
from fixtures.tokenizing import content, private, some_pad_token

TALK = (
    {"role": "user", "content": "what is it"},
    {"role": "assistant", "content": "it is a day"},
    {"role": "user", "content": "and now"},
)
PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}; {% endfor %}"
# The history alone is another beginning of the whole, or none.
ENDED = "{% for m in messages %}{{ m.content }}{% if loop.last %} ! {% else %} ? {% endif %}{% endfor %}"
COUNTED = "{{ messages | length }} {% for m in messages %}{{ m.content }} ; {% endfor %}"


def as_plain(talk):
    """A conversation as PLAIN renders it."""
    return "".join(f"{m['role']}: {m['content']}; " for m in talk)


@applies_to(encodes, walk_sample)
@pytest.mark.parametrize("side", ["left", "right"])
def test_length_of_a_chat_is_as_asked(checkpoint, tokenizer, expect, side):
    """A chat longer than max_length loses what exceeds it, a shorter one is filled to it when asked to be."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    own.padding_side = own.truncation_side = side
    whole = content(own, as_plain(TALK))
    longer = len(whole) + 7
    cut = whole[:3] if side == "right" else whole[-3:]
    fill = [own.pad_token_id] * 7
    filled = [*whole, *fill] if side == "right" else [*fill, *whole]
    for options, want in (
        ({"truncation": True, "max_length": 3}, cut),
        ({"padding": "max_length", "max_length": longer}, filled),
        ({"padding": "max_length", "max_length": 3, "truncation": True}, cut),
        ({"truncation": True, "max_length": longer}, whole),
    ):
        options |= {"tokenize": True, "chat_template": PLAIN, "return_dict": False}
        got = own.apply_chat_template(list(TALK), **options)
        call = "tokenizer.apply_chat_template(messages, **options)"
        expect.equal(got, want, call, messages=TALK, options=options)


@applies_to(encodes, walk_sample)
@pytest.mark.parametrize("names", [("default", "tool_use"), ("default",), ("one", "two"), ()])
def test_given_template_beats_those_with_names(checkpoint, tokenizer, expect, names):
    """A whole template given in the call renders, whatever templates the tokenizer has, tools or not."""
    own = private(tokenizer)
    own.chat_template = {name: f"{name}: {{{{ messages[0].content }}}}" for name in names} or None
    for tools in (None, list(TOOLS)):
        options = {"chat_template": PLAIN, "tokenize": False, "tools": tools}
        got = own.apply_chat_template(list(TALK), **options)
        call = "tokenizer.apply_chat_template(messages, **options)"
        expect.equal(got, as_plain(TALK), call, messages=TALK, options=options, names=names)
        got = own.get_chat_template(PLAIN, tools)
        call = "tokenizer.get_chat_template(template, tools)"
        expect.equal(got, PLAIN, call, template=PLAIN, tools=tools, names=names)


@applies_to(encodes, walk_sample)
@pytest.mark.parametrize("template", [PLAIN, ENDED, COUNTED], ids=["grows", "ends", "counts"])
def test_message_is_what_a_chat_grows_by(checkpoint, tokenizer, expect, template):
    """A message encoded behind its history is what the whole has from where it differs from the history."""
    for number in range(1, len(TALK) + 1):
        history, message = list(TALK[: number - 1]), dict(TALK[number - 1])
        options = {"chat_template": template, "tokenize": False}
        talks = [talk for talk in (history, [*history, message]) if talk]
        texts = [tokenizer.apply_chat_template(talk, **options) for talk in talks]
        earlier, whole = ([], *(content(tokenizer, text) for text in texts))[-2:]
        alike = [one == other for one, other in zip(earlier, whole, strict=False)]
        want = whole[[*alike, False].index(False) :]
        got = tokenizer.encode_message_with_chat_template(
            message, conversation_history=history, chat_template=template
        )
        call = "tokenizer.encode_message_with_chat_template(message, history, chat_template=...)"
        expect.equal(got, want, call, message=message, history=history, template=template)


LETTERS = "".join(chr(c) for c in range(33, 127)) + "\n"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
ORDINARY = ("<turn>", "<word>")
FRAME = (
    "{{ bos_token }}{% for m in messages %}{{ '<turn>' }}{{ m.role }}\n"
    "{{ m.content }}{{ eos_token }}{{ documents[0].text if documents else note }}{% endfor %}"
)
USERS = (
    {"role": "user", "content": "a b <s>c</s> <turn>d<word> <pad></s>"},
    {"role": "assistant", "content": "e </s> f<turn>"},
)
SHAPES = ("bytes", "pieces")


def letter_by_letter(shape: str, **said: Any) -> Any:
    """A tokenizer whose tokens are characters, behind those that are special and those that are added."""
    space = "\u2581" if shape == "pieces" else "\u0120"
    line = "\n" if shape == "pieces" else "\u010a"
    names = [*SPECIAL.values(), space, line, *LETTERS[:-1]]
    model = tokenizers.models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[])
    raw = tokenizers.Tokenizer(model)
    if shape == "pieces":
        raw.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        raw.decoder = tokenizers.decoders.Metaspace(prepend_scheme="first", split=False)
    else:
        raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = tokenizers.decoders.ByteLevel()
    own = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **SPECIAL, **said)
    own.add_tokens(list(ORDINARY))
    return own


def spelt(own, text, control=()):
    """The ids of a text behind something else: of its control tokens, and else of its characters."""
    found: list[int] = []
    while text:
        token = next((token for token in control if text.startswith(token)), text[0])
        name = token if len(token) > 1 else own.tokenize(f"<s>{token}")[-1]
        found.append(own.convert_tokens_to_ids(name))
        text = text[len(token) :]
    return found


def harmless(own, talk, kept, note=""):
    """The ids of a conversation in FRAME, where of what users write only these tokens are more than letters."""
    every = (*SPECIAL.values(), *ORDINARY)
    found = spelt(own, "<s>", every)
    for m in talk:
        found += spelt(own, f"<turn>{m['role']}\n", every) + spelt(own, m["content"], kept)
        found += spelt(own, "</s>", every) + spelt(own, note, kept)
    return found


@applies_to(beside_one)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("listed", [None, ["<word>"], []], ids=["template", "word", "none"])
@pytest.mark.parametrize("where", ["documents", "note"])
def test_what_users_write_is_no_control_token(checkpoint, expect, tmp_path, shape, listed, where):
    """Sanitized, special tokens and those listed, or else in the template, are letters where users write them."""
    made = letter_by_letter(shape)
    made.chat_control_tokens = listed
    made.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE)
    harmed = ["<turn>"] if listed is None else listed
    kept = [token for token in ORDINARY if token not in harmed]
    note = "<pad><turn> n"
    options = {"chat_template": FRAME, "sanitize_control_tokens": True, "tokenize": True}
    options[where] = note if where == "note" else [{"text": note}]
    for own, who in ((made, "tokenizer"), (again, "tokenizer saved and loaded")):
        want = harmless(own, USERS, kept, note)
        got = own.apply_chat_template(list(USERS), **options)["input_ids"]
        call = f"{who}.apply_chat_template(messages, **options)['input_ids']"
        expect.equal(got, want, call, messages=USERS, options=options, chat_control_tokens=listed)


@applies_to(beside_one)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", [None, "np", "pt"])
def test_sanitized_chats_are_shaped_as_others(checkpoint, expect, kind, side):
    """Sanitized or not, chats come alone and in batches, as lists and tensors, cut and filled alike."""
    own = letter_by_letter("bytes", padding_side=side, truncation_side=side)
    safe = [dict(m, content=m["content"].replace("<", "(")) for m in USERS]
    talks = [safe, safe[:1]]
    for talk, options in (
        (safe, {}),
        (talks[:1], {}),
        (talks, {"padding": True}),
        (safe, {"max_length": 5, "truncation": True}),
        (talks, {"max_length": 90, "padding": "max_length"}),
        (talks, {"padding": True, "tokenizer_kwargs": {"pad_to_multiple_of": 16}}),
    ):
        options |= {"chat_template": FRAME, "return_dict": True, "return_tensors": kind}
        want = own.apply_chat_template(talk, **options)
        call = "tokenizer.apply_chat_template(chats, sanitize_control_tokens=True, **options)"
        got = own.apply_chat_template(talk, sanitize_control_tokens=True, **options)
        for name in ("input_ids", "attention_mask"):
            kinds = [type(one[name]).__name__ for one in (got, want)]
            expect.equal(*kinds, f"type({call}[{name!r}])", options=options)
            expect.equal(got[name], want[name], f"{call}[{name!r}]", chats=talk, options=options)


ANSWER: dict[str, Any] = {
    "start_anchor": "<s>assistant\n",
    "defaults": {"role": "assistant"},
    "fields": {
        "reasoning_content": {"open": "<word>", "close": "<s>"},
        "content": {"close": "</s>"},
    },
}
# What is asked, the answer, and what it says.
ASKED = (
    ("<turn>user\nhi</s><s>assistant\n", "<word>well<s>hello</s>", ("well", "hello")),
    ("<s>assistant\nno</s><s>assistant\n", "good day</s>", (None, "good day")),
    ("<s>assistant\n<word>w", "ell<s>a <b</s>", ("well", "a <b")),
)


def said_by(reasoning, words):
    """The message that says this."""
    thought = {} if reasoning is None else {"reasoning_content": reasoning}
    return {"role": "assistant", "content": words, **thought}


@applies_to(beside_one)
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_are_parsed_in_every_form(checkpoint, expect, shape):
    """As text, ids, array or tensor, an answer is the message that its delimiters mark, be they special tokens."""
    own = letter_by_letter(shape)
    own.response_template = ANSWER
    for prompt, text, words in ASKED:
        inputs = (content(own, prompt), content(own, text))
        forms = [(prompt, text), inputs, (inputs[0], text), (prompt, inputs[1])]
        forms += [tuple(map(numpy.array, inputs)), tuple(map(torch.tensor, inputs))]
        for prefix, answer in forms:
            got = own.parse_response(answer, prefix=prefix)
            call = "tokenizer.parse_response(answer, prefix=prefix)"
            expect.equal(got, said_by(*words), call, answer=answer, prefix=prefix, schema=ANSWER)


@applies_to(beside_one)
def test_every_answer_of_a_batch_is_parsed(checkpoint, expect):
    """A batch of answers is as many messages, each behind its own prompt or behind the one they share."""
    own = letter_by_letter("bytes")
    prompts, answers, words = zip(*ASKED, strict=True)
    want = [said_by(*each) for each in words]
    written = [[content(own, text) for text in texts] for texts in (prompts, answers)]
    call = "tokenizer.parse_response(answers, schema, prefix=prefix)"
    for prefix, texts in ((list(prompts), list(answers)), tuple(written)):
        got = own.parse_response(texts, ANSWER, prefix=prefix)
        expect.equal(got, want, call, answers=texts, prefix=prefix, schema=ANSWER)
    want = [said_by("well", "hello"), said_by(None, "good day")]
    ids = content(own, prompts[0])
    for prefix in (prompts[0], ids, torch.tensor(ids), "", []):
        for texts in (list(answers[:2]), written[1][:2]):
            got = own.parse_response(texts, ANSWER, prefix=prefix)
            expect.equal(got, want, call, answers=texts, prefix=prefix, schema=ANSWER)
    got = own.parse_response(list(answers[:1]), ANSWER, prefix=prompts[0])
    expect.equal(got, want[:1], call, answers=answers[:1], prefix=prompts[0], schema=ANSWER)
    for told in ({}, {"prefix": list(prompts[:2])}):
        with pytest.raises(ValueError, match="prefix"):
            own.parse_response(list(answers), ANSWER, **told)


@applies_to(beside_one)
@pytest.mark.parametrize("step", [1, 2, 5])
def test_an_answer_in_pieces_is_the_whole(checkpoint, expect, step):
    """Fed in pieces of any length, an answer is the same message, each part told as it was written."""
    own = letter_by_letter("bytes")
    for prompt, text, words in ASKED:
        parser = own.get_response_parser(ANSWER, prefix=prompt)
        events = list(parser.initial_events)
        for start in range(0, len(text), step):
            events += parser.feed(text[start : start + step])
        got, last = parser.finalize()
        call = "tokenizer.get_response_parser(schema, prefix=prompt), fed in steps"
        expect.equal(got, said_by(*words), call, answer=text, prompt=prompt, step=step)
        told: dict[str, str] = {}
        for event in (*events, *last):
            if event["type"] == "region_chunk":
                told[event["field"]] = told.get(event["field"], "") + event["text"]
        want = {k: v for k, v in got.items() if k != "role"}
        expect.equal(told, want, f"chunks of {call}", answer=text, prompt=prompt, step=step)


class Word(Enum):
    """A choice of words."""

    FIRST = "a"
    SECOND = "b"


class Level(Enum):
    """A choice of words and numbers."""

    LOW = 1
    OTHER = "auto"


# What of VALUES each hint takes (of a tuple, its beginning is enough). 4.46 does not read `int | None`.
HINTS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "optional": (Optional[int], (1, None)),  # noqa: UP045
    "nothing said": (list, ([], ["a"], [1], [1, "a"], ["a", 1], [["a"]])),
    "list": (list[int], ([], [1])),
    "list of lists": (list[list[str]], ([], [["a"]])),
    "dictionary": (dict[str, int], ({}, {"a": 1})),
    "tuple": (tuple[int, str], ([], [1], [1, "a"])),
    "union": (Union[int, str], (1, "a", "b", "auto")),  # noqa: UP007
    "list or dictionary": (Union[list[int], dict[str, str]], ([], [1], {}, {"a": "b"})),  # noqa: UP007
    "list or word": (Union[list[int], str], ("a", "b", "auto", [], [1])),  # noqa: UP007
    "dictionary or none": (Optional[dict[str, int]], (None, {}, {"a": 1})),  # noqa: UP045
    "words": (Literal["a", "b"], ("a", "b")),
    "words and numbers": (Literal[1, "auto"], (1, "auto")),
    "words or number": (Union[Literal["a", "b"], int], (1, "a", "b")),  # noqa: UP007
    "list of words": (list[Literal["a", "b"]], ([], ["a"])),
    "enumeration": (Word, ("a", "b")),
    "enumeration of several": (Level, (1, "auto")),
}
VALUES = (
    *(1, 1.5, True, None, "a", "b", "auto", [], ["a"], [1], [1, "a"], ["a", 1], [["a"]]),
    *({}, {"a": 1}, {"a": "b"}),
)
KINDS = {
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def takes(schema, value):
    """Whether a JSON schema takes a value, as JSON Schema 2020-12 and OpenAPI's `nullable` have it."""
    if value is None and schema.get("nullable"):
        return True
    kinds = schema.get("type", list(KINDS))
    choices = [(type(v), v) for v in schema.get("enum", [value])]
    fits = any(KINDS[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    fits &= (type(value), value) in choices
    fits &= "anyOf" not in schema or any(takes(one, value) for one in schema["anyOf"])
    parts = []
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        rest = [schema.get("items", {})] * len(value)
        parts = [*zip([*first, *rest], value, strict=False)]
    elif isinstance(value, dict):
        parts = [(schema.get("additionalProperties", {}), v) for v in value.values()]
    return fits and all(takes(one, part) for one, part in parts)


def schema_of(own, tool):
    """What a template is told of a tool."""
    options = {"chat_template": "{{ tools | tojson }}", "tokenize": False, "tools": [tool]}
    return json.loads(own.apply_chat_template(list(TALK), **options))[0]["function"]


def choose(value: str):
    """Chooses.

    Args:
        value: Which one
    """


class Chooser:
    """Whose methods are tools."""

    def choose(self, value: str):
        """Not yet."""

    @classmethod
    def elect(cls, value: str):
        """Not yet."""

    choose.__doc__ = elect.__func__.__doc__ = "Chooses.\n\nArgs:\n    value: Which one\n"


@applies_to(beside_one)
@pytest.mark.parametrize("named", HINTS)
def test_schema_of_a_tool_takes_what_its_hints_do(checkpoint, tokenizer, expect, named):
    """Of the values that JSON can write, the schema of an argument takes those its type hint does, and no others."""
    hint, taken = HINTS[named]

    def tool(value):
        """Tries."""

    tool.__doc__, tool.__annotations__ = choose.__doc__, {"value": hint}
    schema = schema_of(tokenizer, tool)["parameters"]["properties"]["value"]
    got = [value for value in VALUES if takes(schema, value)]
    call = "values that the schema of a tool(value: hint) takes"
    expect.equal(got, list(taken), call, hint=str(hint), schema=schema)
    expect.equal(schema["description"], "Which one", "what the schema says of value", schema=schema)


@applies_to(beside_one)
@pytest.mark.parametrize("tool", [Chooser().choose, Chooser.elect], ids=["own", "of the class"])
def test_methods_are_tools_like_functions(checkpoint, tokenizer, expect, tool):
    """A bound method is described as the function that has its other arguments."""
    want = schema_of(tokenizer, choose) | {"name": tool.__name__}
    call = "tools of tokenizer.apply_chat_template(messages, tools=[tool])"
    expect.equal(schema_of(tokenizer, tool), want, call, tool=tool.__qualname__)
