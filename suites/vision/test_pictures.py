"""Pictures that are not plain: transparent, rotated by their file, scaled already, cut to odd sizes."""

from __future__ import annotations

from fixtures.applicability import (
    Predicate,
    applies_to,
    colour_processor,
    convention,
    head,
    light,
    vision,
)
from fixtures.images import forms, gradient, source
from fixtures.lazy import numpy
from fixtures.pipelines import offers, pipe
from fixtures.preprocessing import allowed, expected, known_processor, plain_processor

# of 255: cut off to eight bits, that widened by bicubic's 1.6 at most, and rounded to eight bits
LEVELS = 3
leaves_arrays = Predicate(
    "nothing converted in its files", lambda c: not plain_processor(c).get("do_convert_rgb")
)
ORIENTATION, QUARTER = 0x0112, 6  # Exif 2.3, 4.6.4: the first row is the right-hand side


@applies_to(colour_processor, known_processor)
def test_crops_leave_the_middle(checkpoint, processor, expect):
    """A crop that leaves an odd number over leaves the larger part on the right and below."""
    image = gradient((31, 44))
    options = {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 21, "width": 20}}
    value, wanted = (
        processor(image, return_tensors="pt", **options)["pixel_values"],
        expected(checkpoint, [image], **options),
    )
    call = "processor(image, return_tensors='pt', **options)['pixel_values']"
    expect.close(value, wanted, allowed(checkpoint), call, image=source(image), options=options)


@applies_to(colour_processor, known_processor, leaves_arrays)
def test_scaled_arrays_are_pictures(checkpoint, processor, expect):
    """An array of numbers from 0 to 1, told not to be scaled again, is the picture that it was."""
    from fixtures.reference.preprocess import settings

    image = gradient((41, 29))
    array = numpy.asarray(image, dtype="float32") / 255
    value = processor(array, do_rescale=False, return_tensors="pt")["pixel_values"]
    wanted = expected(checkpoint, [image], do_rescale=True, rescale_factor=1 / 255)
    spread = settings(checkpoint.path)
    near = LEVELS / 255 / (min(spread["image_std"]) if spread["do_normalize"] else 1.0)
    call = "processor(__import__('numpy').asarray(image, dtype='float32') / 255, do_rescale=False, return_tensors='pt')['pixel_values']"
    expect.close(value, wanted, near, call, image=source(image))


def see_through(image):
    """A picture and what it shows on white, in each mode that knows transparency, by what is done to it."""
    from PIL import Image

    mask = Image.new("L", image.size, 0)
    mask.paste(255, (10, 5, 40, 30))
    white = Image.new("RGB", image.size, "white")
    for mode in ("RGB", "L"):
        seen = image.convert(mode)
        shown = Image.composite(seen.convert("RGB"), white, mask)
        seen.putalpha(mask)
        yield f"{seen.mode}, its alpha 0 and 255", seen, shown
    palette = image.quantize(255)
    shown = Image.composite(palette.convert("RGB"), white, mask)
    palette.paste(255, mask=mask.point(lambda alpha: 255 - alpha))
    palette.info["transparency"] = 255
    yield "P, a colour of it transparent", palette, shown


@convention
@applies_to(colour_processor, known_processor)
def test_transparent_pictures_lie_on_white(checkpoint, processor, expect):
    """do_convert_rgb=True shows white where a picture is transparent."""
    for mode, seen, shown in see_through(gradient((50, 37))):
        value = processor(seen, do_convert_rgb=True, return_tensors="pt")["pixel_values"]
        call = f"processor(image of mode {mode}, do_convert_rgb=True, return_tensors='pt')['pixel_values']"
        expect.close(value, expected(checkpoint, [shown]), allowed(checkpoint), call)


@applies_to(colour_processor, known_processor, leaves_arrays)
def test_every_channel_is_kept(checkpoint, processor, expect):
    """An array of four channels that nothing converts or normalises keeps all four."""
    image = gradient((41, 29))
    last = list(forms(image).values())[1]
    four = numpy.concatenate([last, numpy.full_like(last[..., :1], 255)], -1)
    options = {"do_normalize": False, "input_data_format": "channels_last"}
    value = processor(four, return_tensors="pt", **options)["pixel_values"]
    three = processor(last, return_tensors="pt", **options)["pixel_values"]
    call = "processor(four channels, do_normalize=False, input_data_format='channels_last', return_tensors='pt')['pixel_values']"
    expect.equal(value.shape[1], 4, f"{call}.shape[1]")
    expect.close(value[:, :3], three, 0.0, f"{call}[:, :3]", image=source(image))


@applies_to(
    colour_processor, vision, head("ImageClassification"), light, offers("image-classification")
)
def test_a_file_is_seen_upright(checkpoint, processor, model, expect, tmp_path):
    """A file that says how the camera was held is turned before it is looked at."""
    from PIL import Image

    see = pipe("image-classification", model, image_processor=processor)
    image, exif, file = gradient((50, 30)), Image.Exif(), tmp_path / "turned.png"
    exif[ORIENTATION] = QUARTER
    image.save(file, exif=exif)
    value, wanted = see(str(file)), see(image.transpose(Image.Transpose.ROTATE_270))
    call = "pipeline('image-classification', ...)(a file whose EXIF orientation is 6)"
    expect.equal(value, wanted, call, file=str(file))
