"""Patches: each place of an image has its own position, and images have their labels."""

from __future__ import annotations

import inspect

import pytest

from fixtures.agreement import agree_with_itself, agree_with_reference
from fixtures.applicability import (
    applies_to,
    convention,
    has_fact,
    head,
    light,
    model_type,
    referenced,
    vision,
)
from fixtures.ids import pixels as random_pixels
from fixtures.images import Source, forms, noise, source
from fixtures.lazy import torch
from fixtures.loading import load_model
from fixtures.oracle import answers, own_tolerance, run
from fixtures.preprocessing import one_picture
from fixtures.tolerance import allowed, allowed_sum

EXTRA = {"deit": 2}
# BEiT need not have any absolute positions.
positioned = model_type("vit", "deit")


def grid(checkpoint, pixels):
    """Rows and columns of patches, and the number of extra tokens before them."""
    size = checkpoint.config["patch_size"]
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = pixels.shape[-2] // height, pixels.shape[-1] // width
    return rows, columns, height, width, EXTRA.get(checkpoint.model_type, 1)


@applies_to(vision)
def test_a_patch_moves_its_own_position(checkpoint, model, expect):
    """Changing the pixels of a patch changes its embedding and no other, row by row from the top."""
    image = random_pixels(checkpoint, rows=1, seed=81)
    rows, columns, height, width, extra = grid(checkpoint, image)
    places = [(r, c) for r in range(rows) for c in range(columns)][:: max(1, rows * columns // 16)]
    changed = image.repeat(len(places), 1, 1, 1)
    for i, (r, c) in enumerate(places):
        changed[i, :, r * height : (r + 1) * height, c * width : (c + 1) * width] += 1.0
    before = run(model, {"pixel_values": image}).hidden_states[0]
    after = run(model, {"pixel_values": changed}).hidden_states[0]
    allowed = own_tolerance(checkpoint, {"pixel_values": image})["hidden_states.0"]
    moved = [
        (row - before[0]).abs().amax(-1).gt(allowed).nonzero().flatten().tolist() for row in after
    ]
    wanted = [[extra + r * columns + c] for r, c in places]
    call = "model(pixel_values=image, output_hidden_states=True).hidden_states[0]"
    expect.equal(moved, wanted, call, image=image, places=places)


@applies_to(vision)
def test_every_pixel_counts(checkpoint, model, expect):
    """No pixel is ignored and none counts twice: a patch's embedding is linear in its pixels."""
    image = random_pixels(checkpoint, rows=1, seed=82)
    other = random_pixels(checkpoint, rows=1, seed=83)
    states = [
        run(model, {"pixel_values": x}).hidden_states[0]
        for x in (image, other, image + other, image * 0)
    ]
    allowed = 4 * own_tolerance(checkpoint, {"pixel_values": image + other})["hidden_states.0"]
    call = "model(pixel_values=image + other, output_hidden_states=True).hidden_states[0]"
    expect.close(
        states[2], states[0] + states[1] - states[3], allowed, call, image=image, other=other
    )


@applies_to(vision)
def test_image_batch_equals_singles(checkpoint, model, dtype, expect):
    """An image gives the same outputs alone as among others, in whatever order."""
    images = random_pixels(checkpoint, rows=3, seed=84)
    together = run(model, {"pixel_values": images.flip(0)})
    for i in range(3):
        one = {"pixel_values": images[i : i + 1]}
        rows = {n: take(together[n], 2 - i) for n in together}
        agree_with_itself(expect, rows, run(model, one), one, "model(**inputs)", dtype)


def take(value, row):
    """One row of an output or of each of a tuple of outputs."""
    return (
        tuple(part[row : row + 1] for part in value)
        if isinstance(value, tuple)
        else value[row : row + 1]
    )


@applies_to(vision, positioned)
def test_places_are_told_apart(checkpoint, model, expect):
    """The same patch gives another embedding where the position is another: positions are added."""
    image = random_pixels(checkpoint, rows=1, seed=85)
    rows, columns, height, width, extra = grid(checkpoint, image)
    tile = image.clone()
    tile[..., : rows * height, : columns * width] = image[..., :height, :width].repeat(
        1, 1, rows, columns
    )
    states = run(model, {"pixel_values": tile}, output_attentions=False).hidden_states[-1][
        0, extra:
    ]
    tables = (v for n, v in model.state_dict().items() if n.endswith("position_embeddings"))
    wanted = len(torch.unique(next(tables)[0, extra:], dim=0))  # one, where nothing is trained yet
    distinct = len(torch.unique(states, dim=0))
    call = "model(pixel_values=tile, output_hidden_states=True).hidden_states[-1]"
    expect.equal(distinct, wanted, f"len(torch.unique({call}[0, {extra}:], dim=0))", tile=tile)


@applies_to(vision, positioned)
def test_interpolating_to_the_own_size_changes_nothing(checkpoint, model, dtype, expect):
    """Positions interpolated to the model's own image size are its positions."""
    inputs = {"pixel_values": random_pixels(checkpoint, rows=2, seed=86)}
    own, plain = run(model, inputs, interpolate_pos_encoding=True), answers(model, inputs)
    agree_with_itself(
        expect, own, plain, inputs, "model(**inputs, interpolate_pos_encoding=True)", dtype
    )


@applies_to(vision, positioned)
@pytest.mark.parametrize("taller", [(2, 1), (1, 2), (2, 3)], ids=["tall", "wide", "large"])
def test_interpolated_positions(checkpoint, model, expect, taller):
    """Positions for other sizes are the learned ones stretched by cubic interpolation, each its way."""
    image = random_pixels(checkpoint, rows=1, seed=86) * 0
    rows, columns, _, _, extra = grid(checkpoint, image)
    black = image.repeat(1, 1, *taller)
    size = grid(checkpoint, black)[:2]
    own, states = (
        run(model, {"pixel_values": x}, interpolate_pos_encoding=x is black)
        .hidden_states[0]
        .double()
        .cpu()
        for x in (image, black)
    )
    # a black image's embedding is a constant and the position, and a constant stretches to itself
    learned = own[:, extra:].transpose(1, 2).reshape(1, -1, rows, columns)
    stretched = torch.nn.functional.interpolate(learned, size, mode="bicubic", align_corners=False)
    wanted = torch.cat([own[:, :extra], stretched.flatten(2).transpose(1, 2)], 1)
    # the kernel's weights sum to one, and at most 2.3 in absolute value, twice
    allowed = 8 * own_tolerance(checkpoint, {"pixel_values": image})["hidden_states.0"]
    call = "model(pixel_values=black, interpolate_pos_encoding=True, output_hidden_states=True).hidden_states[0]"
    expect.close(states, wanted, allowed, call, black=black)


@applies_to(vision, referenced, light)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_masked_places_equal_reference(checkpoint, device, dtype, expect, attention):
    """Where a model of pictures takes a mask, its zeros hide just those patches from the others."""
    image = random_pixels(checkpoint, rows=3, seed=89)
    rows, columns, _, _, extra = grid(checkpoint, image)
    model = load_model(checkpoint, attention, dtype, device)
    inputs = {"pixel_values": image}
    if "attention_mask" in inspect.signature(type(model).forward).parameters:
        mask = torch.ones(3, extra + rows * columns, dtype=torch.long)
        mask[1, -3:] = mask[2, extra] = 0
        inputs["attention_mask"] = mask
    outputs = run(model, inputs, output_attentions=False)
    agree_with_reference(expect, outputs, inputs, dtype, "model(**inputs)")


@applies_to(vision, positioned)
def test_pixels_of_any_precision_are_taken(checkpoint, model, expect):
    """Pixels in float64 or in half precision are taken for what they are, whatever the weights are in."""
    image = random_pixels(checkpoint, rows=1, seed=87).bfloat16()
    wanted = run(model, {"pixel_values": image})[0]
    limit = allowed(wanted.double(), wanted)
    for other in (image, image.double()):
        with torch.no_grad():
            value = model(pixel_values=other.to(model.device))[0]
        call = f"model(pixel_values=image.to({other.dtype}))[0]"
        expect.close(value, wanted, limit, call, image=image)


@convention
@applies_to(vision)
@pytest.mark.parametrize("wrong", ["channels", "size", "side"])
def test_unfitting_images_are_refused(checkpoint, model, expect, observe, wrong):
    """Pixels of another size, in one direction or both, or number of channels are an error, not an answer."""
    image, pad = random_pixels(checkpoint, rows=1, seed=87), torch.nn.functional.pad
    wrongs = {
        "channels": [image[:, :1]],
        "size": [image.repeat(1, 1, 2, 2)],
        "side": [pad(image, (0, 1)), pad(image, (0, 0, 0, 1))],
    }
    for image in wrongs[wrong]:
        try:
            outcome = list(run(model, {"pixel_values": image})[0].shape)
        except (ValueError, RuntimeError) as error:
            outcome = error
        observe(f"vision/refused {wrong}", outcome, input=str(list(image.shape)), group="outputs")
        refused = isinstance(outcome, Exception)
        call = "model(pixel_values=image)"
        expect.true(refused, outcome, "an error", call, image=image)


@applies_to(vision, head("ImageClassification"))
def test_image_probabilities(checkpoint, model, dtype, expect, observe):
    """An image's labels have probabilities between 0 and 1 that sum to one."""
    image = random_pixels(checkpoint, rows=2, seed=88)
    logits = run(model, {"pixel_values": image}).logits
    probabilities = logits.softmax(-1)
    observe("vision/probabilities", probabilities, group="numbers")
    total = probabilities.double().sum(-1)
    call = "model(pixel_values=image).logits.softmax(-1)"
    expect.close(
        total,
        torch.ones_like(total),
        allowed_sum(logits.shape[-1], dtype),
        f"{call}.sum(-1)",
        image=image,
    )
    expect.true(
        bool((probabilities >= 0).all()),
        probabilities,
        "no negative probability",
        call,
        image=image,
    )


@applies_to(vision, has_fact("image-label"))
def test_image_labels_for_any_form(checkpoint, model, processor, expect):
    """A picture has its label whether it comes as a file's image, an array or a tensor."""
    from PIL import Image

    for fact in checkpoint.facts_of("image-label")[:3]:
        picture = Image.open(checkpoint.path / fact.input).convert("RGB")
        for form, value in forms(picture).items():
            inputs = processor(value, return_tensors="pt")
            label = model.config.id2label[int(run(model, inputs).logits.argmax())]
            call = f"model.config.id2label[int(model(**processor({form}, return_tensors='pt')).logits.argmax())]"
            expect.equal(label, fact.expect, call, image=opened(checkpoint, fact.input))


def opened(checkpoint, name):
    """Python that opens a committed picture."""
    return Source(
        f"__import__('PIL.Image').Image.open({str(checkpoint.path / name)!r}).convert('RGB')"
    )


@convention
@applies_to(vision, one_picture)
def test_processor_fits_the_model(checkpoint, processor, expect):
    """What the processor makes of a picture has the size that the model takes."""
    image = noise((70, 50), 6)
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    wanted = list(random_pixels(checkpoint, rows=1).shape)
    expect.equal(
        list(pixels.shape),
        wanted,
        "processor(image, return_tensors='pt')['pixel_values'].shape",
        image=source(image),
    )
