"""From a prompt to text, as the catalogue's facts and the files say."""

from __future__ import annotations

from fixtures.applicability import applies_to, generates, has_fact, text_model, tokenizer
from fixtures.checkpoint import read_json
from fixtures.lazy import torch
from fixtures.loading import fresh_tokenizer


def generated(checkpoint, tokenizer, model, fact, new_tokens):
    """The text greedy decoding gives for a fact's input: a prompt, or a text with its languages."""
    extra, text = {}, fact.input
    if isinstance(fact.input, dict):
        text, target = fact.input["text"], fact.input["tgt_lang"]
        tokenizer = fresh_tokenizer(checkpoint, src_lang=fact.input["src_lang"], tgt_lang=target)
        extra = {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(target)}
    inputs = tokenizer(text, return_tensors="pt").to(model.device)
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        ids = model.generate(
            **inputs, do_sample=False, num_beams=1, max_new_tokens=new_tokens, **extra
        )[0]
    if checkpoint.kind == "decoder":
        ids = ids[inputs["input_ids"].shape[1] :]
    return tokenizer.decode(ids, skip_special_tokens=True)


CALL = (
    "tokenizer.decode(model.generate(**tokenizer(text, return_tensors='pt'), do_sample=False)[0])"
)


@applies_to(generates, tokenizer, has_fact("greedy"))
def test_greedy_text(checkpoint, tokenizer, model, expect, observe):
    """Greedy decoding gives exactly the text the checkpoint was trained to give, and stops."""
    for fact in checkpoint.facts_of("greedy"):
        text = generated(checkpoint, tokenizer, model, fact, 60)
        observe("generation/greedy text", text, input=str(fact.input), group="generation")
        expect.equal(text.strip(), fact.expect.strip(), CALL, text=fact.input)


@applies_to(generates, tokenizer, has_fact("continuation"))
def test_continuation(checkpoint, tokenizer, model, expect, observe):
    """Greedy decoding continues a prompt with the words a published source names."""
    for fact in checkpoint.facts_of("continuation"):
        text = generated(checkpoint, tokenizer, model, fact, 4)
        observe("generation/continuation", text, input=fact.input, group="generation")
        expect.equal(text[: len(fact.expect)], fact.expect, CALL, text=fact.input)


@applies_to(generates, text_model)
def test_generation_settings_come_from_the_files(checkpoint, model, expect):
    """Every setting of generation_config.json, or of an old config.json, arrives in the model."""
    written = read_json(checkpoint.path / "generation_config.json")
    hidden = {"transformers_version", "_from_model_config"}
    for name, value in written.items():
        if name not in hidden:
            expect.equal(
                getattr(model.generation_config, name, None),
                value,
                f"model.generation_config.{name}",
            )
    if not written:
        for name in (
            "num_beams",
            "no_repeat_ngram_size",
            "length_penalty",
            "decoder_start_token_id",
            "eos_token_id",
        ):
            if checkpoint.config.get(name) is not None:
                value = getattr(model.generation_config, name, None)
                expect.equal(value, checkpoint.config[name], f"model.generation_config.{name}")
