"""Where an image processor's settings come from: the file, the call that loads it, the class, or none of them."""

from __future__ import annotations

import json

from fixtures.applicability import applies_to, colour_processor
from fixtures.checkpoint import read_json
from fixtures.images import gradient, noise, source
from fixtures.loading import SAFE
from fixtures.preprocessing import allowed, expected, known_processor, plain_processor, published

FILE = "preprocessor_config.json"
PIXELS = "(image, return_tensors='pt')['pixel_values']"
# Settings as a file or a caller gives them, each step switched off once and every number changed once.
CHANGES = (
    {"do_resize": False},
    {"do_rescale": False, "image_mean": [100.0, 120.0, 140.0], "image_std": [40.0, 50.0, 60.0]},
    {"do_normalize": False},
    {"size": {"height": 26, "width": 34}, "resample": 0, "do_center_crop": False},
    {"crop_size": {"height": 21, "width": 18}},
    {"rescale_factor": 1 / 64, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
)


def written(directory, settings):
    """The directory, which now holds a processor's file of these settings."""
    directory.mkdir(parents=True)
    (directory / FILE).write_text(json.dumps(settings), encoding="utf-8")
    return directory


def made(checkpoint, kind, directory, changes):
    """Processors of changed settings, by the Python that makes them."""
    stored = plain_processor(checkpoint)
    written(directory / "inner", stored | changes)
    (directory / FILE).write_text(json.dumps(stored), encoding="utf-8")
    own = {n: v for n, v in stored.items() if not n.endswith(("_type", "processor_class"))}
    name, load = "type(processor)", kind.from_pretrained
    return {
        f"{name}.from_pretrained(path, **changes)": load(checkpoint.path, **SAFE, **changes),
        f"{name}.from_pretrained(directory, subfolder='inner')": load(
            directory, subfolder="inner", **SAFE
        ),
        f"{name}(**settings | changes)": kind(**own | changes),
    }


@applies_to(colour_processor, known_processor)
def test_settings_are_obeyed_wherever_told(checkpoint, processor, expect, tmp_path):
    """A setting in a file, in from_pretrained or in the constructor, be it False or a number, is obeyed by every call."""
    from fixtures.reference.preprocess import settings

    image, known = gradient((44, 40)), settings(checkpoint.path)
    for i, offered in enumerate(CHANGES):
        changes = {name: value for name, value in offered.items() if name in known}
        wanted, near = expected(checkpoint, [image], **changes), allowed(checkpoint, **changes)
        ways = made(checkpoint, type(processor), tmp_path / str(i), changes)
        for call, other in ways.items():
            value = other(image, return_tensors="pt")["pixel_values"]
            expect.close(value, wanted, near, call + PIXELS, image=source(image), changes=changes)


@applies_to(colour_processor, known_processor)
def test_settings_left_out_are_the_published_ones(checkpoint, processor, expect, tmp_path):
    """A file or a call that says nothing means the settings that the family was published with."""
    named = {n: v for n, v in plain_processor(checkpoint).items() if n.endswith("_type")}
    directory, image = written(tmp_path / "bare", named), noise((50, 39), 4)
    wanted, near = published(checkpoint, image)
    kind, call = type(processor), "type(processor)"
    for way, bare in (
        (f"{call}()", kind()),
        (f"{call}.from_pretrained(directory)", kind.from_pretrained(directory, **SAFE)),
    ):
        value = bare(image, return_tensors="pt")["pixel_values"]
        expect.close(value, wanted, near, way + PIXELS, image=source(image), directory=directory)


@applies_to(colour_processor, known_processor)
def test_a_saved_processor_is_found_again(checkpoint, processor, expect, tmp_path):
    """A saved processor's file names its family's type, whichever implementation wrote it."""
    processor.save_pretrained(tmp_path)
    stored = plain_processor(checkpoint)
    name = stored.get("image_processor_type") or stored["feature_extractor_type"]
    wanted = name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast")
    value = read_json(tmp_path / FILE)["image_processor_type"].removesuffix("Fast")
    call = "(processor.save_pretrained(directory), json.load(preprocessor_config.json)['image_processor_type'])[1]"
    expect.equal(value, wanted, call, directory=str(tmp_path))
