"""Chat templates: rendered as jinja2 renders the template in the files."""

from __future__ import annotations

import json

import pytest

from fixtures.applicability import applies_to, has_fact
from fixtures.chat import TOOLS, accepted, converses, refuses_all, shows_words, timeless
from fixtures.tokenizer_files import chats, encodes
from fixtures.tokenizing import content


@applies_to(chats, timeless)
@pytest.mark.parametrize("prompt", [False, True])
def test_chat_renders_as_the_template_says(checkpoint, tokenizer, expect, observe, prompt):
    """A conversation renders to what jinja2 makes of the template, with and without a generation prompt."""
    found = accepted(checkpoint, prompt)
    for number, (messages, want) in enumerate(found):
        got = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
        observe(f"tokenization/chat/{number}/{'prompt' if prompt else 'plain'}", got)
        expect.equal(
            got,
            want,
            f"tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt={prompt})",
            messages=messages,
        )
    wanted = "a conversation that the template takes, or its refusal of each"
    expect.true(bool(found) or refuses_all(checkpoint), found, wanted, "tokenizer.chat_template")


@applies_to(chats, converses)
def test_chat_ids_are_the_rendered_text(checkpoint, tokenizer, expect):
    """Tokenized, a conversation is the ids of its rendering, without special tokens of its own."""
    for messages, text in accepted(checkpoint, True):
        want = content(tokenizer, text)
        call = "tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict={dict})"
        got = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        expect.equal(got, want, call.format(dict=False), messages=messages)
        full = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True
        )
        expect.equal(
            full["input_ids"], want, call.format(dict=True) + "['input_ids']", messages=messages
        )
        expect.equal(
            full["attention_mask"],
            [1] * len(want),
            call.format(dict=True) + "['attention_mask']",
            messages=messages,
        )
        tensor = tokenizer.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        expect.equal(
            tensor["input_ids"],
            [want],
            "tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors='pt')['input_ids']",
            messages=messages,
        )


@applies_to(chats, converses)
def test_batch_of_chats_is_each_chat(checkpoint, tokenizer, expect):
    """A list of conversations renders to the rendering of each."""
    found = accepted(checkpoint, False)
    expect.true(bool(found), found, "a conversation the template takes", "tokenizer.chat_template")
    got = tokenizer.apply_chat_template([messages for messages, _ in found], tokenize=False)
    expect.equal(
        got,
        [text for _, text in found],
        "tokenizer.apply_chat_template(chats, tokenize=False)",
        chats=[m for m, _ in found],
    )


@applies_to(chats, converses)
def test_tools_and_variables_reach_the_template(checkpoint, tokenizer, expect):
    """Tools and further arguments are rendered as jinja2 renders them."""
    variables = {"tools": list(TOOLS), "enable_thinking": False}
    for messages, want in accepted(checkpoint, True, **variables):
        got = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **variables
        )
        call = "tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **variables)"
        expect.equal(got, want, call, messages=messages, variables=variables)


@applies_to(chats, converses)
def test_given_template_wins(checkpoint, tokenizer, expect):
    """A template given in the call is used instead of the tokenizer's, with all that is given to it."""
    template = (
        "{% for m in messages %}[{{ m.role }}|{{ m.content }}|{{ m.calls | tojson }}|{{ m.none | tojson }}"
        "{{ m.zero }}{{ m.no }}]{% endfor %}{{ word | tojson }}"
        "{{ tools | tojson }}{{ documents[0].text }}"
    )
    calls = [{"zeta": {"b": None, "a": "x"}, "alpha": 1}]
    # what is empty, zero or false is said, too
    empty = {"none": [], "zero": 0, "no": False}
    messages = [{"role": "user", "content": "a<b", "calls": calls, **empty}]
    given = {
        "word": {"z": None, "a": [None, 1.5, True]},
        "tools": list(TOOLS),
        "documents": [{"title": "t", "text": "naïve & <b>"}],
    }
    got = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **given)
    written = [json.dumps(x, ensure_ascii=False) for x in (calls, given["word"], given["tools"])]
    want = "[user|a<b|{}|[]0False]{}{}naïve & <b>".format(*written)
    call = (
        "tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **given)"
    )
    expect.equal(got, want, call, messages=messages, template=template, given=given)


@applies_to(chats, shows_words)
def test_final_message_can_be_continued(checkpoint, tokenizer, expect):
    """continue_final_message ends the rendering with the last message's text."""
    found = accepted(checkpoint, False)
    expect.true(bool(found), found, "a conversation the template takes", "tokenizer.chat_template")
    messages = [*found[0][0], {"role": "assistant", "content": "The answer is"}]
    call = "tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)"
    got = tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    expect.true(
        got.endswith("The answer is"), got, "ends with 'The answer is'", call, messages=messages
    )
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    expect.true(whole.startswith(got), got, f"the beginning of {whole!r}", call, messages=messages)
    template = "{% for m in messages %}{{ m.content }};{% endfor %}"
    twice = [dict(messages[-1]), {"role": "user", "content": "and"}, messages[-1]]
    options = {"chat_template": template, "tokenize": False, "continue_final_message": True}
    got = tokenizer.apply_chat_template(twice, **options)
    call = "tokenizer.apply_chat_template(messages, **options)"
    want = "The answer is;and;The answer is"
    expect.equal(got, want, call, messages=twice, options=options)


@applies_to(encodes & ~chats)
def test_without_a_template_chat_is_refused(checkpoint, tokenizer, expect):
    """Without a chat template it refuses to render; one given is rendered with its special tokens, or those given."""
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(ValueError, match=r"(?i)template"):
        tokenizer.apply_chat_template(messages, tokenize=False)
    template = "{{ eos_token }}{{ messages[0]['content'] }}!{{ '?' if add_generation_prompt }}"
    options = {"chat_template": template, "tokenize": False, "add_generation_prompt": True}
    call = "tokenizer.apply_chat_template(messages, **options)"
    got = tokenizer.apply_chat_template(messages, **options)
    expect.equal(got, f"{tokenizer.eos_token or ''}hi!?", call, messages=messages, options=options)
    got = tokenizer.apply_chat_template(messages, eos_token="; ", **options)
    call = call.replace("**", "eos_token='; ', **")
    expect.equal(got, "; hi!?", call, messages=messages, options=options)


@applies_to(has_fact("chat"))
def test_chat_facts(checkpoint, tokenizer, expect):
    """Conversations render as the catalogue knows from elsewhere."""
    for fact in checkpoint.facts_of("chat"):
        got = tokenizer.apply_chat_template(fact.input, tokenize=False)
        expect.equal(
            got,
            fact.expect,
            "tokenizer.apply_chat_template(messages, tokenize=False)",
            messages=fact.input,
        )
