"""The dtype asked for is the dtype given, and the numbers are the files' numbers rounded once."""

from __future__ import annotations

import pytest

from fixtures.applicability import (
    Predicate,
    any_model,
    applies_to,
    light,
    loader_sample,
    model_type,
    settled,
    unquantised,
)
from fixtures.ids import batch
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, default_dtypes, dtype_argument
from fixtures.oracle import run
from fixtures.stored import copied, lasting, learned, reconfigured, same, stored

# T5 overflows in float16 here; the library keeps these in float32 (and says so in its T5 pages).
KEPT = {"t5": ".wo.", "mt5": ".wo.", "umt5": ".wo."}


def dtypes(model, kept=None):
    """The dtypes of a model's floating-point parameters, those of exempt names left out."""
    named = model.named_parameters()
    return sorted(
        {str(p.dtype) for n, p in named if p.is_floating_point() and not (kept and kept in n)}
    )


def written(checkpoint):
    """The dtype its configuration names, else that of its floating-point weights in the files."""
    named = checkpoint.config.get("dtype") or checkpoint.config.get("torch_dtype")
    kinds = {str(t.dtype) for t in stored(checkpoint.path).values() if t.is_floating_point()}
    return [f"torch.{named}"] if named else sorted(kinds)


def arrives_rounded(expect, fresh, asked):
    """A model loaded in a dtype has it, and the files' weights rounded to it: gives the model."""
    model, _ = fresh(dtype=asked)
    call = f"type(model).from_pretrained(model.name_or_path, dtype=torch.{asked})"
    kept = KEPT.get(expect.checkpoint.model_type or "")
    expect.equal(dtypes(model, kept), [f"torch.{asked}"], call)
    expect.equal(str(model.dtype), f"torch.{asked}", f"{call}.dtype")
    memory = {lasting(n): t for n, t in model.state_dict().items() if t.is_floating_point()}
    weights = learned(stored(expect.checkpoint.path))
    files = {n: t.to(memory[n].dtype) for n, t in weights.items() if n in memory}
    places = [t.data_ptr() for t in memory.values()]
    differing = [n for n in same(memory, files) if places.count(memory[n].data_ptr()) == 1]
    expect.true(not differing, differing, "no weight that is not the file's, rounded", call)
    return model


def frequencies(model):
    """A model's rotary frequencies, which no file holds, by name."""
    return {n: b.float() for n, b in model.named_buffers() if n.endswith("inv_freq")}


@applies_to(any_model, light, unquantised, settled)
def test_bfloat16_is_honoured(checkpoint, fresh, single, expect):
    """Loaded in bfloat16, every weight is the file's value rounded to it; rotary frequencies are not."""
    model = arrives_rounded(expect, fresh, "bfloat16")
    found, wanted = frequencies(model), frequencies(single)
    call = "type(model).from_pretrained(model.name_or_path, dtype=torch.bfloat16)"
    differing = [n for n in wanted if not torch.equal(found[n], wanted[n])]
    expect.equal(differing, [], f"rotary frequencies that differ from float32's in {call}")


@applies_to(any_model, model_type(*KEPT), light, unquantised, settled)
def test_bfloat16_keeps_nothing_apart(checkpoint, fresh, expect):
    """What would overflow in float16 does not in bfloat16, and has that dtype."""
    call = "type(model).from_pretrained(model.name_or_path, dtype=torch.bfloat16)"
    expect.equal(dtypes(fresh(dtype="bfloat16")[0]), ["torch.bfloat16"], f"dtypes of {call}")


@applies_to(any_model, loader_sample)
def test_float16_is_honoured(checkpoint, fresh, expect):
    """Loaded in float16, every weight is the file's value rounded to it, but for those that overflow."""
    model = arrives_rounded(expect, fresh, "float16")
    kept = KEPT.get(checkpoint.model_type or "")
    found = {str(p.dtype) for n, p in model.named_parameters() if kept and kept in n}
    call = "type(model).from_pretrained(model.name_or_path, dtype=torch.float16)"
    wanted = {"torch.float32"} if kept else set()
    expect.equal(found, wanted, f"dtypes of the parameters named {kept!r} in {call}")


@applies_to(any_model)
def test_auto_dtype_is_the_written_one(checkpoint, plain, expect):
    """dtype="auto" is the dtype the configuration names, or that of the files."""
    kept = KEPT.get(checkpoint.model_type or "")
    expect.equal(
        dtypes(plain[0], kept),
        written(checkpoint),
        'type(model).from_pretrained(model.name_or_path, dtype="auto").dtype',
    )


@applies_to(any_model, loader_sample)
@pytest.mark.parametrize("place", ["call", "configuration", "file"])
def test_a_dtype_may_be_named(checkpoint, fresh, expect, tmp_path, place):
    """A dtype named in words, in the call or for "auto" in a configuration, is the one of that name, whatever the weights are in."""
    (key,) = dtype_argument("auto")
    if place == "call":
        loader = getattr(transformers, checkpoint.auto_class)
        model = loader.from_pretrained(checkpoint.path, **SAFE, **{key: "bfloat16"})
    elif place == "configuration":
        config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
        setattr(config, key, "bfloat16")
        model, _ = fresh(dtype="auto", config=config)
    else:
        named = "bfloat16" if written(checkpoint) == ["torch.float32"] else "float32"
        weights = stored(checkpoint.path)
        model, _ = fresh(
            reconfigured(copied(checkpoint, tmp_path, weights), torch_dtype=named), "auto"
        )
    wanted = f"torch.{named}" if place == "file" else "torch.bfloat16"
    call = f'type(model).from_pretrained(directory, dtype="auto", or one named in words in the {place})'
    expect.equal(dtypes(model, KEPT.get(checkpoint.model_type or "")), [wanted], f"{call}.dtype")


@applies_to(any_model, loader_sample)
def test_default_dtype(checkpoint, fresh, expect, observe):
    """Without a dtype the model is in the files' dtype, before transformers 5 in float32."""
    model, _ = fresh(dtype=None)
    found = dtypes(model, KEPT.get(checkpoint.model_type or ""))
    observe("persistence/default dtype", found, group="load")
    expect.equal(found, default_dtypes(written(checkpoint)), "model.dtype")


@applies_to(any_model, loader_sample)
def test_dtype_survives_saving(checkpoint, fresh, expect, tmp_path):
    """A model held in bfloat16 is saved in bfloat16, says so, and loads so with dtype="auto"."""
    model, _ = fresh(dtype="bfloat16")
    model.save_pretrained(tmp_path)
    kept = KEPT.get(checkpoint.model_type or "") or "\0"
    kinds = {
        str(t.dtype) for n, t in stored(tmp_path).items() if t.is_floating_point() and kept not in n
    }
    expect.equal(
        sorted(kinds),
        ["torch.bfloat16"],
        "model.bfloat16().save_pretrained(directory)",
        directory="saved",
    )
    again, _ = fresh(tmp_path, "auto")
    call = 'type(model).from_pretrained(directory, dtype="auto")'
    expect.equal(dtypes(again, kept), ["torch.bfloat16"], f"{call}.dtype", directory=str(tmp_path))
    differing = same(again.state_dict(), model.state_dict())
    expect.true(
        not differing, differing, "the weights that were saved", call, directory=str(tmp_path)
    )


@applies_to(any_model, loader_sample)
def test_half_leaves_the_default_alone(checkpoint, fresh, expect):
    """Loading in half precision, or failing to, leaves torch's default dtype as it was."""
    call = "type(model).from_pretrained(directory, dtype=torch.float16), torch.get_default_dtype()"
    fresh(dtype="float16")
    expect.equal(
        str(torch.get_default_dtype()), "torch.float32", call, directory=str(checkpoint.path)
    )
    with pytest.raises(Exception, match=r".+"):
        fresh(checkpoint.path / "absent", dtype="float16")
    expect.equal(str(torch.get_default_dtype()), "torch.float32", call, directory="absent")


# Where the architectures keep the sums of float16 finite: what the layers of each add to their states.
CLAMPED = {"t5": ("o.weight",), "mbart": ("fc2.weight",)}
LARGEST = 6e4  # float16 ends at 65504
clamped = Predicate(
    "one of each kind of clamped layer",
    lambda c: c.name in ("t5-gated", "t5-random", "mbart-random"),
)


@applies_to(clamped)
def test_float16_sums_stay_finite(checkpoint, fresh, expect):
    """States that outgrow float16 in an encoder, or in T5's decoder, are held below its limit."""
    model = fresh()[0].half()
    names, decodes = CLAMPED[checkpoint.model_type], checkpoint.model_type == "t5"
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(names) and (decodes or ".encoder." in name):
                weight.mul_(LARGEST / float(weight.abs().max()))
    inputs = batch(checkpoint, [8, 8])
    outputs = run(model, inputs)
    call = f"model.half()(**inputs), with {', '.join(names)} up to {LARGEST:g}"
    states = [*outputs.encoder_hidden_states, *(outputs.decoder_hidden_states if decodes else ())]
    finite = [bool(state.isfinite().all()) for state in states]
    expect.true(all(finite), finite, "finite states after each layer", call, inputs=inputs)
