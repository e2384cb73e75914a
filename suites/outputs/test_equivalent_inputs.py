"""The same input handed over in another way gives the same outputs."""

from __future__ import annotations

import pytest

from fixtures.agreement import agree_with_itself, agree_with_reference, final_states
from fixtures.applicability import (
    applies_to,
    decoder,
    encoder,
    head,
    light,
    lively,
    model_type,
    one_table,
    referenced,
    scales_beside_embedding,
    seq2seq,
    several_labels,
    token_stack,
    unless_shown,
    vision,
    wide_window,
)
from fixtures.ids import batch, labels, ordinary_ids, pad_id, shifted
from fixtures.lazy import torch
from fixtures.loading import kept_logits, load_model, method_of, named_logits, row_logits
from fixtures.oracle import answers, own_tolerance, run
from fixtures.tolerance import K, eps


@applies_to(token_stack & ~scales_beside_embedding & one_table)
def test_embeddings_equal_ids(checkpoint, model, dtype, expect):
    """Embeddings that the caller looks up give what the ids themselves give."""
    inputs = batch(checkpoint, [12, 12])
    embedded = {name: value for name, value in inputs.items() if name != "input_ids"}
    embedded["inputs_embeds"] = model.get_input_embeddings()(inputs["input_ids"].to(model.device))
    call = "model(inputs_embeds=model.get_input_embeddings()(inputs.pop('input_ids')), **inputs)"
    agree_with_itself(expect, run(model, embedded), answers(model, inputs), inputs, call, dtype)


@applies_to(seq2seq & one_table)
def test_decoder_embeddings_equal_ids(checkpoint, model, dtype, expect):
    """Embeddings given to the decoder give what the ids themselves give."""
    inputs = batch(checkpoint, [12, 12])
    embedded = {name: value for name, value in inputs.items() if name != "decoder_input_ids"}
    ids = inputs["decoder_input_ids"].to(model.device)
    embedded["decoder_inputs_embeds"] = model.get_input_embeddings()(ids)
    call = "model(decoder_inputs_embeds=model.get_input_embeddings()(inputs.pop('decoder_input_ids')), **inputs)"
    agree_with_itself(expect, run(model, embedded), answers(model, inputs), inputs, call, dtype)


@applies_to(decoder, ~head("QuestionAnswering"), unless_shown)  # which knew no use_cache
def test_default_positions_count_from_zero(checkpoint, model, dtype, expect):
    """Without position ids a decoder counts its tokens from zero, with or without a mask."""
    inputs = batch(checkpoint, [12, 12])
    stated = run(model, inputs)
    for left_out in (["position_ids"], ["attention_mask"], ["position_ids", "attention_mask"]):
        given = {name: value for name, value in inputs.items() if name not in left_out}
        agree_with_itself(
            expect,
            run(model, given, use_cache=False),
            stated,
            inputs,
            f"model(**inputs) without {left_out}",
            dtype,
        )


@applies_to(encoder, model_type("bert", "roberta", "distilbert"), referenced)
def test_given_positions_equal_reference(checkpoint, model, dtype, expect):
    """An encoder told other positions gives what the reference says for them."""
    inputs = batch(checkpoint, [9, 9])
    first = pad_id(checkpoint) + 1 if checkpoint.model_type == "roberta" else 0
    ahead = torch.arange(first, first + 9)
    inputs["position_ids"] = torch.stack([ahead.flip(0), ahead.roll(2)])  # each row has its own
    agree_with_reference(expect, run(model, inputs), inputs, dtype, "model(**inputs)")


@applies_to(encoder, model_type("bert"))
def test_no_types_are_types_of_zero(checkpoint, model, dtype, expect):
    """Without token types every token of every row is of the first."""
    inputs = batch(checkpoint)
    inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
    bare = {name: value for name, value in inputs.items() if name != "token_type_ids"}
    call = "model(**inputs) without token_type_ids"
    agree_with_itself(expect, run(model, bare), answers(model, inputs), inputs, call, dtype)


@applies_to(seq2seq, model_type("t5"))
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_prepared_encoder_mask_equals_mask(checkpoint, device, dtype, expect, attention):
    """A mask prepared by the caller hides the same of T5's input, whose positions are in the scores."""
    model = load_model(checkpoint, attention, dtype, device).get_encoder()
    inputs = batch(checkpoint, [9, 6])
    allowed = own_tolerance(checkpoint, inputs, dtype)["encoder_last_hidden_state"]
    given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    real = given["attention_mask"][:, None, None].bool()
    lowest = torch.finfo(model.dtype).min
    blocked = torch.zeros(real.shape, dtype=model.dtype).masked_fill(~real, lowest)
    prepared = dict(given, attention_mask=blocked.expand(-1, -1, real.shape[-1], -1))
    plain = {"output_attentions": False, "output_hidden_states": False}
    value, wanted = (run(model, each, **plain).last_hidden_state for each in (prepared, given))
    seen = given["attention_mask"].bool()
    call = "model.get_encoder()(input_ids, attention_mask=prepared).last_hidden_state"
    expect.close(value[seen], wanted[seen], allowed, call, inputs=inputs)


@applies_to(decoder, model_type("llama", "mistral"), wide_window)
def test_prepared_mask_equals_mask(checkpoint, model, device, dtype, expect):
    """A mask prepared by the caller, rows x 1 x queries x keys, replaces the one made from zeros and ones."""
    inputs = batch(checkpoint, [4, 3], side="left")  # within any window
    length = inputs["input_ids"].shape[1]
    visible = (
        torch.ones(length, length).tril().bool() & inputs["attention_mask"][:, None, None].bool()
    )
    blocked = torch.zeros(visible.shape, dtype=model.dtype).masked_fill(
        ~visible, torch.finfo(model.dtype).min
    )
    fused = load_model(checkpoint, "sdpa", dtype, device)
    for one, mask in ((model, blocked), (fused, blocked), (fused, visible)):
        given = dict(inputs, attention_mask=mask)
        prepared = run(one, given, output_attentions=one is model)
        call = f"model(**inputs) with a prepared mask of {mask.dtype}"
        agree_with_itself(expect, prepared, answers(model, inputs), inputs, call, dtype)


@applies_to(decoder, head("CausalLM"))
def test_kept_logits_are_the_last(checkpoint, model, dtype, expect):
    """logits_to_keep=n computes the logits of the last n positions, and of no other."""
    inputs = batch(checkpoint, [12, 12])
    whole = answers(model, inputs).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    for count in (3, 1):
        few = run(model, inputs, **kept_logits(model, count)).logits
        size = count if kept_logits(model, count) else 12
        call = f"model(**inputs, logits_to_keep={count}).logits"
        expect.equal(few.shape[1], size, f"{call}.shape[1]", inputs=inputs)
        expect.close(few[:, -count:], whole[:, -count:], allowed, call, inputs=inputs)


@applies_to(decoder, head("CausalLM"), light)
def test_kept_logits_are_those_named(checkpoint, model, dtype, expect):
    """logits_to_keep of several positions computes their logits, in the order they are named."""
    inputs, places = batch(checkpoint, [12, 12]), torch.tensor([7, 0, 11, 7])
    options, whole = named_logits(model, places), answers(model, inputs).logits
    value, wanted = run(model, inputs, **options).logits, whole[:, places] if options else whole
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    call = "model(**inputs, logits_to_keep=torch.tensor([7, 0, 11, 7])).logits"
    expect.close(value, wanted, allowed, call, inputs=inputs)


@applies_to(decoder, head("CausalLM"), model_type("gpt2", "llama", "mistral"), light)
def test_kept_logits_may_differ_by_row(checkpoint, model, dtype, expect):
    """logits_to_keep of positions for each row, or a mask of them, computes the logits of these."""
    inputs, places = batch(checkpoint, [12, 12]), torch.tensor([[7, 0, 11], [2, 11, 5]])
    mask = torch.zeros(2, 12, dtype=torch.bool)
    mask[0, 3:5] = mask[1, 11] = True
    whole, allowed = answers(model, inputs).logits, own_tolerance(checkpoint, inputs, dtype)
    named = whole[torch.tensor([[0], [1]]), places]
    for kept, few in ((places, named), (mask, whole[mask])):
        options = row_logits(model, kept)
        value, wanted = run(model, inputs, **options).logits, few if options else whole
        call = "model(**inputs, logits_to_keep=kept).logits"
        expect.close(value, wanted, allowed["logits"], call, inputs=inputs, kept=kept)


@applies_to(seq2seq)
def test_labels_make_the_decoder_inputs(checkpoint, model, dtype, expect):
    """Given labels alone, an encoder-decoder reads them one place to the right, behind its start token."""
    inputs = batch(checkpoint)
    inputs |= labels(checkpoint, inputs)
    alone = {name: value for name, value in inputs.items() if name != "decoder_input_ids"}
    inputs["decoder_input_ids"] = shifted(checkpoint, inputs["labels"])
    before = alone["labels"].clone()
    outputs = run(model, alone)
    call = "[model(**inputs), inputs['labels']][-1]"
    expect.equal(alone["labels"], before, call, inputs=inputs)
    agree_with_itself(
        expect,
        outputs,
        answers(model, inputs),
        inputs,
        "model(**inputs) without decoder_input_ids",
        dtype,
    )
    prepare, call = "prepare_decoder_input_ids_from_labels", "(labels)"
    made = method_of(model, prepare)(alone["labels"])
    wanted = inputs["decoder_input_ids"]
    expect.equal(made, wanted, f"model.{prepare}{call}", labels=alone["labels"])


@applies_to(seq2seq, model_type("t5", "bart", "mbart"))
def test_shifted_labels_hold_the_configured_ids(checkpoint, model, expect):
    """Whichever ids the configuration gives padding and the start, labels are shifted with these."""
    pad, start, begin, *some = ordinary_ids(checkpoint)[3:11]
    targets = torch.tensor([some[:4], [*some[3:5], -100, -100]])
    # mBART's decoder begins with each row's last token, the language
    first, second = (some[3], some[4]) if checkpoint.model_type == "mbart" else (start, start)
    wanted = [[first, *some[:3]], [second, *some[3:5], pad]]
    ids = {"pad_token_id": pad, "decoder_start_token_id": start, "bos_token_id": begin}
    own = {name: getattr(model.config, name, None) for name in ids}
    try:
        vars(model.config).update(ids)
        made = method_of(model, "prepare_decoder_input_ids_from_labels")(targets)
    finally:
        vars(model.config).update(own)
    call = "model.prepare_decoder_input_ids_from_labels(labels)"
    expect.equal(made, torch.tensor(wanted), f"{call}, model.config with {ids}", labels=targets)


@applies_to(seq2seq, lively)
def test_decoder_mask_hides_a_token(checkpoint, model, dtype, expect):
    """What stands behind a zero of the decoder's mask changes nothing at the positions after it."""
    inputs = batch(checkpoint, [12, 12])
    mask = torch.ones_like(inputs["decoder_input_ids"])
    mask[:, 3] = 0
    other = inputs["decoder_input_ids"].clone()
    other[:, 3] = next(i for i in ordinary_ids(checkpoint) if i not in other[:, 3].tolist())
    hidden, shown = ({"decoder_attention_mask": mask}, {})
    allowed = own_tolerance(checkpoint, inputs, dtype)
    for extra, seen in ((hidden, False), (shown, True)):
        name, states = final_states(run(model, inputs | extra))
        _, others = final_states(run(model, inputs | extra | {"decoder_input_ids": other}))
        change = float((others - states)[:, 4:].abs().max())
        wanted = "more than" if seen else "at most"
        expect.true(
            (change > allowed[name]) is seen,
            change,
            f"{wanted} {allowed[name]:.3g}",
            f"change of {name} after token 3 when it changes",
            inputs=inputs | extra,
        )


@applies_to(decoder, head("CausalLM"), model_type("llama", "mistral"))
def test_loss_is_divided_by_the_count_given(checkpoint, model, dtype, expect):
    """num_items_in_batch replaces the number of targets that the sum of losses is divided by."""
    inputs = batch(checkpoint, [9, 9])
    inputs["labels"] = inputs["input_ids"]
    mean = run(model, inputs).loss
    allowed = 4 * own_tolerance(checkpoint, batch(checkpoint, [9, 9]), dtype)["logits"]
    for count in (64, 8, torch.tensor(8)):
        shared = run(model, inputs, num_items_in_batch=count).loss
        call = f"model(**inputs, num_items_in_batch={count!r}).loss"
        expect.close(shared, mean * 16 / count, allowed * max(1, 16 / count), call, inputs=inputs)


@applies_to(vision, head("ImageClassification"), model_type("vit", "deit"), several_labels)
def test_loss_of_pictures_is_divided_by_the_count_given(checkpoint, model, dtype, expect):
    """num_items_in_batch replaces the number of pictures that the sum of losses is divided by."""
    inputs = batch(checkpoint)
    rows = len(inputs["pixel_values"])
    inputs["labels"] = torch.arange(rows) % 2
    mean = run(model, inputs).loss
    allowed = 4 * own_tolerance(checkpoint, batch(checkpoint), dtype)["logits"]
    shared = run(model, inputs, num_items_in_batch=8).loss
    call = "model(**inputs, num_items_in_batch=8).loss"
    expect.close(shared, mean * rows / 8, allowed, call, inputs=inputs)


@applies_to(model_type("gpt2") & decoder)
def test_types_are_embedded_as_tokens(checkpoint, model, dtype, expect):
    """GPT-2's token types are ids: each adds its token's embedding (Radford et al.'s code has none, the library's so)."""
    inputs = batch(checkpoint, [12, 12], seed=70)
    types = torch.tensor([ordinary_ids(checkpoint)[:12], ordinary_ids(checkpoint)[12:24]])
    look_up = model.get_input_embeddings()
    embedded = {name: value for name, value in inputs.items() if name != "input_ids"}
    places = (value.to(model.device) for value in (inputs["input_ids"], types))
    embedded["inputs_embeds"] = sum(look_up(place) for place in places)
    call = "model(**inputs, token_type_ids=types)"
    out = run(model, inputs | {"token_type_ids": types})
    agree_with_itself(expect, out, run(model, embedded), inputs, call, dtype)


@applies_to(decoder, head("CausalLM"), model_type("llama", "mistral"))
def test_shifted_labels_may_be_given(checkpoint, model, dtype, expect):
    """Labels that the caller has shifted, as for a sequence in parts, or ignored ones of another number, give the loss of the usual ones."""
    inputs = batch(checkpoint, [9, 9], seed=71)
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] % 3 == 0, -100)
    shifted = torch.cat([labels[:, 1:], torch.full((2, 1), -100)], 1)
    ignored = next(i for i in ordinary_ids(checkpoint) if i not in labels)
    wanted = run(model, inputs | {"labels": labels}).loss
    allowed = 4 * own_tolerance(checkpoint, inputs, dtype)["logits"]
    for given, options in (
        ({"labels": torch.full_like(labels, -100), "shift_labels": shifted}, {}),
        ({"labels": labels.masked_fill(labels == -100, ignored)}, {"ignore_index": ignored}),
    ):
        value = run(model, inputs | given, **options).loss
        call = f"model(**inputs, **{options}).loss"
        expect.close(value, wanted, allowed, call, inputs=inputs | given)


@applies_to(decoder, head("CausalLM"), model_type("llama", "mistral"), light)
def test_half_precision_loss_is_not_rounded(checkpoint, device, expect):
    """The loss of a model in bfloat16 is computed in float32 from its logits."""
    model = load_model(checkpoint, "eager", "bfloat16", device)
    inputs = batch(checkpoint, [9, 9], seed=72)
    out = run(model, inputs | {"labels": inputs["input_ids"]})
    logits, targets = out.logits[:, :-1].double().cpu(), inputs["input_ids"][:, 1:]
    wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    call = "model.to(torch.bfloat16)(**inputs, labels=inputs['input_ids']).loss"
    # a sum of float32 numbers as large as the logits; bfloat16 is sixty thousand times coarser
    allowed = K * eps("float32") * (float(logits.abs().max()) + float(wanted))
    expect.close(out.loss.double(), wanted, allowed, call, inputs=inputs)


@applies_to(token_stack, unless_shown)
def test_mask_may_be_of_any_type(checkpoint, model, dtype, expect):
    """A mask of booleans or of floats masks like one of integers."""
    inputs = batch(
        checkpoint, [12, 7], side="left" if checkpoint.kind == "decoder" else "right", seed=69
    )
    plain = run(model, inputs)
    for mask in (inputs["attention_mask"].bool(), inputs["attention_mask"].float()):
        agree_with_itself(
            expect,
            run(model, dict(inputs, attention_mask=mask)),
            plain,
            inputs,
            f"model(**inputs) with attention_mask.to({mask.dtype})",
            dtype,
        )


@applies_to(seq2seq)
def test_encoder_outputs_may_be_given(checkpoint, model, dtype, expect):
    """The encoder's states that the caller computed, alone or with more it returned, give what its input gives."""
    inputs, wanted = batch(checkpoint), answers(model, batch(checkpoint))
    read = run(model.get_encoder(), {n: inputs[n] for n in ("input_ids", "attention_mask")})
    given = {name: value for name, value in inputs.items() if name != "input_ids"}
    everything = read.to_tuple()
    alone, some, whole = (run(model, given, encoder_outputs=everything[:n]) for n in (1, 2, None))
    call = "model(encoder_outputs=model.get_encoder()(ids, mask), attention_mask=mask, decoder_input_ids=...)"
    agree_with_itself(expect, {"logits": alone.logits}, wanted, inputs, call, dtype)
    agree_with_itself(expect, whole, wanted, inputs, call, dtype)
    states = {name: some.get(name) or () for name in ("encoder_hidden_states",)}
    agree_with_itself(expect, states, wanted, inputs, call, dtype)
