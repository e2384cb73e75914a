"""Two models put together, and heads at the edges of what they take: one label, no cache, embeddings for ids."""

from __future__ import annotations

import pytest

from fixtures.applicability import applies_to, light, model_type, small
from fixtures.ids import batch, ordinary_ids, pixels
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE
from fixtures.oracle import run
from fixtures.tolerance import allowed
from fixtures.weights import drawn, filled

# The decoders that an encoder is put before; what they read crosswise is drawn anew.
DECODERS = {
    "BertLMHeadModel": {"is_decoder": True, "add_cross_attention": True, "hidden_size": 12,
        "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 20},
    "GPT2LMHeadModel": {"add_cross_attention": True, "n_embd": 12, "n_head": 2, "n_layer": 3},
}  # fmt: skip
CHOICES = {
    "bert": "BertForMultipleChoice",
    "roberta": "RobertaForMultipleChoice",
    "distilbert": "DistilBertForMultipleChoice",
}
CLASSIFIERS = {
    "llama": ("LlamaForSequenceClassification", "LlamaForTokenClassification"),
    "mistral": ("MistralForSequenceClassification", "MistralForTokenClassification"),
    "gpt2": ("GPT2ForSequenceClassification",),
    "bart": ("BartForSequenceClassification",),
}


def decoder_called(name):
    """A small decoder of that class that attends across."""
    kind = getattr(transformers, name)
    config = kind.config_class(vocab_size=40, attn_implementation="eager", **DECODERS[name])
    return filled(kind(config), 31).eval()


def put_together(together, encoder, decoder):
    """Both in one; what the encoder says is turned to the decoder's width."""
    return filled(together(encoder=encoder, decoder=decoder), 32).eval()


def require_both(expect, model, states, inputs, told):
    """Logits, states and weights of the decoder are those it gives by itself of what the encoder gave."""
    decoded = inputs["decoder_input_ids"]
    asked = {"output_hidden_states": True, "output_attentions": True}
    outputs = run(model, inputs, **asked)
    across = states @ model.enc_to_dec_proj.weight.T + model.enc_to_dec_proj.bias
    mask = {} if "pixel_values" in inputs else {"encoder_attention_mask": inputs["attention_mask"]}
    alone = run(
        model.decoder, {"input_ids": decoded, "encoder_hidden_states": across, **mask}, **asked
    )
    call = f"{type(model).__name__}(encoder, {told})(**inputs, **{asked})"
    pairs = {
        "logits": (outputs.logits, alone.logits),
        "encoder_last_hidden_state": (outputs.encoder_last_hidden_state, states),
        "cross_attentions[0]": (outputs.cross_attentions[0], alone.cross_attentions[0]),
    }
    for name in ("hidden_states", "attentions"):
        found, wanted = outputs[f"decoder_{name}"], alone[name]
        expect.equal(len(found), len(wanted), f"len({call}.decoder_{name})")
        pairs[f"decoder_{name}[-1]"] = (found[-1], wanted[-1])
    for name, (got, want) in pairs.items():
        expect.close(got, want, allowed(want.double(), want), f"{call}.{name}")
    first = run(model, inputs, return_dict=False)[0]
    limit = allowed(alone.logits.double(), alone.logits)
    expect.close(first, alone.logits, limit, f"{call[:-1]}, return_dict=False)[0]")


@applies_to(model_type(*CHOICES), light)
@pytest.mark.parametrize("decoder", DECODERS)
def test_an_encoder_is_read_by_a_decoder(checkpoint, expect, decoder):
    """Put before a decoder, an encoder is what it attends across to; what is asked for is answered by both."""
    encoder = filled(body(checkpoint), 30).eval()
    model = put_together(transformers.EncoderDecoderModel, encoder, decoder_called(decoder))
    inputs = batch(checkpoint, [9, 6])
    given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    states = run(encoder, given).last_hidden_state
    decoded = torch.tensor([[3, 7, 11, 2], [5, 1, 8, 9]])
    require_both(expect, model, states, {**given, "decoder_input_ids": decoded}, decoder)


@applies_to(model_type("vit", "deit"), light)
@pytest.mark.parametrize("decoder", DECODERS)
def test_pictures_are_read_by_a_decoder(checkpoint, expect, decoder):
    """Put before a decoder, a vision model is what it attends across to; what is asked for is answered by both."""
    encoder = filled(body(checkpoint), 33).eval()
    model = put_together(transformers.VisionEncoderDecoderModel, encoder, decoder_called(decoder))
    given = {"pixel_values": pixels(checkpoint, seed=60)}
    states = run(encoder, given).last_hidden_state
    decoded = torch.tensor([[3, 7, 11, 2]]).repeat(len(states), 1)
    require_both(expect, model, states, {**given, "decoder_input_ids": decoded}, decoder)


def body(checkpoint):
    """A new model without a head of the checkpoint's configuration, its attention eager."""
    settings = {n: v for n, v in checkpoint.stated().items() if n != "architectures"}
    config = transformers.AutoConfig.for_model(**settings, attn_implementation="eager")
    return transformers.AutoModel.from_config(config).float()


@applies_to(model_type("bert"), small)
def test_what_decodes_is_made_to_attend_across(checkpoint, expect, tmp_path):
    """A decoder taken from files is given what attends across, whether or not it was a decoder before."""
    encoder = filled(body(checkpoint), 34)
    encoder.save_pretrained(tmp_path / "encoder")
    together = transformers.EncoderDecoderModel
    for name, settings in DECODERS.items():
        kind = getattr(transformers, name)
        alone = settings | {"is_decoder": name.startswith("GPT"), "add_cross_attention": False}
        kind(kind.config_class(vocab_size=40, **alone)).save_pretrained(tmp_path / name)
        paths = (str(tmp_path / "encoder"), str(tmp_path / name))
        safe = {
            f"{half}_{option}": value
            for option, value in SAFE.items()
            for half in ("encoder", "decoder")
        }
        made = together.from_encoder_decoder_pretrained(*paths, **safe)
        call = f"EncoderDecoderModel.from_encoder_decoder_pretrained(bert, {name})"
        expect.equal(
            made.decoder.config.add_cross_attention,
            True,
            f"{call}.decoder.config.add_cross_attention",
        )
        across = [n for n, _ in made.decoder.named_parameters() if "cross" in n]
        expect.true(bool(across), "no weights", "weights that attend across", f"{call}.decoder")


@applies_to(model_type("vit", "deit"), light)
def test_a_picture_may_have_a_single_label(checkpoint, expect):
    """With one label, a picture has one score: a linear layer on its class token."""
    name = {"vit": "ViT", "deit": "DeiT"}[checkpoint.model_type] + "ForImageClassification"
    model = drawn(checkpoint, name, 35, num_labels=1)
    inputs = {"pixel_values": pixels(checkpoint, seed=61)}
    call = f"{name}(config, num_labels=1)(pixels)"
    outputs = run(model, inputs)
    headless = next(module for part, module in model.named_children() if part != "classifier")
    classes = run(headless, inputs).last_hidden_state[:, 0]
    wanted = (classes @ model.classifier.weight.T + model.classifier.bias).detach()
    limit = allowed(wanted.double(), wanted)
    expect.close(outputs.logits, wanted, limit, f"{call}.logits", inputs=inputs)


@applies_to(model_type(*CLASSIFIERS), light)
def test_classifiers_keep_no_cache_unless_told(checkpoint, expect):
    """With use_cache=False no classifying head keeps a cache, whatever its configuration says."""
    inputs = {"input_ids": torch.tensor([ordinary_ids(checkpoint)[:7]])}
    if checkpoint.model_type == "bart":
        inputs["input_ids"][0, -1] = checkpoint.config["eos_token_id"]
    for name in CLASSIFIERS[checkpoint.model_type]:
        model = drawn(checkpoint, name, 36, use_cache=True, pad_token_id=0)
        outputs = run(model, inputs, use_cache=False)
        kept = outputs.get("past_key_values") is not None
        expect.equal(
            kept, False, f"{name}(config)(**inputs, use_cache=False).past_key_values is not None"
        )


@applies_to(model_type(*CHOICES), light)
def test_choices_may_be_embeddings(checkpoint, expect):
    """Choices given as the embeddings of their ids are scored as the ids are."""
    name = CHOICES[checkpoint.model_type]
    model = drawn(checkpoint, name, 37)
    rows = batch(checkpoint, [8, 5, 8, 6, 7, 8])
    choices = {n: value.reshape(2, 3, -1) for n, value in rows.items()}
    wanted = run(model, choices).logits
    embedded = {n: value for n, value in choices.items() if n != "input_ids"}
    embedded["inputs_embeds"] = model.get_input_embeddings()(choices["input_ids"]).detach()
    call = f"{name}(config)(inputs_embeds=embeddings, attention_mask=mask).logits"
    expect.equal(list(wanted.shape), [2, 3], f"{name}(config)(input_ids).logits.shape")
    expect.close(run(model, embedded).logits, wanted, allowed(wanted.double(), wanted), call)
