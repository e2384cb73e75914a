"""What a model says about itself: its parts, its size, its configuration's names, its switches."""

from __future__ import annotations

import copy
import random

from fixtures.agreement import agree_with_itself
from fixtures.applicability import (
    any_head,
    any_model,
    applies_to,
    convention,
    light,
    model_type,
    one_table,
    seq2seq,
    token_stack,
    widens,
)
from fixtures.ids import batch, ordinary_ids
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, fresh_model, load_model, with_attention
from fixtures.oracle import answers, own_tolerance, run

# Where a family's file has names of its own for what every family has.
OWN_NAMES = {
    "gpt2": ("n_embd", "n_layer", "n_head"),
    "distilbert": ("dim", "n_layers", "n_heads"),
    "t5": ("d_model", "num_layers", "num_heads"),
    "bart": ("d_model", "encoder_layers", "encoder_attention_heads"),
    "mbart": ("d_model", "encoder_layers", "encoder_attention_heads"),
}
COMMON_NAMES = ("hidden_size", "num_hidden_layers", "num_attention_heads")


@applies_to(any_model, model_type(*OWN_NAMES))
def test_configuration_has_common_names(checkpoint, model, expect):
    """Width, layers and heads are found under the names that all families share."""
    for common, own in zip(COMMON_NAMES, OWN_NAMES[checkpoint.model_type], strict=True):
        if own in checkpoint.config:
            value = getattr(model.config, common)
            expect.equal(value, checkpoint.config[own], f"model.config.{common}")


@applies_to(any_model, model_type(*OWN_NAMES))
def test_common_names_set_a_familys_own(checkpoint, model, expect):
    """A width or a number of layers or heads set under the common name is the family's own field."""
    config = copy.deepcopy(model.config)
    for common, own in zip(COMMON_NAMES, OWN_NAMES[checkpoint.model_type], strict=True):
        if own in checkpoint.config:
            wanted = checkpoint.config[own] + 1
            setattr(config, common, wanted)
            call = f"setattr(model.config, {common!r}, {wanted}), model.config.{own}"
            expect.equal(getattr(config, own), wanted, call)


@applies_to(any_model, model_type("bert", "roberta", "gpt2", "llama", "mistral", "vit"), light)
def test_states_are_chosen_by_number(checkpoint, model, dtype, expect):
    """Asked for some hidden states by number, from the front or the back, a model gives these."""
    inputs = batch(checkpoint)
    whole = answers(model, inputs).hidden_states
    limits = own_tolerance(checkpoint, inputs, dtype)
    for numbers in ([0, -1], [-2], [len(whole) - 1]):
        outputs = run(model, inputs, output_hidden_states=numbers)
        call = f"model(**inputs, output_hidden_states={numbers}).hidden_states"
        given = {i: state for i, state in enumerate(outputs.hidden_states) if state is not None}
        expect.equal(sorted(given), sorted(n % len(whole) for n in numbers), call, inputs=inputs)
        for i, state in given.items():
            limit = limits[f"hidden_states.{i}"]
            expect.close(state, whole[i].cpu(), limit, f"{call}[{i}]", inputs=inputs)


@applies_to(any_model)
def test_parameters_are_counted(checkpoint, model, expect):
    """Parameters are counted, embeddings left out when asked, and so are their bytes and the buffers'."""
    sizes = {id(p): p.numel() for p in model.parameters()}
    expect.equal(model.num_parameters(), sum(sizes.values()), "model.num_parameters()")
    tables = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    embedded = {id(m.weight): m.weight.numel() for m in tables}
    head = (
        model.get_output_embeddings()
    )  # a table that is the head, too, may be counted as the head
    shared = embedded.get(id(getattr(head, "weight", None)), 0)
    rest = sum(sizes.values()) - sum(embedded.values())
    counted, call = model.num_parameters(exclude_embeddings=True), "exclude_embeddings=True"
    right = counted in (rest, rest + shared)
    expect.true(right, counted, f"{rest} or {rest + shared}", f"model.num_parameters({call})")
    sizes = [
        sum({id(t): t.numel() * t.element_size() for t in tensors}.values())
        for tensors in (model.parameters(), model.buffers())
    ]
    value = [model.get_memory_footprint(return_buffers=False), model.get_memory_footprint()]
    call = "model.get_memory_footprint(), without buffers and with them"
    expect.equal(value, [sizes[0], sum(sizes)], call)
    call = "model.requires_grad_(False).num_parameters(only_trainable=True)"
    expect.equal(model.num_parameters(only_trainable=True), 0, call)


@applies_to(any_head, ~model_type("t5", "mt5", "umt5"))  # heads without a model of their own below
def test_base_model_is_under_the_head(checkpoint, model, dtype, expect):
    """base_model is the model without its head: it gives the head's last hidden states."""
    inputs = batch(checkpoint)
    outputs, states = run(model.base_model, inputs), answers(model, inputs)
    names = [n for n in states if "hidden_states" in n or "attentions" in n]
    scores = [n for n in outputs if "logits" in n]
    expect.equal(scores, [], "scores among the outputs of model.base_model(**inputs)")
    agree_with_itself(
        expect,
        {n: outputs[n] for n in names},
        {n: states[n] for n in names},
        inputs,
        "model.base_model(**inputs)",
        dtype,
    )


@applies_to(seq2seq)
def test_encoder_can_be_taken_out(checkpoint, model, dtype, expect):
    """get_encoder gives the encoder: alone it computes the encoder's states."""
    inputs = batch(checkpoint)
    encoded = {n: inputs[n].to(model.device) for n in ("input_ids", "attention_mask")}
    with torch.no_grad():
        states = model.get_encoder()(**encoded)[0]
    agree_with_itself(
        expect,
        {"encoder_last_hidden_state": states},
        answers(model, inputs),
        inputs,
        "model.get_encoder()(**inputs)",
        dtype,
    )


@applies_to(token_stack, light, one_table)
def test_embeddings_can_be_replaced(checkpoint, dtype, expect):
    """With the rows of the input embedding in another order, ids in that order give the same states."""
    model, inputs = fresh_model(checkpoint, dtype=dtype), batch(checkpoint)
    before = run(model, inputs)
    ordinary = ordinary_ids(checkpoint)
    other = random.Random(1).sample(ordinary, len(ordinary))
    names = torch.arange(checkpoint.config["vocab_size"])
    names[ordinary] = torch.tensor(other)
    table = model.get_input_embeddings()
    renamed = copy.deepcopy(table)  # a subclass may do more than look up: BART's scales
    renamed.weight.data[names] = table.weight.data[: len(names)]
    model.set_input_embeddings(renamed)
    given = {n: names[v] if n.endswith("input_ids") else v for n, v in inputs.items()}
    after = run(model, given)
    kept = [n for n in before if "hidden_states" in n or "attentions" in n]
    call = "model.set_input_embeddings(rows in another order); model(**inputs)"
    agree_with_itself(
        expect, {n: after[n] for n in kept}, {n: before[n] for n in kept}, inputs, call, dtype
    )


@applies_to(any_model, light)
def test_attention_can_be_switched(checkpoint, dtype, expect):
    """A model switched to the fused attention kernel gives what one loaded with it gives."""
    model, inputs = fresh_model(checkpoint, dtype=dtype), batch(checkpoint)
    fused = load_model(checkpoint, "sdpa", dtype, "cpu")
    wanted = run(fused, inputs, output_attentions=False)
    call = "model.set_attn_implementation('sdpa'); model(**inputs)"
    switched = with_attention(model, checkpoint, "sdpa", dtype)
    outputs = run(switched, inputs, output_attentions=False)
    agree_with_itself(expect, outputs, wanted, inputs, call, dtype)
    value = switched.config._attn_implementation
    expect.equal(value, "sdpa", "model.config._attn_implementation")


@applies_to(any_model, light)
def test_returned_outputs_can_be_configured(checkpoint, dtype, expect):
    """output_hidden_states and output_attentions given at loading hold for each call that does not say otherwise."""
    model = fresh_model(checkpoint, dtype=dtype, output_hidden_states=True, output_attentions=True)
    inputs = batch(checkpoint, [6])
    wanted = answers(load_model(checkpoint, "eager", dtype, "cpu"), inputs)
    with torch.no_grad():
        asked, silenced = model(**inputs), model(**inputs, output_hidden_states=False)
    call = "from_pretrained(..., output_hidden_states=True, output_attentions=True)(**inputs)"
    expect.equal(sorted(asked.keys()), sorted(wanted.keys()), f"{call}.keys()")
    hidden = [n for n in silenced.keys() if "hidden_states" in n]  # noqa: SIM118 - a model's output
    expect.equal(hidden, [], "the same with output_hidden_states=False in the call")


@convention
@applies_to(any_model, light)
def test_weights_are_loaded_trainable(checkpoint, expect):
    """Every weight that from_pretrained loads can be trained."""
    loader = getattr(transformers, checkpoint.auto_class)
    model = loader.from_pretrained(checkpoint.path, **SAFE)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    expect.equal(frozen, [], "[n for n, p in model.named_parameters() if not p.requires_grad]")


@applies_to(any_model, light, widens)
def test_dtype_can_be_changed(checkpoint, dtype, expect):
    """A loaded model turned to float64 says so, and computes what it did before."""
    inputs = batch(checkpoint, [9, 6])
    wanted = answers(load_model(checkpoint, "eager", dtype, "cpu"), inputs)
    model = fresh_model(checkpoint, dtype=dtype).double()
    expect.equal(model.dtype, torch.float64, "model.double().dtype")
    outputs = run(model, inputs)
    allowed = own_tolerance(checkpoint, inputs, dtype)
    name = next(n for n in ("logits", "start_logits", "last_hidden_state") if n in outputs)
    value, other = outputs[name], wanted[name].double()
    real = inputs["attention_mask"].bool() if value.shape[:2] == (2, 9) else ...
    expect.close(value[real], other[real], allowed[name], f"model.double()(**inputs).{name}")
