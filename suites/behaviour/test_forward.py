"""Forward passes in every way a user calls them."""

from __future__ import annotations

from fixtures.applicability import applies_to, light, tokenizer, vision, walk_sample, walkable
from fixtures.ids import batch, labels
from fixtures.lazy import torch
from fixtures.loading import fresh_model, load_model
from fixtures.observe import source
from fixtures.oracle import real_positions, run, tolerances
from fixtures.tolerance import flattened

REQUIRED = ("input_ids", "decoder_input_ids", "pixel_values")
NUMBERS = ("logits", "start_logits", "end_logits", "last_hidden_state", "pooler_output")
DTYPES = ("bfloat16", "float16", "float64", "auto")
FEW_DTYPES = ("bfloat16", "auto")  # for a large model: the others take minutes or twice its memory
TEXTS = (
    "Hello, how are you?",
    "The capital of France is",
    " leading space",
    "it 's clean . up , now !",
)


@applies_to(walkable)
def test_forward(checkpoint, model, observe):
    """Logits and hidden states with masks, without, left-padded, and their keys and shapes."""
    ways = {
        "right padded": batch(checkpoint, seed=61),
        "left padded": batch(checkpoint, side="left", seed=62),
        "single": batch(checkpoint, [19], seed=63),
    }
    for name, inputs in ways.items():
        given = {n: v for n, v in inputs.items() if n != "position_ids"}
        record(observe, checkpoint, f"forward/{name}", model, given)
    bare = {n: v for n, v in ways["right padded"].items() if n in REQUIRED}
    record(observe, checkpoint, "forward/no mask", model, bare)


def record(observe, checkpoint, name, model, inputs) -> None:
    """The keys and shapes of a forward pass, and its numbers with the error allowed to them."""
    outputs = None

    def call():
        nonlocal outputs
        outputs = run(model, inputs)
        return {n: list(v.shape) for n, v in flattened(outputs).items()}

    shown = {"inputs": inputs}
    observe.attempt(
        f"{name}/shapes",
        call,
        group="outputs",
        reproduce=source(
            "{n: getattr(v, 'shape', 0) for n, v in model(**inputs).items()}", shown, ""
        ),
    )
    if outputs is None:
        return
    allowed = tolerances(checkpoint, inputs)
    # what padding leaves undefined is nobody's behaviour
    flat = {n: real_positions(n, v, inputs) for n, v in flattened(outputs).items()}
    for key in NUMBERS:
        if key in flat:
            observe(
                f"{name}/{key}",
                flat[key],
                group="numbers",
                tolerance=allowed.get(key),
                reproduce=source(f"model(**inputs).{key}", shown, ""),
            )
    observe(
        f"{name}/hidden state norms",
        norms(flat),
        group="numbers",
        tolerance=max(allowed.values(), default=None),
        reproduce=source("model(**inputs, output_hidden_states=True)", shown, ""),
    )
    observe(
        f"{name}/attention norms",
        torch.tensor([float(v.square().mean()) for n, v in flat.items() if "attentions." in n]),
        group="numbers",
        tolerance=max(allowed.values(), default=None),
        reproduce=source("model(**inputs, output_attentions=True)", shown, ""),
    )


def norms(flat):
    """The mean size of each hidden state, one number a layer."""
    return torch.tensor([float(v.abs().mean()) for n, v in flat.items() if "hidden_states." in n])


@applies_to(walkable)
def test_call_conventions(checkpoint, model, observe):
    """Positional inputs, labels, tuple outputs, defaults left alone: what comes back."""
    inputs = batch(checkpoint, [9, 9], seed=64)
    first = next(iter(inputs.values()))
    given = {n: v for n, v in inputs.items() if n != "position_ids"}
    with torch.no_grad():
        for name, expression, group in (
            ("positional", "sorted(model(first).keys())", "outputs"),
            ("keys", "list(model(**inputs).keys())", "outputs"),
            ("tuple", "len(model(**inputs, return_dict=False))", "outputs"),
            ("cache", "type(model(**inputs).get('past_key_values')).__name__", "outputs"),
            ("loss", "model(**inputs).loss", "numbers"),
        ):
            if name == "loss" and not checkpoint.head:
                continue
            targets = labels(checkpoint, inputs) if name == "loss" else {}
            names = {"first": first} if "first" in expression else {"inputs": {**given, **targets}}
            observe.evaluate(f"outputs/{name}", expression, {"model": model, **names}, group=group)


@applies_to(walkable, light, walk_sample)
def test_layers(checkpoint, model, observe):
    """What the first layer of each stack hands on: those who hook a layer read it."""
    inputs = batch(checkpoint, [9, 9], seed=83)

    def handed_on():
        seen = []
        hooks = [
            stack[0].register_forward_hook(lambda _, given, out: seen.append(form(out)))
            for stack in stacks(model)
        ]
        try:
            with torch.no_grad():
                model(**inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return seen

    observe.attempt(
        "outputs/handed on by layers",
        handed_on,
        reproduce="stacks = [m for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList)"
        " and not any(s.isdigit() for s in n.split('.'))]\n"
        "for stack in stacks:\n"
        "    stack[0].register_forward_hook(lambda m, i, out: print(type(out).__name__, len(out)))\n"
        + source("model(**inputs)", {"inputs": inputs}, ""),
    )


def stacks(model):
    """The lists of layers, of those inside a layer none."""
    return [
        part
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.ModuleList)
        and len(part)
        and not any(step.isdigit() for step in name.split("."))
    ]


def form(value):
    """The shape of a tensor, the class of anything else; of a tuple, those of its parts."""
    if isinstance(value, tuple):
        return {"tuple": [form(part) for part in value]}
    return list(value.shape) if hasattr(value, "shape") else type(value).__name__


@applies_to(walkable)
def test_dtypes_and_kernels(checkpoint, observe):
    """Each dtype and attention implementation: does it load, and what are its numbers."""
    inputs = batch(checkpoint, [12, 7], seed=65)
    for attention in ("eager", "sdpa"):
        observe.attempt(
            f"forward/{attention}",
            lambda a=attention: summary(load_model(checkpoint, a, "float32", "cpu"), inputs),
            group="outputs",
            reproduce=f"transformers.{checkpoint.auto_class}.from_pretrained("
            f"checkpoint, attn_implementation={attention!r})",
        )
    for dtype in DTYPES if light(checkpoint) else FEW_DTYPES:
        outputs = {}
        loading = f"transformers.{checkpoint.auto_class}.from_pretrained(checkpoint, torch_dtype={dtype!r})"
        observe.attempt(
            f"forward/{dtype}",
            lambda d=dtype, o=outputs: summary(fresh_model(checkpoint, dtype=d), inputs, o),
            group="outputs",
            reproduce=f"{loading}.dtype",
        )
        if dtype == "float16" and light(checkpoint):
            allowed = tolerances(checkpoint, inputs, dtype)
            for name in outputs.keys() & allowed.keys() & set(NUMBERS):
                observe(
                    f"forward/{dtype}/{name}",
                    real_positions(name, outputs[name], inputs).float(),
                    group="numbers",
                    tolerance=allowed[name],
                    reproduce=source(f"{loading}(**inputs).{name}", {"inputs": inputs}, ""),
                )


def summary(model, inputs, outputs=None):
    """The dtypes of the parameters and of the outputs, their shapes, and whether all are finite.

    outputs: what gets the outputs themselves.
    """
    found = flattened(run(model, inputs, output_attentions=False))
    if outputs is not None:
        outputs.update(found)
    return {
        "parameters": sorted({str(p.dtype) for p in model.parameters()}),
        "finite": all(bool(v.isfinite().all()) for v in found.values() if v.is_floating_point()),
        **{name: [str(value.dtype), *value.shape] for name, value in found.items()},
    }


@applies_to(walkable & ~vision, tokenizer)
def test_from_text(checkpoint, tokenizer, model, observe):
    """From text to logits, the way a user calls it."""
    for text in TEXTS:

        def logits(text=text):
            inputs = tokenizer(text, return_tensors="pt")
            if checkpoint.kind == "encoder-decoder" and checkpoint.head == "Seq2SeqLM":
                inputs["decoder_input_ids"] = inputs["input_ids"][:, :4]
            with torch.no_grad():
                outputs = model(**inputs)
            return next(v for n, v in outputs.items() if "logits" in n or n == "last_hidden_state")

        observe.attempt(
            "forward/from text",
            logits,
            input=text,
            group="numbers",
            tolerance=from_text_tolerance(checkpoint),
            reproduce="inputs = tokenizer({input!r}, return_tensors='pt')\n"
            + (
                "inputs['decoder_input_ids'] = inputs['input_ids'][:, :4]\n"
                if checkpoint.head == "Seq2SeqLM"
                else ""
            )
            + "model(**inputs)[0]",
        )


def from_text_tolerance(checkpoint):
    """The error allowed to logits on a batch of the same kind, the largest output's."""
    allowed = tolerances(checkpoint, batch(checkpoint, seed=66))
    return max(
        (v for n, v in allowed.items() if "logits" in n or n == "last_hidden_state"), default=None
    )
