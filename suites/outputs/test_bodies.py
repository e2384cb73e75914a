"""The model under a head: it is given what the head's caller says, and what it returns is handed on."""

from __future__ import annotations

import inspect

from fixtures.applicability import applies_to, model_type, one_each, small, square_patches, vision
from fixtures.ids import batch, ordinary_ids, pad_id
from fixtures.lazy import torch, transformers
from fixtures.loading import kept_logits
from fixtures.oracle import run
from fixtures.tolerance import allowed, flattened
from fixtures.weights import filled

LABELS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
ENCODES = (*LABELS, "ForMaskedLM", "ForMultipleChoice")
PRETRAINED = ("ForPreTraining", "ForNextSentencePrediction")
IMAGES = ("ForImageClassification", "ForMaskedImageModeling")
HEADS = {
    "bert": ("Bert", (*ENCODES, *PRETRAINED, "LMHeadModel")),
    "roberta": ("Roberta", (*ENCODES, "ForCausalLM")),
    "distilbert": ("DistilBert", ENCODES),
    "gpt2": ("GPT2", (*LABELS, "LMHeadModel", "DoubleHeadsModel")),
    "llama": ("Llama", (*LABELS, "ForCausalLM")),
    "mistral": ("Mistral", (*LABELS, "ForCausalLM")),
    "bart": ("Bart", ("ForCausalLM",)),
    "mbart": ("MBart", ("ForCausalLM",)),
    "vit": ("ViT", IMAGES),
    "deit": ("DeiT", (*IMAGES, "ForImageClassificationWithTeacher")),
}
CAUSAL = ("LMHeadModel", "ForCausalLM", "DoubleHeadsModel")
ATTENDS_ACROSS = ("bert", "roberta", "gpt2", "bart", "mbart")
ACROSS = ("is_decoder", "add_cross_attention")
OF_THE_TASK = ("architectures", "id2label", "label2id", "num_labels", "problem_type", *ACROSS)
OF_THE_FILES = ("dtype", "torch_dtype")
# It knows no positions of choices: they stay in three axes.
UNREAD = {"DistilBertForMultipleChoice": ("position_ids",)}
HANDED_ON = ("hidden_states", "attentions", "cross_attentions")


def drawn(checkpoint, name):
    """A model of this class and the checkpoint's configuration, its weights drawn at random."""
    left_out = OF_THE_TASK + OF_THE_FILES
    settings = {n: v for n, v in checkpoint.stated().items() if n not in left_out}
    if checkpoint.kind == "vision":
        settings["encoder_stride"] = patch = settings.get("patch_size", 16)
        settings["image_size"] = 3 * patch
    else:
        settings["pad_token_id"] = pad_id(checkpoint)
    # a cache has as many layers as the encoder, which is not there
    if depth := settings.get("decoder_layers"):
        settings |= {"encoder_layers": depth, "num_hidden_layers": depth}
    if name.endswith(CAUSAL[:2]) and checkpoint.model_type in ATTENDS_ACROSS:
        settings |= dict.fromkeys(ACROSS, True)
    config = transformers.AutoConfig.for_model(**settings)
    config._attn_implementation = "eager"
    return filled(getattr(transformers, name)(config), seed=14).eval()


def of_texts(checkpoint, model):
    """Positions in reverse, a mask with holes, types, another model's states."""
    ids = batch(checkpoint, [8, 8])["input_ids"]
    first = pad_id(checkpoint) + 1 if checkpoint.model_type == "roberta" else 0
    mask = torch.ones_like(ids)
    mask[0, 3] = mask[1, 7] = 0
    types = checkpoint.config.get("type_vocab_size", len(ordinary_ids(checkpoint)))
    said = {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": torch.arange(first, first + 8).flip(0).expand(2, -1),
        "token_type_ids": (torch.arange(8) % types).expand(2, -1),
    }
    if getattr(model.config, "add_cross_attention", False):
        width = model.get_input_embeddings().weight.shape[1]
        draw = torch.Generator().manual_seed(69)
        said["encoder_hidden_states"] = torch.randn(2, 8, width, generator=draw)
        said["encoder_attention_mask"] = mask.flip(1)
    return said


def of_images(config):
    """Pictures of another size than the configured one, all but one of their parts to be seen."""
    side = config.image_size + config.patch_size
    draw = torch.Generator().manual_seed(69)
    tokens = (side // config.patch_size) ** 2 + (2 if config.model_type == "deit" else 1)
    mask = torch.ones(2, tokens, dtype=torch.long)
    mask[:, 5] = 0
    return {
        "pixel_values": torch.randn(2, config.num_channels, side, side, generator=draw),
        "interpolate_pos_encoding": torch.tensor(True),
        "attention_mask": mask,
    }


def everything(checkpoint, model):
    """All that a caller may say to a model of this class."""
    vision = checkpoint.kind == "vision"
    said = of_images(model.config) if vision else of_texts(checkpoint, model)
    taken = inspect.signature(type(model).forward).parameters
    unread = UNREAD.get(type(model).__name__, ())
    return {name: value for name, value in said.items() if name in taken and name not in unread}


def embedded(model, inputs):
    """The same, the ids looked up by the caller."""
    ids = inputs["input_ids"]
    look_up = model.get_input_embeddings()(ids).detach()
    return {n: v for n, v in inputs.items() if n != "input_ids"} | {"inputs_embeds": look_up}


def agrees_with_its_body(expect, model, inputs):
    """The states and weights that come out of the head are those of the model under it."""
    body = run(model.base_model, inputs)
    name = type(model).__name__
    choices = name.endswith("MultipleChoice")
    outputs = run(model, {n: v[None] for n, v in inputs.items()} if choices else inputs)
    value, wanted = flattened(outputs), flattened(body)
    for each in (n for n in wanted if n.partition(".")[0] in HANDED_ON):
        expect.true(each in value, sorted(value), f"{each} among them", f"{name}(**inputs)")
        limit = allowed(wanted[each].double(), wanted[each])
        call = f"{name}(**inputs).{each}"
        expect.close(value[each].reshape(wanted[each].shape), wanted[each], limit, call)
    if name.endswith(CAUSAL):
        kept = [bool(out.get("past_key_values")) for out in (outputs, body)]
        expect.equal(kept[0], kept[1], f"bool({name}(**inputs).past_key_values)", inputs=inputs)
        few, all_of_them = kept_logits(model, 2), outputs.logits
        if few:
            part, call = run(model, inputs, **few).logits, f"{name}(**inputs, {few}).logits"
            limit = allowed(all_of_them.double(), all_of_them)
            expect.close(part, all_of_them[..., -2:, :], limit, call, inputs=inputs)
    return value


def agrees_with_ids(expect, model, value, wanted):
    """What a head answers to embeddings is, shape and all, what it answers to the ids."""
    for name in wanted:
        expect.true(name in value, sorted(value), f"{name} among them", "model(inputs_embeds=...)")
        limit = allowed(wanted[name].double(), wanted[name])
        call = f"{type(model).__name__}(inputs_embeds=embeddings, **inputs).{name}"
        expect.close(value[name], wanted[name], limit, call)


@applies_to(model_type(*HEADS), small, one_each, square_patches | ~vision)
def test_heads_hand_on_what_they_are_given(checkpoint, expect):
    """Under each head that a family has, its model is given all that the caller says, by ids or embeddings, and all it returns is handed on."""
    prefix, heads = HEADS[checkpoint.model_type]
    for head in heads:
        model = drawn(checkpoint, prefix + head)
        inputs = everything(checkpoint, model)
        outputs = agrees_with_its_body(expect, model, inputs)
        if "input_ids" in inputs:
            others = agrees_with_its_body(expect, model, embedded(model, inputs))
            agrees_with_ids(expect, model, others, outputs)
