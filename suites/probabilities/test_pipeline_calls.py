"""What a call of a pipeline says holds for each of its parts: pairs, targets, stops, beams, files."""

from __future__ import annotations

import copy

import pytest

from fixtures.answering import logits_of
from fixtures.applicability import (
    applies_to,
    encoder,
    generation_sample,
    has_fact,
    head,
    light,
    own_weights,
    room_for_pairs,
    tokenizer,
    unquantised,
)
from fixtures.lazy import torch, transformers
from fixtures.pipelines import continues_text, guesses, offers, pipe
from fixtures.tokenizer_files import has_mask_token
from fixtures.tolerance import allowed, allowed_softmax

TEXT = "Hello, how are you?"
GREEDY = {"do_sample": False, "num_beams": 1, "max_new_tokens": 6}
SHOWN = {"return_full_text": False, "clean_up_tokenization_spaces": False}
WRITE = "pipeline('text-generation', model=model, tokenizer=tokenizer)(text, **options)"
FILL = "pipeline('fill-mask', model=model, tokenizer=tokenizer)"
GUESS = "pipeline('zero-shot-classification', ..., multi_label=True)"
classifies = tokenizer & head("SequenceClassification") & light & offers("text-classification")


@applies_to(classifies & encoder, room_for_pairs)
def test_pairs_are_cut_as_told(checkpoint, tokenizer, model, expect):
    """truncation and max_length given to a classification cut a pair as they cut a text."""
    label = pipe("text-classification", model, tokenizer=tokenizer)
    pair = {"text": f"{TEXT} {TEXT}", "text_pair": "Fine"}
    whole = len(tokenizer(**pair)["input_ids"])
    options = {"truncation": True, "max_length": whole - 3}
    rows = label(pair, top_k=None, function_to_apply="none", **options)
    logits = logits_of(model, tokenizer(**pair, return_tensors="pt", **options))[0].float().cpu()
    scores = torch.tensor([row["score"] for row in rows])
    call = "scores of pipeline('text-classification', ...)(pair, top_k=None, function_to_apply='none', **options)"
    wanted = logits.sort(descending=True)[0]
    limit = allowed(wanted.double(), wanted)
    expect.close(scores, wanted, limit, call, pair=pair, options=options)


@applies_to(tokenizer, has_mask_token, head("MaskedLM"), light, offers("fill-mask"))
def test_targets_named_twice_are_answered_once(checkpoint, tokenizer, model, expect):
    """A target that is named twice is one row, and takes no other's place."""
    fill = pipe("fill-mask", model, tokenizer=tokenizer)
    text = f"{TEXT} {tokenizer.mask_token}"
    once, twice = ["a", "e"], ["a", "e", "a", "e"]
    wanted = sorted(row["token"] for row in fill(text, targets=once, top_k=2))
    value = sorted(row["token"] for row in fill(text, targets=twice, top_k=2))
    call = f"sorted(row['token'] for row in {FILL}(text, targets={twice}, top_k=2))"
    expect.equal(value, wanted, call, text=text)


@applies_to(guesses)
def test_a_call_may_take_back_several_labels(checkpoint, tokenizer, model, expect):
    """multi_label=False of a call wins over the multi_label=True its pipeline was made with."""
    made = pipe("zero-shot-classification", model, tokenizer=tokenizer, multi_label=True)
    names = ["music", "school"]
    scores = torch.tensor(made(TEXT, candidate_labels=names, multi_label=False)["scores"])
    call = f"sum({GUESS}(text, {names}, multi_label=False)['scores'])"
    expect.close(scores.sum(), torch.tensor(1.0), allowed_softmax(scores), call, text=TEXT)


@applies_to(continues_text, has_fact("greedy"))
@pytest.mark.parametrize("place", [0, 1])
def test_any_stop_sequence_ends_writing(checkpoint, tokenizer, model, expect, place):
    """Of several stop sequences the one that comes ends the text, wherever it is listed."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    text = checkpoint.facts_of("greedy")[0].input
    whole = write(text, **SHOWN, **GREEDY)[0]["generated_text"]
    stop = (whole.split() * 2)[1]
    stops = ["Zyzzyva!"]
    stops.insert(place, stop)
    options = {"stop_sequence": stops, **SHOWN, **GREEDY}
    value = write(text, **options)[0]["generated_text"]
    wanted = whole[: whole.index(stop) + len(stop)]
    expect.equal(value.strip(), wanted.strip(), f"{WRITE}[0]", text=text, options=options)


@applies_to(continues_text, generation_sample)
def test_padding_of_texts_is_the_tokenizers(checkpoint, tokenizer, model, expect):
    """What a pipeline generates is filled with its tokenizer's padding, whichever id it is."""
    own = copy.copy(model)
    own.generation_config = transformers.GenerationConfig()
    made, seen = copy.deepcopy(tokenizer), []
    made.pad_token = made.convert_ids_to_tokens(0)
    write = pipe("text-generation", own, tokenizer=made)
    generate = write.model.generate

    def recorded(*args, **given):
        config = given.get("generation_config") or write.model.generation_config
        seen.append(given.get("pad_token_id", config.pad_token_id))
        return generate(*args, **given)

    write.model.generate = recorded
    write(TEXT, **GREEDY)
    call = f"pad_token_id that generate is given by {WRITE}, tokenizer.pad_token_id == 0"
    expect.equal(seen, [0], call, text=TEXT)


@applies_to(classifies, own_weights, unquantised)
def test_a_pipeline_saves_its_model_as_told(checkpoint, tokenizer, model, expect, tmp_path):
    """Options of saving a pipeline are those of saving its model."""
    label = pipe("text-classification", model, tokenizer=tokenizer)
    label.save_pretrained(tmp_path / "all", variant="own")
    label.model.save_pretrained(tmp_path / "model", variant="own")
    every, wanted = (
        sorted(file.name for file in (tmp_path / name).iterdir() if ".own." in file.name)
        for name in ("all", "model")
    )
    expect.equal(every, wanted, "files of pipe.save_pretrained(directory, variant='own')")


@applies_to(classifies, own_weights, unquantised)
def test_a_tokenizer_that_is_given_is_used(checkpoint, tokenizer, expect):
    """A tokenizer given beside a directory is the pipeline's, whatever the directory has."""
    given = copy.deepcopy(tokenizer)
    files = {"model": str(checkpoint.path), "model_kwargs": {"use_safetensors": True}}
    made = transformers.pipeline("text-classification", **files, tokenizer=given)
    call = "pipeline(task, model=directory, tokenizer=tokenizer).tokenizer is tokenizer"
    expect.equal(made.tokenizer is given, True, call)


@applies_to(continues_text, generation_sample)
def test_each_of_several_texts_has_its_own_score(checkpoint, tokenizer, model, expect):
    """What generate gives beside the texts of a beam search is given with each text, its own."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    beams = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 4, "do_sample": False}
    options = {**beams, "return_dict_in_generate": True, "output_scores": True}
    rows = write(TEXT, **options)
    value = torch.tensor([float(row["sequences_scores"]) for row in rows])
    inputs = write.tokenizer(TEXT, return_tensors="pt").to(model.device)
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        wanted = write.model.generate(**inputs, **options)["sequences_scores"].float().cpu()
    call = f"[row['sequences_scores'] for row in {WRITE}]"
    expect.close(value, wanted, allowed_softmax(wanted), call, text=TEXT, options=options)
