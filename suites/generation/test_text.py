"""From a prompt to text, as the catalogue's facts and the files say."""

from __future__ import annotations

from fixtures.applicability import applies_to, generates, has_fact, text_model, tokenizer
from fixtures.checkpoint import read_json
from fixtures.lazy import torch


@applies_to(generates, tokenizer, has_fact("greedy"))
def test_greedy_text(checkpoint, tokenizer, model, expect, observe):
    """Greedy decoding under the checkpoint's own settings gives the text it was trained to give."""
    for fact in checkpoint.facts_of("greedy"):
        inputs = tokenizer(fact.input, return_tensors="pt").to(model.device)
        inputs.pop("token_type_ids", None)
        with torch.no_grad():
            ids = model.generate(**inputs, do_sample=False, max_new_tokens=32)[0]
        if checkpoint.kind == "decoder":
            ids = ids[inputs["input_ids"].shape[1] :]
        text = tokenizer.decode(ids, skip_special_tokens=True)
        observe("generation/greedy text", text, input=fact.input, group="generation")
        expect.equal(
            text.strip(),
            fact.expect.strip(),
            "tokenizer.decode(model.generate(**tokenizer(text, return_tensors='pt'), do_sample=False)[0])",
            text=fact.input,
        )


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
