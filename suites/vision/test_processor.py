"""The image processor does what preprocessor_config.json says, whatever an image comes as."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.applicability import applies_to, colour_processor, convention
from fixtures.checkpoint import read_json
from fixtures.images import forms, gradient, noise, source, swatch
from fixtures.lazy import torch
from fixtures.loading import SAFE
from fixtures.preprocessing import (
    allowed,
    expected,
    known_processor,
    one_picture,
    plain_processor,
)

CALL = "processor(image, return_tensors='pt')['pixel_values']"
# Exactly the target of some, wider, taller, smaller than a patch in one direction, odd sizes.
SIZES = ((32, 32), (24, 40), (100, 60), (33, 71), (7, 50), (5, 5))


def pixels(processor, images, **options):
    """pixel_values of the processor, a tensor (images, channels, height, width)."""
    return processor(images, return_tensors="pt", **options)["pixel_values"]


@applies_to(colour_processor, known_processor)
def test_pixels_equal_the_definition(checkpoint, processor, expect, observe):
    """Resized, cropped, scaled and normalised as the settings say, pixel by pixel, in red-green-blue."""
    for size in SIZES:
        image = gradient(size)
        value = pixels(processor, image)
        expect.close(
            value, expected(checkpoint, [image]), allowed(checkpoint), CALL, image=source(image)
        )
    observe(
        "vision/pixel_values",
        value,
        input="gradient (5, 5)",
        group="numbers",
        tolerance=allowed(checkpoint),
    )


@applies_to(colour_processor, known_processor)
@settings(max_examples=10)
@given(size=st.tuples(st.integers(2, 90), st.integers(4, 90)), seed=st.integers(0, 999))
def test_any_image_equals_the_definition(checkpoint, processor, expect, size, seed):
    """Noise of any size is processed as the settings say."""
    image = noise(size, seed)
    expect.close(
        pixels(processor, image),
        expected(checkpoint, [image]),
        allowed(checkpoint),
        CALL,
        image=source(image),
    )


@applies_to(one_picture)
def test_forms_of_an_image_agree(checkpoint, processor, expect):
    """A picture is the same as a PIL image, as an array and as a tensor, channels first or last."""
    image = gradient((41, 29))
    wanted = pixels(processor, image)
    for form, value in forms(image).items():
        call = CALL.replace("image", form, 1)
        expect.close(pixels(processor, value), wanted, 0.0, call, image=source(image))
        call = CALL.replace("image", f"[{form}]", 1)
        expect.close(pixels(processor, [value]), wanted, 0.0, call, image=source(image))


@applies_to(one_picture)
@pytest.mark.parametrize("layout", ["first", "last"])
def test_channel_layout_is_honoured(checkpoint, processor, expect, layout):
    """input_data_format says where the channels are; where only the shape could tell and does not, first."""
    image = gradient((3, 3))
    last, first = list(forms(image).items())[1:3]
    form, array = first if layout == "first" else last
    value = pixels(processor, array, input_data_format=f"channels_{layout}")
    wanted = pixels(processor, image, input_data_format="channels_last")
    call = f"processor({form}, input_data_format='channels_{layout}', return_tensors='pt')['pixel_values']"
    expect.close(value, wanted, 0.0, call, image=source(image))
    if layout == "first":
        expect.close(
            pixels(processor, array),
            wanted,
            0.0,
            CALL.replace("image", form, 1),
            image=source(image),
        )


@applies_to(one_picture)
def test_output_layout_is_honoured(checkpoint, processor, expect):
    """data_format="channels_last" moves the channels behind height and width, and nothing else."""
    image = gradient((41, 29))
    value = pixels(processor, image, data_format="channels_last")
    wanted = pixels(processor, image).permute(0, 2, 3, 1)
    call = "processor(image, data_format='channels_last', return_tensors='pt')['pixel_values']"
    expect.close(value, wanted, 0.0, call, image=source(image))


@applies_to(one_picture)
def test_batch_equals_singles(checkpoint, processor, expect):
    """Images of different sizes in one call give what each gives alone, in order."""
    images = [gradient((40, 30)), noise((64, 17), 1), noise((20, 90), 2)]
    together = pixels(processor, images)
    apart = torch.cat([pixels(processor, image) for image in images])
    call, shown = (
        "processor(images, return_tensors='pt')['pixel_values']",
        [source(image) for image in images],
    )
    expect.close(together, apart, 0.0, call, images=shown)


@applies_to(colour_processor, known_processor)
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_converted_images_equal_the_definition(checkpoint, processor, expect, mode):
    """Any kind of picture, converted to RGB first, is processed as the settings say."""
    image = gradient((50, 37)).convert(mode)
    value, wanted = pixels(processor, image.convert("RGB")), expected(checkpoint, [image])
    call = "processor(image.convert('RGB'), return_tensors='pt')['pixel_values']"
    expect.close(
        value, wanted, allowed(checkpoint), call, image=source(image, f".convert({mode!r})")
    )


@convention
@applies_to(colour_processor, known_processor)
@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_do_convert_rgb_converts(checkpoint, processor, expect, observe, mode):
    """do_convert_rgb=True makes three channels of a grey, palette or transparent picture."""
    image = gradient((50, 37)).convert(mode)
    try:
        value = pixels(processor, image, do_convert_rgb=True)
    except ValueError as error:
        value = error
    observe(
        "vision/do_convert_rgb", value if isinstance(value, Exception) else "converted", input=mode
    )
    call = "processor(image, do_convert_rgb=True, return_tensors='pt')['pixel_values']"
    expect.true(
        not isinstance(value, Exception),
        value,
        "pixel values",
        call,
        image=source(image, f".convert({mode!r})"),
    )
    expect.close(
        value,
        expected(checkpoint, [image]),
        allowed(checkpoint),
        call,
        image=source(image, f".convert({mode!r})"),
    )


@applies_to(colour_processor, known_processor)
@pytest.mark.parametrize("switch", ["do_resize", "do_rescale", "do_normalize", "do_center_crop"])
def test_a_step_can_be_left_out(checkpoint, processor, expect, switch):
    """Each step happens when its switch is on and not when it is off, the others as before."""
    settings = plain_processor(checkpoint)
    image = gradient((44, 40))
    for on in (True, False):
        if switch == "do_center_crop" and on and "crop_size" not in settings:
            continue
        value = pixels(processor, image, **{switch: on})
        wanted = expected(checkpoint, [image], **{switch: on})
        call = f"processor(image, {switch}={on}, return_tensors='pt')['pixel_values']"
        expect.close(value, wanted, allowed(checkpoint, **{switch: on}), call, image=source(image))


@applies_to(colour_processor, known_processor)
@pytest.mark.parametrize("resample", [0, 2, 3], ids=["nearest", "bilinear", "bicubic"])
def test_resampling_is_honoured(checkpoint, processor, expect, resample):
    """The interpolation asked for is Pillow's of that number."""
    image = noise((61, 47), 3)
    value, wanted = (
        pixels(processor, image, resample=resample),
        expected(checkpoint, [image], resample=resample),
    )
    call = f"processor(image, resample={resample}, return_tensors='pt')['pixel_values']"
    expect.close(value, wanted, allowed(checkpoint), call, image=source(image))


@applies_to(colour_processor, known_processor)
def test_numbers_of_a_call_win(checkpoint, processor, expect):
    """Size, scale, mean and spread, one or for each channel, given to a call are used instead of the settings'."""
    image = gradient((61, 47))
    for options in (
        {"size": {"height": 30, "width": 20}, "do_center_crop": False},
        {"rescale_factor": 1 / 127.5},
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
    ):
        value, wanted = (
            pixels(processor, image, **options),
            expected(checkpoint, [image], **options),
        )
        call = "processor(image, return_tensors='pt', **options)['pixel_values']"
        expect.close(
            value,
            wanted,
            allowed(checkpoint, **options),
            call,
            image=source(image),
            options=options,
        )
    one, each = ({"image_mean": m, "image_std": s} for m, s in ((0.1, 0.4), ([0.1] * 3, [0.4] * 3)))
    value, wanted = pixels(processor, image, **one), expected(checkpoint, [image], **each)
    call = CALL.replace("')", "', **one)")
    expect.close(value, wanted, allowed(checkpoint, **each), call, image=source(image), one=one)
    # a size may be one number, or height and width
    for size, wide in ((30, 30), ((30, 20), 20)):
        options = {"do_center_crop": False, "size": {"height": 30, "width": wide}}
        value = pixels(processor, image, size=size, do_center_crop=False)
        wanted, call = (
            expected(checkpoint, [image], **options),
            CALL.replace("')", f"', size={size})"),
        )
        expect.close(value, wanted, allowed(checkpoint), call, image=source(image))
    expect.close(
        pixels(processor, image),
        expected(checkpoint, [image]),
        allowed(checkpoint),
        CALL,
        image=source(image),
    )


@applies_to(one_picture)
def test_channels_keep_their_order(checkpoint, processor, expect):
    """Red is the first channel, green the second, blue the third."""
    for channel, colour in enumerate(("red", "green", "blue")):
        image = swatch(colour)
        value = pixels(processor, image, do_normalize=False)[0].float().mean((1, 2))
        call = "processor(image, do_normalize=False, return_tensors='pt')['pixel_values'][0].mean((1, 2))"
        expect.equal(int(value.argmax()), channel, f"{call}.argmax()", image=source(image))


@applies_to(one_picture)
def test_what_a_processor_returns(checkpoint, processor, expect):
    """pixel_values and nothing else that varies: float32, unless left as they are; as array, tensor or list the same numbers."""
    image = gradient((41, 29))
    tensor = processor(image, return_tensors="pt")["pixel_values"]
    array = processor(image, return_tensors="np")["pixel_values"]
    listed = processor(image)["pixel_values"]
    told = read_json(checkpoint.path / "preprocessor_config.json")
    changed = any(told.get(name, True) for name in ("do_rescale", "do_normalize"))
    wanted = "torch.float32" if changed else "torch.uint8"
    expect.equal(str(tensor.dtype), wanted, f"{CALL}.dtype", image=source(image))
    expect.close(torch.as_tensor(array), tensor, 0.0, CALL.replace("pt", "np"), image=source(image))
    expect.close(
        torch.as_tensor(listed[0])[None],
        tensor,
        0.0,
        "processor(image)['pixel_values'][0]",
        image=source(image),
    )
    expect.equal(processor.model_input_names, ["pixel_values"], "processor.model_input_names")


@applies_to(one_picture)
def test_an_image_is_left_alone(checkpoint, processor, expect):
    """Processing does not change the image it is given."""
    image = gradient((41, 29))
    for form, value in forms(image).items():
        before = torch.as_tensor(value.tolist()) if hasattr(value, "tolist") else value.tobytes()
        pixels(processor, value)
        after = torch.as_tensor(value.tolist()) if hasattr(value, "tolist") else value.tobytes()
        same = before == after if isinstance(before, bytes) else torch.equal(before, after)
        expect.true(bool(same), form, "an image that is as it was", CALL, image=source(image))


@applies_to(one_picture)
def test_a_saved_processor_is_the_same(checkpoint, processor, expect, tmp_path):
    """Saved and loaded again, a processor has the settings of the files and gives the same pixels."""
    processor.save_pretrained(tmp_path)
    again = type(processor).from_pretrained(tmp_path, **SAFE)
    image = noise((61, 47), 5)
    call = "type(processor).from_pretrained(directory)"
    value, wanted = pixels(again, image), pixels(processor, image)
    expect.close(
        value,
        wanted,
        0.0,
        f"{call}(image, return_tensors='pt')['pixel_values']",
        image=source(image),
        directory=str(tmp_path),
    )
    stored, saved = (
        read_json(path / "preprocessor_config.json") for path in (checkpoint.path, tmp_path)
    )
    settings = {
        k: v
        for k, v in stored.items()
        if k.startswith(("do_", "image_m", "image_s", "size", "crop", "res"))
        # one number, as files had it until 4.25, is saved as the sides that it stands for
        and not (k in ("size", "crop_size") and isinstance(v, int))
    }
    expect.equal(
        {k: saved.get(k) for k in settings}, settings, f"{call}.to_dict()", directory=str(tmp_path)
    )


@applies_to(colour_processor, known_processor)
def test_shortest_edge_keeps_the_shape(checkpoint, processor, expect):
    """size={"shortest_edge": n} makes the shorter side n and the other as long as the shape asks, rounded down."""
    only = {"do_center_crop": False, "do_rescale": False, "do_normalize": False}
    for width, height in ((50, 40), (31, 64)):
        image = gradient((width, height))
        value = processor(image, size={"shortest_edge": 24}, return_tensors="np", **only)
        scale = 24 / min(width, height)
        wanted = (int(height * scale), int(width * scale))
        call = "processor(image, size={'shortest_edge': 24}, ...)['pixel_values'].shape[-2:]"
        expect.equal(value["pixel_values"].shape[-2:], wanted, call, image=source(image))


@applies_to(colour_processor, known_processor)
def test_small_images_are_framed(checkpoint, processor, expect):
    """Cropping to more than there is puts the image in the middle of black, what is odd above and to the left."""
    from fixtures.reference.preprocess import central

    image = gradient((20, 12))
    options = {"do_resize": False, "do_rescale": False, "do_normalize": False}
    for height, width in ((18, 30), (19, 31), (9, 31), (19, 13)):
        options |= {"do_center_crop": True, "crop_size": {"height": height, "width": width}}
        value = np.asarray(processor(image, return_tensors="np", **options)["pixel_values"][0])
        wanted = np.asarray(central(image, width, height)).transpose(2, 0, 1)
        call = f"processor(image, do_center_crop=True, crop_size={options['crop_size']}, ...)['pixel_values'][0]"
        expect.equal(value.astype(int).tolist(), wanted.tolist(), call, image=source(image))
        framed = options | {"do_rescale": True, "do_normalize": True}
        value, wanted = pixels(processor, image, **framed), expected(checkpoint, [image], **framed)
        call = "processor(image, return_tensors='pt', **options)['pixel_values']"
        near = allowed(checkpoint, **framed)
        expect.close(value, wanted, near, call, image=source(image), options=framed)
