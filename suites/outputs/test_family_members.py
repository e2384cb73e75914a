"""Classes of one family that share weights: each gives what the others give for the same part."""

from __future__ import annotations

from fixtures.agreement import agree_with_itself
from fixtures.applicability import applies_to, light, model_type, seq2seq, small, square_patches
from fixtures.ids import batch, pixels
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, dtype_argument
from fixtures.oracle import run
from fixtures.tolerance import allowed
from fixtures.weights import drawn


def made(checkpoint, name, directory, seed, **settings):
    """The same, saved."""
    model = drawn(checkpoint, name, seed, **settings)
    model.save_pretrained(directory)
    return model


@applies_to(model_type("bert"), small)
def test_pretraining_heads_are_the_two_heads(checkpoint, expect, tmp_path):
    """BertForPreTraining has the masked-word head and the next-sentence head, and adds their losses."""
    model = made(checkpoint, "BertForPreTraining", tmp_path, seed=8)
    inputs = batch(checkpoint)
    words = transformers.BertForMaskedLM.from_pretrained(tmp_path, **SAFE).eval()
    following = transformers.BertForNextSentencePrediction.from_pretrained(tmp_path, **SAFE).eval()
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    next_one = torch.tensor([0, 1, 1])
    both = run(model, {**inputs, "labels": labels, "next_sentence_label": next_one})
    first = run(words, {**inputs, "labels": labels})
    second = run(following, {**inputs, "labels": next_one})
    call = "BertForPreTraining(**inputs)"
    head = following.cls.seq_relationship
    pooled = run(following.bert, inputs).pooler_output
    wanted = (pooled @ head.weight.T + head.bias).detach()
    limit = allowed(wanted.double(), wanted)
    expect.close(second.logits, wanted, limit, "BertForNextSentencePrediction(**inputs).logits")
    named = f"{call}.seq_relationship_logits"
    expect.close(both.seq_relationship_logits, second.logits, limit, named)
    limit = allowed(first.logits.double(), first.logits)
    expect.close(both.prediction_logits, first.logits, limit, f"{call}.prediction_logits")
    loss = torch.nn.functional.cross_entropy(wanted, next_one)
    expect.close(second.loss, loss, limit, "BertForNextSentencePrediction(**inputs).loss")
    expect.close(both.loss, first.loss + second.loss, limit, f"{call}.loss")


@applies_to(model_type("roberta"), small)
def test_choices_are_scored_from_the_pooler(checkpoint, expect, tmp_path):
    """RoBERTa scores each choice by one linear layer on its pooled state, and softmax is over the choices."""
    model = made(checkpoint, "RobertaForMultipleChoice", tmp_path, seed=9)
    rows = batch(checkpoint, [12, 9, 12, 7])
    choices = {name: value.reshape(2, 2, -1) for name, value in rows.items()}
    right = torch.tensor([1, 0])
    outputs = run(model, {**choices, "labels": right})
    pooled = run(model.roberta, rows).pooler_output
    wanted = (pooled @ model.classifier.weight.T + model.classifier.bias).reshape(2, 2)
    limit = allowed(wanted.double(), wanted)
    call = "RobertaForMultipleChoice(**inputs)"
    expect.close(outputs.logits, wanted, limit, f"{call}.logits", inputs=choices)
    loss = torch.nn.functional.cross_entropy(wanted, right)
    expect.close(outputs.loss, loss, limit, f"{call}.loss", inputs=choices)


# How GPT-2 scores choices unless its configuration says otherwise.
SCORED = {
    "summary_type": "cls_index",
    "summary_activation": None,
    "summary_use_proj": True,
    "summary_proj_to_labels": True,
}


@applies_to(model_type("gpt2"), small)
def test_double_heads_are_the_two_heads(checkpoint, expect, tmp_path):
    """GPT2DoubleHeadsModel writes on as GPT2LMHeadModel does, and scores choices at the tokens named for it, or their last."""
    model = made(checkpoint, "GPT2DoubleHeadsModel", tmp_path, seed=10, **SCORED)
    writer = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, **SAFE).eval()
    rows = batch(checkpoint, [12, 9, 12, 7], seed=57)
    rows.pop("position_ids", None)
    choices = {name: value.reshape(2, 2, -1) for name, value in rows.items()}
    at, right = torch.tensor([[11, 4], [7, 6]]), torch.tensor([1, 0])
    labels = rows["input_ids"]
    told = {"labels": labels.reshape(2, 2, -1), "mc_labels": right}
    alone = run(writer, rows | {"labels": labels})
    limit = allowed(alone.logits.double(), alone.logits)
    call = "GPT2DoubleHeadsModel(**inputs)"
    states, head = run(model.transformer, rows).last_hidden_state, model.multiple_choice_head
    for places in (at, None):
        named = {} if places is None else {"mc_token_ids": places}
        given = choices | told | named
        outputs = run(model, given)
        expect.close(outputs.logits.flatten(0, 1), alone.logits, limit, f"{call}.logits")
        expect.close(outputs.loss, alone.loss, limit, f"{call}.loss")
        ends = states[torch.arange(4), 11 if places is None else places.flatten()]
        wanted = (ends @ head.summary.weight.T + head.summary.bias).detach().reshape(2, 2)
        near = allowed(wanted.double(), wanted)
        expect.close(outputs.mc_logits, wanted, near, f"{call}.mc_logits", inputs=given)
        loss = torch.nn.functional.cross_entropy(wanted, right)
        expect.close(outputs.mc_loss, loss, near, f"{call}.mc_loss", inputs=given)


# What GPT-2 takes for a summary of states (rows, T, E), told a place in each row or none.
SUMMARIES = {
    "last": lambda states, at: states[:, -1],
    "first": lambda states, at: states[:, 0],
    "mean": lambda states, at: states.mean(1),
    "cls_index": lambda states, at: (
        states[:, -1] if at is None else states[torch.arange(len(at)), at]
    ),
}


@applies_to(model_type("gpt2"), small)
def test_choices_are_summarised_as_configured(checkpoint, expect):
    """GPT2DoubleHeadsModel scores the summary that its configuration names, squashed and dropped out as told."""
    rows, at = {"input_ids": batch(checkpoint, [12] * 4)["input_ids"]}, torch.tensor([11, 4, 7, 9])
    still = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
    still |= {"summary_first_dropout": 0.0, "summary_last_dropout": 0.0}
    for settings in (
        *({"summary_type": kind} for kind in SUMMARIES),
        *({"summary_type": "mean", f"summary_{end}_dropout": 1.0} for end in ("first", "last")),
        *({f"summary_{what}": False} for what in ("use_proj", "proj_to_labels")),
    ):
        options = SCORED | {"summary_activation": "tanh"} | still | settings
        model = drawn(checkpoint, "GPT2DoubleHeadsModel", seed=10, **options).train()
        states = run(model.transformer, rows).last_hidden_state
        for place in (at, None):
            summary = SUMMARIES[options["summary_type"]](states, place)
            wanted = scores_of(summary, model, options)
            outputs = run(model, rows | ({} if place is None else {"mc_token_ids": place}))
            limit = allowed(wanted.double(), wanted)
            call = f"GPT2DoubleHeadsModel(config, {settings}).train()(**inputs).mc_logits"
            expect.close(outputs.mc_logits, wanted, limit, call, inputs=rows, mc_token_ids=place)


def scores_of(summary, model, options):
    """What GPT-2 makes of a summary (rows, E): one score a row, or E of them, each squashed; a dropout is of one or none."""
    value, head = summary * (1 - options["summary_first_dropout"]), model.multiple_choice_head
    if options["summary_use_proj"]:
        value = value @ head.summary.weight.T + head.summary.bias
    scores = (value.tanh() * (1 - options["summary_last_dropout"])).detach()
    wide = not (options["summary_use_proj"] and options["summary_proj_to_labels"])
    return scores if wide else scores[:, 0]


@applies_to(model_type("t5"), seq2seq, light)
def test_encoder_alone_is_the_encoder(checkpoint, model, dtype, expect):
    """T5EncoderModel loads the encoder of the same files."""
    loader = transformers.T5EncoderModel
    alone = loader.from_pretrained(checkpoint.path, **SAFE, **dtype_argument(dtype)).eval()
    inputs = batch(checkpoint)
    given = {n: inputs[n] for n in ("input_ids", "attention_mask")}
    states = run(alone, given, output_attentions=False).last_hidden_state
    call = "T5EncoderModel.from_pretrained(path)(**inputs).last_hidden_state"
    wanted = run(model, inputs)
    agree_with_itself(expect, {"encoder_last_hidden_state": states}, wanted, inputs, call, dtype)


def reconstruction_of(model, inputs, patch):
    """The picture that each patch's last state makes at its own place (Shi et al. 2016, figure 1)."""
    states = model.base_model(**inputs).last_hidden_state[:, -9:]
    layer = model.decoder[0]
    values = states @ layer.weight[:, :, 0, 0].T + layer.bias
    values = values.reshape(len(states), 3, 3, -1, patch, patch).permute(0, 3, 1, 4, 2, 5)
    return values.reshape(len(states), -1, 3 * patch, 3 * patch).detach()


@applies_to(model_type("vit", "deit"), square_patches, light)
def test_masked_patches_are_not_seen(checkpoint, expect):
    """A model of masked images sees nothing of a masked patch, draws each at its place, and its loss is the mean error (Xie et al. 2022)."""
    patch, channels = checkpoint.config["patch_size"], checkpoint.config.get("num_channels", 3)
    options = {"image_size": 3 * patch, "encoder_stride": patch}
    name = {"vit": "ViT", "deit": "DeiT"}[checkpoint.model_type] + "ForMaskedImageModeling"
    model = drawn(checkpoint, name, seed=10, **options)
    draw = torch.Generator().manual_seed(57)
    image = torch.randn(2, channels, 3 * patch, 3 * patch, generator=draw)
    mask = torch.zeros(2, 9, dtype=torch.bool)
    mask[:, [0, 5]] = True
    where = mask.reshape(2, 3, 3).repeat_interleave(patch, 1).repeat_interleave(patch, 2)[:, None]
    outputs = run(model, {"pixel_values": image, "bool_masked_pos": mask})
    learned = model.base_model.embeddings
    wanted = (learned.mask_token + learned.position_embeddings)[:, -9:].detach().expand(2, -1, -1)
    embedded = outputs.hidden_states[0][:, -9:]
    limit = allowed(wanted.double(), wanted)
    call = f"{name}(pixel_values=pixels, bool_masked_pos=mask)"
    expect.close(embedded[mask], wanted[mask], limit, f"{call}.hidden_states[0], masked patches")
    other = torch.where(where, image + 1, image)
    changed = run(model, {"pixel_values": other, "bool_masked_pos": mask})
    limit = allowed(outputs.reconstruction.double(), outputs.reconstruction)
    wanted = reconstruction_of(model, {"pixel_values": image, "bool_masked_pos": mask}, patch)
    expect.close(outputs.reconstruction, wanted, limit, f"{call}.reconstruction")
    expect.close(
        changed.reconstruction,
        outputs.reconstruction,
        limit,
        f"{call}.reconstruction, masked pixels changed",
    )
    visible = run(model, {"pixel_values": image + 1.0, "bool_masked_pos": mask}).reconstruction
    moved = float((visible - outputs.reconstruction).abs().max())
    expect.true(
        moved > limit, moved, f"more than {limit:.3g}", f"{call}.reconstruction, all changed"
    )
    error = (outputs.reconstruction - image).abs() * where
    wanted = error.sum() / (mask.sum() * patch**2) / image.shape[1]
    close = K_OF_SUM * float(wanted)
    expect.close(outputs.loss, wanted, close, f"{call}.loss")


# The published code divides by the count plus 1e-5; a sum of thousands of roundings is as exact.
K_OF_SUM = 1e-5


@applies_to(model_type("vit", "deit"), light)
def test_class_token_is_pooled(checkpoint, expect):
    """Without a head, the pooler makes of the class token what its layer and the configured activation make."""
    name = {"vit": "ViTModel", "deit": "DeiTModel"}[checkpoint.model_type]
    model = drawn(checkpoint, name, seed=12, pooler_act="relu", pooler_output_size=20)
    inputs = {"pixel_values": pixels(checkpoint, seed=59)}
    outputs, layer = run(model, inputs), model.pooler.dense
    wanted = (outputs.last_hidden_state[:, 0] @ layer.weight.T + layer.bias).relu().detach()
    limit = allowed(wanted.double(), wanted)
    call = f"{name}(config, pooler_act='relu', pooler_output_size=20)(pixels).pooler_output"
    expect.close(outputs.pooler_output, wanted, limit, call, inputs=inputs)


@applies_to(model_type("deit"), light)
def test_each_head_reads_its_own_token(checkpoint, expect):
    """DeiT with its teacher: one head reads the class token, one the distillation token; the answer is their mean (Touvron et al. 2021, section 5.3)."""
    name = "DeiTForImageClassificationWithTeacher"
    model = drawn(checkpoint, name, seed=11)
    inputs = {"pixel_values": pixels(checkpoint, seed=58)}
    outputs = run(model, inputs)
    states = run(model.deit, inputs).last_hidden_state
    both = []
    for at, which in enumerate(("cls", "distillation")):
        head = getattr(model, f"{which}_classifier")
        wanted = (states[:, at] @ head.weight.T + head.bias).detach()
        limit = allowed(wanted.double(), wanted)
        expect.close(outputs[f"{which}_logits"], wanted, limit, f"{name}(pixels).{which}_logits")
        both.append(wanted)
    expect.close(outputs.logits, (both[0] + both[1]) / 2, limit, f"{name}(pixels).logits")
