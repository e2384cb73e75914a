"""Options of text generation's pipeline: what of a prompt is read, when it ends, what is shown."""

from __future__ import annotations

import pytest

from fixtures.applicability import (
    applies_to,
    generation_sample,
    has_fact,
    head,
    kind,
    light,
    tokenizer,
    trait,
)
from fixtures.lazy import torch
from fixtures.pipelines import continues_text, pipe, takes

GREEDY = {"do_sample": False, "num_beams": 1, "max_new_tokens": 6}
SHOWN = {"return_full_text": False, "clean_up_tokenization_spaces": False}
CALL = "pipeline('text-generation', model=model, tokenizer=tokenizer)(text, **options)"
ROOM = 14
TEXT = "Hello, how are you? I am fine, thank you. And you?"
CHAT = tokenizer & kind("decoder") & head("CausalLM") & trait("chat-template") & light


def generated(model, ids):
    """The new ids that generate greedily gives after these (1, tokens)."""
    mask = torch.ones_like(ids)
    with torch.no_grad():
        out = model.generate(ids.to(model.device), attention_mask=mask.to(model.device), **GREEDY)
    return out[0, ids.shape[1] :]


def spelled(tokenizer, ids, skip=True):
    """Their text, its spaces as they are."""
    return tokenizer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)


def one_token(tokenizer):
    """A text that is one id; any text where a vocabulary has none such."""
    texts = (spelled(tokenizer, [i]).strip() for i in range(len(tokenizer)))
    single = (
        t for t in texts if t and len(tokenizer(t, add_special_tokens=False)["input_ids"]) == 1
    )
    return next(single, TEXT)


@applies_to(continues_text, generation_sample)
@pytest.mark.parametrize("way", ["hole", "truncation", "one token"])
def test_prompts_are_cut_as_told(checkpoint, tokenizer, model, expect, way):
    """handle_long_generation="hole" keeps a prompt's end and room to answer, truncation what the
    tokenizer keeps; one token is a prompt."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    write.tokenizer.model_max_length = ROOM
    options = {"truncation": True} if way == "truncation" else {"add_special_tokens": False}
    ids = write.tokenizer(TEXT, return_tensors="pt", **options)["input_ids"]
    text = TEXT
    if way == "hole":
        ids = ids[:, -(ROOM - GREEDY["max_new_tokens"]) :]
        options["handle_long_generation"] = "hole"
    elif way == "one token":
        text = one_token(tokenizer)
        ids = write.tokenizer(text, return_tensors="pt", **options)["input_ids"]
    row = write(text, return_tensors=True, **options, **GREEDY)[0]
    wanted = [*ids[0].tolist(), *generated(write.model, ids).tolist()]
    call = f"(setattr(tokenizer, 'model_max_length', {ROOM}), {CALL}[0]['generated_token_ids'])[1]"
    expect.equal(row["generated_token_ids"], wanted, call, text=text, options=options)


@applies_to(continues_text, has_fact("greedy"))
def test_writing_ends_with_the_stop_sequence(checkpoint, tokenizer, model, expect):
    """stop_sequence ends the text with its first occurrence."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    text = checkpoint.facts_of("greedy")[0].input
    new = generated(write.model, tokenizer(text, return_tensors="pt")["input_ids"]).tolist()
    whole, stop = spelled(tokenizer, new), spelled(tokenizer, new[1:2]).strip()
    value = write(text, stop_sequence=stop, **SHOWN, **GREEDY)[0]["generated_text"]
    options = {"stop_sequence": stop, **SHOWN, **GREEDY}
    wanted = whole[: whole.index(stop) + len(stop)]
    call = f"{CALL}[0]['generated_text']"
    expect.equal(value.strip(), wanted.strip(), call, text=text, options=options)


def written(checkpoint, tokenizer, model, expect, **more):
    """A text that ends with a special token is what the tokenizer makes of its ids."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    end = tokenizer.all_special_ids[0]
    options = {**GREEDY, "forced_eos_token_id": end, "eos_token_id": end}
    ids = write("Hello", return_tensors=True, **options)[0]["generated_token_ids"]
    new = ids[len(tokenizer("Hello")["input_ids"]) :]
    value = write("Hello", **more, **SHOWN, **options)[0]["generated_text"]
    wanted = spelled(tokenizer, new, skip=not more)
    call = f"{CALL}[0]['generated_text']"
    expect.equal(value.strip(), wanted.strip(), call, text="Hello", options=options | more)


@applies_to(continues_text, generation_sample)
def test_special_tokens_are_left_out(checkpoint, tokenizer, model, expect):
    """Generated text has no special tokens."""
    written(checkpoint, tokenizer, model, expect)


@applies_to(continues_text, generation_sample, takes("text_generation", "skip_special_tokens"))
def test_special_tokens_are_shown_when_asked(checkpoint, tokenizer, model, expect):
    """With skip_special_tokens=False generated text has its special tokens."""
    written(checkpoint, tokenizer, model, expect, skip_special_tokens=False)


@applies_to(CHAT, takes("text_generation", "tools"))
@pytest.mark.parametrize("given", ["tools", "documents", "continue_final_message"])
def test_conversations_are_rendered_as_told(checkpoint, tokenizer, model, expect, given):
    """Tools and documents reach a conversation's template; told so, an assistant's words are answered."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} {% endfor %}{{ tools }}{{ documents }}{{ add_generation_prompt }}"
    write.tokenizer.chat_template = template
    talk = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Fine, and"}]
    schema = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    option = {
        "tools": [schema],
        "documents": [{"title": "A", "text": "B"}],
        "continue_final_message": False,
    }[given]
    talk = talk if given == "continue_final_message" else talk[:1]
    more = {} if given == "continue_final_message" else {given: option}
    asked = {"add_generation_prompt": True, "tokenize": False, **more}
    rendered = write.tokenizer.apply_chat_template(talk, **asked)
    ids = tokenizer(rendered, return_tensors="pt", add_special_tokens=False)["input_ids"]
    wanted = spelled(tokenizer, generated(write.model, ids))
    value = write(talk, **{given: option}, **GREEDY)[0]["generated_text"]
    call = f"{CALL.replace('text,', 'talk,')}[0]['generated_text']"
    expect.equal(value[:-1], talk, f"{call}[:-1]", talk=talk)
    got = [value[-1]["role"], value[-1]["content"].strip()]
    expect.equal(
        got, ["assistant", wanted.strip()], f"{call}[-1]", talk=talk, options={given: option}
    )
