"""The wide walk over chats: rendered, tokenized, masked, continued, with tools and other templates."""

from __future__ import annotations

from fixtures.applicability import applies_to, tokenizer, trait
from fixtures.chat import TOOLS, timeless
from fixtures.tokenizing import private, some_pad_token
from fixtures.walk import CHATS, as_ids

CHAT = [
    {"role": "user", "content": "Hi there"},
    {"role": "assistant", "content": "Yes. "},
    {"role": "user", "content": "ok?"},
    {"role": "assistant", "content": "Fine, it"},
]
CALLED = [
    {"role": "user", "content": "look"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"type": "function", "function": {"name": "look_up", "arguments": {"word": "a"}}}
        ],
    },
    {"role": "tool", "name": "look_up", "content": "found"},
]
REASONED = [
    {"role": "user", "content": "2 + 2?"},
    {"role": "assistant", "reasoning_content": "two and two", "content": "4"},
]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
# what a template can do, and what continuing a message makes of it
TEMPLATES = {
    "marked": "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}",
    "trimmed": "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}</s>{% endfor %}",
    "repeating": "{% for m in messages %}{{ m.content }}</s>{% endfor %}{{ messages[-1].content }}",
    "spaced": "{% for m in messages %}\n  {%- if loop.index == 3 %}{% continue %}{% endif %}\n"
    "  {{ m | tojson }} {{ m.content | tojson(indent=2) }}\n{% endfor %}\n",
    "named": "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ strftime_now('%Y') | length }}",
}
OWN = {
    "continued": (CHAT, {"continue_final_message": True}),
    "with tools": (CHAT, {"tools": list(TOOLS)}),
    "with documents": (CHAT, {"documents": [{"title": "a", "text": "b"}]}),
    "with a variable": (CHAT, {"enable_thinking": False}),
    "of a tool call": (CALLED, {}),
    "in parts": (PARTS, {}),
    "with reasoning": (REASONED, {}),
    "batch": ([CHAT, CHAT[:1]], {}),
    "by the template for tools": (CHAT, {"chat_template": "tool_use"}),
    "by the template for documents": (CHAT, {"chat_template": "rag"}),
}
# a conversation as callers hold it
FORMS = {
    "in a tuple": "tuple(chat)",
    "of an object": "type('Conversation', (), {'messages': chat})()",
    "of a text": "'Hello'",
    "of nothing": "[]",
    "continued from nothing": "[{'role': 'user', 'content': ''}], continue_final_message=True",
    "continued in its last part": "[{'role': 'user', 'content': [{'type': 'text', 'text': part} "
    "for part in ('a ', ' b ')]}], continue_final_message=True",
}
IN_PARTS = (
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{{ m.content | map(attribute='text') | join }}{% endif %}</s>{% endfor %}"
)
# a function offered as a tool, of which the library makes a schema
TOOL = '''from typing import Any, Literal, Optional, Union

def find(asked: {hint}{default}):
    """Finds it.

    Args:
        asked: What is asked{choices}
    """
'''
HINTS = (
    "str bool float list tuple dict Any list[int] dict[str,float] tuple[int,str] Optional[int] Union[int,str] "
    "Union[list[int],int] Literal['x','y'] int|None list[str]|None list|tuple"
).split()
CHOICES = ('["a", "b"]', "[1, 2]")
ROWS = {
    "mapping": {},
    "padded": {"padding": True},
    "truncated": {"truncation": True, "max_length": 8},
    "as tensors": {"padding": True, "return_tensors": "pt"},
}


@applies_to(tokenizer, timeless)
def test_chats(checkpoint, tokenizer, observe):
    """Chats rendered by the template, as text and as ids."""
    render = "tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt={})"
    for name, chat in CHATS.items():
        for observation, expression in (
            ("chat, generation prompt False", render.format(False)),
            ("chat, generation prompt True", render.format(True)),
            ("chat ids", "tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)"),
            ("chat default type", "type(tokenizer.apply_chat_template(chat)).__name__"),
        ):
            observe.evaluate(
                f"tokenization/{observation}",
                expression,
                {"tokenizer": tokenizer, "chat": chat},
                input=name,
                read=(lambda ids: as_ids(ids, tokenizer)) if observation == "chat ids" else None,
            )


@applies_to(tokenizer, trait("chat-template"), timeless)
def test_own_template(tokenizer, observe):
    """What its own templates make of tools, documents, parts, several chats and a last message."""
    for name, (chat, options) in OWN.items():
        observe.evaluate(
            f"tokenization/chat {name}",
            "tokenizer.apply_chat_template(chat, tokenize=False, **options)",
            {"tokenizer": tokenizer, "chat": chat, "options": options},
        )
    for name, tools in (("chosen", None), ("chosen for tools", list(TOOLS))):
        observe.evaluate(
            f"tokenization/chat template {name}",
            "tokenizer.get_chat_template(tools=tools)",
            {"tokenizer": tokenizer, "tools": tools},
        )


@applies_to(tokenizer, trait("chat-template"), timeless)
def test_forms(tokenizer, observe):
    """A conversation in every form that callers hold one in."""
    for name, form in FORMS.items():
        observe.evaluate(
            f"tokenization/chat {name}",
            f"tokenizer.apply_chat_template({form}, chat_template=template, tokenize=False)",
            {"tokenizer": tokenizer, "chat": CHAT, "template": IN_PARTS},
        )


@applies_to(tokenizer, trait("chat-template"), timeless)
def test_functions_as_tools(tokenizer, observe):
    """The schema that a template sees of a function, for each kind of hint and of choice."""
    told = [(hint, "", "") for hint in HINTS] + [("str", "='a'", "")]
    for hint, default, choices in [*told, *(("str", "", f" (choices: {c})") for c in CHOICES)]:
        code = TOOL.format(hint=hint, default=default, choices=choices)
        rendered = (
            "tokenizer.apply_chat_template([{'role': 'user', 'content': 'a'}], tools=[find],"
            " chat_template='{{ tools | tojson }}', tokenize=False)"
        )

        def shown(code=code, rendered=rendered):
            names = {"tokenizer": tokenizer}
            exec(code, names)
            return eval(rendered, names)

        observe.attempt(
            f"tokenization/tool of {hint}{default}{choices}",
            shown,
            reproduce=f"{code}\n{rendered}",
        )


@applies_to(tokenizer)
def test_given_template(tokenizer, observe):
    """What given templates render and continue, and which tokens are said to be the assistant's."""
    for name, template in TEMPLATES.items():
        for continued in (False, True):
            given = {"tokenizer": tokenizer, "chat": CHAT, "template": template}
            observe.evaluate(
                f"tokenization/chat by a {name} template{', continued' if continued else ''}",
                "tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False,"
                f" continue_final_message={continued})",
                given,
            )
    given = {"tokenizer": private(tokenizer), "template": TEMPLATES["marked"]}
    for name, options in ROWS.items():
        observe.evaluate(
            f"tokenization/chat mask, {name}",
            "(setattr(tokenizer, 'pad_token', pad), dict(tokenizer.apply_chat_template(chats, chat_template=template,"
            " tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **options)))[1]",
            {
                **given,
                "pad": some_pad_token(tokenizer),
                "chats": [CHAT, CHAT[:2]] if "padding" in options else CHAT,
                "options": options,
            },
        )
    observe.evaluate(
        "tokenization/chat mask, its type",
        "type(tokenizer.apply_chat_template(chats, chat_template=template, tokenize=True, return_dict=True,"
        " return_assistant_tokens_mask=True, return_tensors='pt')['assistant_masks']).__name__",
        {**given, "chats": CHAT},
    )
