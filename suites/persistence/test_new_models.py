"""Models that come from a configuration, or whose head does: what is drawn, and what one may change."""

from __future__ import annotations

import math

from fixtures.agreement import agree_with_itself
from fixtures.applicability import (
    any_model,
    applies_to,
    head,
    light,
    loader_sample,
    model_type,
    one_each,
    one_table,
    small,
    text_model,
)
from fixtures.ids import batch, pad_id
from fixtures.lazy import torch, transformers
from fixtures.loading import HABITS, SAFE, fresh_model, load_model
from fixtures.oracle import run
from fixtures.shapes import label_count
from fixtures.tolerance import K, eps

SPREAD = 0.05  # no family's default
SIGMAS = 6  # of a few hundred weights, none strays further by chance
SPREAD_NAMES = ("initializer_range", "init_std", "initializer_factor")
DRAWN = tuple("bert roberta distilbert gpt2 llama mistral t5 bart mbart vit".split())
# T5's matrices, the inputs that each of their outputs sums up, and scores that have no scale of their own.
T5_SUMS = {"wo": ("d_ff",), "q": ("d_model", "d_kv"), "o": ("num_heads", "d_kv")}
T5_SUMS |= dict.fromkeys(("k", "v", "wi", "wi_0", "wi_1", "relative_attention_bias"), ("d_model",))
T5_SUMS |= dict.fromkeys(("dense", "out_proj", "qa_outputs"), ("d_model",))
CLASSIFYING = ("SequenceClassification", "TokenClassification", "QuestionAnswering")
HEADS = {
    "bert": (*CLASSIFYING, "MaskedLM", "MultipleChoice", "NextSentencePrediction", "PreTraining"),
    "roberta": (*CLASSIFYING, "MaskedLM", "MultipleChoice"),
    "distilbert": (*CLASSIFYING, "MaskedLM", "MultipleChoice"),
    "gpt2": CLASSIFYING,
    "llama": CLASSIFYING,
    "mistral": CLASSIFYING,
    "t5": CLASSIFYING,
    "bart": ("SequenceClassification", "QuestionAnswering", "CausalLM"),
    "mbart": ("SequenceClassification", "QuestionAnswering", "CausalLM"),
    "vit": ("ImageClassification", "MaskedImageModeling"),
}


def spread_of(config, name):
    """The standard deviation of a new weight.

    GPT-2's last ones in a block are narrower (Radford et al. 2019, 2.3), T5's fit the number of its inputs (Mesh TensorFlow).
    """
    if config.model_type == "t5":
        summed = T5_SUMS.get(name.split(".")[-2], ())
        return SPREAD / math.sqrt(math.prod(getattr(config, field) for field in summed))
    if config.model_type == "gpt2" and name.endswith("c_proj.weight"):
        return SPREAD / math.sqrt(2 * config.n_layer)
    return SPREAD


def drawn_as_configured(expect, loader, settings):
    """Every weight of a model made of a configuration: matrices around zero, biases zero, norms even."""
    config = transformers.AutoConfig.for_model(**settings)
    torch.manual_seed(3)
    model = loader.from_config(config)
    call = f"{type(model).__name__}(config).get_parameter"
    for name, value in model.requires_grad_(False).named_parameters():
        if value.dim() == 1:
            norm = SPREAD if config.model_type == "t5" else 1.0  # its factor is in norms, too
            wanted = torch.full_like(value, norm if name.endswith("weight") else 0.0)
            expect.equal(value, wanted, f"{call}({name!r})")
        elif "mask_token" not in name and not config.to_dict().get("sinusoidal_pos_embds"):
            wanted, count = spread_of(config, name), value.numel()
            mean, spread = float(value.mean()), float(value.std())
            near = abs(mean) <= SIGMAS * wanted / math.sqrt(count)
            right = abs(spread / wanted - 1) <= SIGMAS / math.sqrt(2 * count)
            text = f"mean 0, standard deviation {wanted:.4g}"
            expect.true(near and right, (mean, spread), text, f"{call}({name!r})")
    tables = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    tables = [table for table in tables if table.padding_idx is not None]
    padding = [float(table.weight[table.padding_idx].abs().max()) for table in tables]
    expect.equal(padding, [0.0] * len(tables), f"{type(model).__name__}(config), rows of padding")


@applies_to(any_model, model_type(*DRAWN), small)
def test_new_weights_are_drawn_as_configured(checkpoint, expect):
    """New matrices are drawn around zero with the configuration's spread, new biases are zero, new norms even."""
    settings = checkpoint.stated() | dict.fromkeys(SPREAD_NAMES, SPREAD)
    drawn_as_configured(expect, getattr(transformers, checkpoint.auto_class), settings)


@applies_to(any_model, model_type(*HEADS), small, one_each)
def test_new_heads_are_drawn_as_configured(checkpoint, expect):
    """The weights of each head that a family has are drawn as those of the checkpoint's own are."""
    own = ("id2label", "label2id", "num_labels", "problem_type")  # questions want two labels
    stated = {name: v for name, v in checkpoint.stated().items() if name not in own}
    settings = stated | dict.fromkeys(SPREAD_NAMES, SPREAD)
    for name in HEADS[checkpoint.model_type]:
        if name != checkpoint.head:
            drawn_as_configured(expect, getattr(transformers, f"AutoModelFor{name}"), settings)


@applies_to(text_model, model_type(*DRAWN), ~model_type("t5"), loader_sample)
def test_new_rows_are_drawn_as_configured(checkpoint, expect):
    """Rows added by resizing with mean_resizing=False, to the input and to an output of its own, are drawn
    around zero with the configuration's spread."""
    settings = checkpoint.stated() | dict.fromkeys(SPREAD_NAMES, SPREAD)
    config = transformers.AutoConfig.for_model(**settings | {"tie_word_embeddings": False})
    torch.manual_seed(4)
    model = getattr(transformers, checkpoint.auto_class).from_config(config).requires_grad_(False)
    size, more = model.get_input_embeddings().weight.shape[0], 64
    model.resize_token_embeddings(size + more, mean_resizing=False)
    parts = {f"get_{end}_embeddings": None for end in ("input", "output")}
    parts = {way: getattr(model, way)() for way in parts}
    for way, part in ((way, part) for way, part in parts.items() if part is not None):
        rows = part.weight[size:]
        mean, found = float(rows.mean()), float(rows.std())
        near = abs(mean) <= SIGMAS * SPREAD / math.sqrt(rows.numel())
        right = abs(found / SPREAD - 1) <= SIGMAS / math.sqrt(2 * rows.numel())
        text = f"mean 0, standard deviation {SPREAD:.4g}"
        call = f"(model.resize_token_embeddings({size + more}, mean_resizing=False), model.{way}().weight[{size}:])[1]"
        expect.true(near and right, (mean, found), text, call)


@applies_to(any_model, model_type("llama", "mistral"), small, one_each)
def test_heads_have_the_biases_they_had(checkpoint, expect):
    """A decoder's classifier of tokens has a bias, that of texts has none, as since they were published."""
    config = transformers.AutoConfig.for_model(**checkpoint.stated())
    for head_of, wanted in (("TokenClassification", True), ("SequenceClassification", False)):
        loader = getattr(transformers, f"AutoModelFor{head_of}")
        value = "score.bias" in loader.from_config(config).state_dict()
        call = f"'score.bias' in AutoModelFor{head_of}.from_config(config).state_dict()"
        expect.equal(value, wanted, call)


# heads for questions make their labels two
@applies_to(any_model, model_type(*DRAWN), ~head("QuestionAnswering"), small, one_each)
def test_making_a_model_leaves_its_configuration(checkpoint, expect):
    """What a model is made of says afterwards what it said before, of the model as of its halves."""
    config = transformers.AutoConfig.for_model(**checkpoint.stated())
    before = {n: v for n, v in config.to_dict().items() if n[0] != "_" and "dtype" not in n}
    for loader in ("AutoModel", checkpoint.auto_class):
        model = getattr(transformers, loader).from_config(config)
        after = model.config.to_dict()
        found = {n: after.get(n) for n, v in before.items() if after.get(n) != v}
        call = f"{loader}.from_config(config).config.to_dict()"
        expect.equal(found, {}, f"fields that differ from config's in {call}")


@applies_to(any_model, model_type("distilbert"), small, one_each)
def test_positions_can_be_fewer_or_more(checkpoint, expect):
    """resize_position_embeddings keeps the first positions, and those that stay when there are more again."""
    settings = checkpoint.stated() | {"sinusoidal_pos_embds": False}
    model = transformers.DistilBertModel(transformers.AutoConfig.for_model(**settings))
    table = model.get_position_embeddings().weight.detach().clone()
    for count, kept in ((len(table) - 3, len(table) - 3), (len(table) + 2, len(table) - 3)):
        model.resize_position_embeddings(count)
        value = model.get_position_embeddings().weight
        call = f"(model.resize_position_embeddings({count}), model.get_position_embeddings().weight)[1]"
        expect.equal([len(value), model.config.max_position_embeddings], [count] * 2, call)
        expect.close(value[:kept], table[:kept], 0.0, f"{call}[:{kept}]")


PADDED = ("bert", "roberta", "distilbert", "llama", "mistral", "bart", "mbart")


@applies_to(text_model, model_type(*PADDED), small, one_each, one_table)
def test_padding_is_embedded_as_nothing(checkpoint, expect):
    """In a new model the padding token's row is zero, and what reads padding does not train it."""
    pad = pad_id(checkpoint)
    config = transformers.AutoConfig.for_model(**checkpoint.stated() | {"pad_token_id": pad})
    model = transformers.AutoModel.from_config(config).float()
    table = model.get_input_embeddings().weight
    call = f"AutoModel.from_config(config).get_input_embeddings().weight[{pad}]"
    expect.equal(table[pad].detach(), torch.zeros_like(table[pad]), call)
    inputs = {n: v for n, v in batch(checkpoint, [9, 6]).items() if n != "attention_mask"}
    model(**inputs)[0][..., 0].sum().backward()
    moved = [bool(table.grad[i].any()) for i in (pad, int(inputs["input_ids"][0, 1]))]
    call = "whether the gradient of a loss is other than zero in that row, and in another token's"
    expect.equal(moved, [False, True], call, inputs=inputs)


@applies_to(any_model, model_type("distilbert"), small, one_each)
def test_positions_are_sinusoids_where_configured(checkpoint, expect):
    """A new DistilBERT of sinusoidal positions has those of Vaswani et al. 2017, section 3.5."""
    settings = checkpoint.stated() | {"sinusoidal_pos_embds": True}
    model = transformers.DistilBertModel(transformers.AutoConfig.for_model(**settings))
    table = model.embeddings.position_embeddings.weight
    places = torch.arange(len(table)).double()[:, None]
    angles = places / 10000 ** (torch.arange(0, table.shape[1], 2).double() / table.shape[1])
    wanted = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
    call = (
        "DistilBertModel(config, sinusoidal_pos_embds=True).embeddings.position_embeddings.weight"
    )
    expect.close(table.double(), wanted, K * eps("float32"), call)


LABELLING = ("SequenceClassification", "TokenClassification", "ImageClassification")


@applies_to(any_model, head(*LABELLING), light)
def test_another_number_of_labels(checkpoint, expect):
    """num_labels given at loading makes a new head of that many labels, with names, on the stored layers."""
    count = label_count(checkpoint) + 2
    model = fresh_model(checkpoint, num_labels=count, ignore_mismatched_sizes=True)
    inputs = batch(checkpoint, [8])
    outputs, stored = run(model, inputs), run(load_model(checkpoint, "eager"), inputs)
    call = f"from_pretrained(path, num_labels={count}, ignore_mismatched_sizes=True)"
    expect.equal(outputs.logits.shape[-1], count, f"{call}(**inputs).logits.shape[-1]")
    names = {i: f"LABEL_{i}" for i in range(count)}
    expect.equal(model.config.id2label, names, f"{call}.config.id2label")
    expect.equal(model.config.label2id, {n: i for i, n in names.items()}, "….config.label2id")
    states = [{n: o[n] for n in o if n.endswith("hidden_states")} for o in (outputs, stored)]
    agree_with_itself(expect, *states, inputs, f"{call}(**inputs)")


@applies_to(any_model, head(*LABELLING), light)
def test_labels_can_be_renamed(checkpoint, expect):
    """id2label given at loading renames the labels and keeps the head."""
    names = {i: f"name {i}" for i in range(label_count(checkpoint))}
    numbers = {name: i for i, name in names.items()}
    model = fresh_model(checkpoint, id2label=names, label2id=numbers)
    call = "from_pretrained(path, id2label=names, label2id=numbers)"
    expect.equal(model.config.id2label, names, f"{call}.config.id2label", names=names)
    expect.equal(model.config.label2id, numbers, f"{call}.config.label2id", numbers=numbers)
    inputs = batch(checkpoint, [8])
    wanted = run(load_model(checkpoint, "eager"), inputs)
    agree_with_itself(expect, run(model, inputs), wanted, inputs, f"{call}(**inputs)")


@applies_to(any_model, light)
def test_configuration_can_be_given(checkpoint, expect):
    """A configuration changed by the caller is the loaded model's, its other fields as in the file."""
    config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
    config.vocabulary_of = "the caller"
    for name, value in HABITS.items():  # what this suite asks of all that it loads
        setattr(config, name, value)
    before = config.to_dict(), config._attn_implementation
    model = fresh_model(checkpoint, config=config)
    call = "from_pretrained(path, config=config).config"
    expect.equal(getattr(model.config, "vocabulary_of", None), "the caller", call)
    after = config.to_dict(), config._attn_implementation
    expect.equal(after, before, "from_pretrained(path, config=config), then config")
    inputs = batch(checkpoint, [8])
    value, wanted = run(model, inputs), run(load_model(checkpoint, "eager"), inputs)
    agree_with_itself(
        expect, value, wanted, inputs, "from_pretrained(path, config=config)(**inputs)"
    )
