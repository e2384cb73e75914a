"""The wide walk over images: every form and mode, every option of a call and of loading."""

from __future__ import annotations

from fixtures.applicability import applies_to, processor
from fixtures.images import gradient, source
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE

IMAGE = source(gradient((51, 37)))
ARRAY = f"__import__('numpy').array({IMAGE})"
# every seventh row and column tells resizings apart, at a hundredth of the record's size
PIXELS = "processor({}, **{})['pixel_values'][..., ::7, ::7]"
TENSORS = {"return_tensors": "pt"}
SIZES = ((32, 32), (48, 20), (224, 224), (7, 300))
FORMS = {
    **{
        f"mode {mode}": f"{IMAGE}.convert({mode!r})"
        for mode in ("L", "1", "P", "LA", "RGBA", "CMYK")
    },
    "one pixel": f"{source(gradient((1, 1)))}",
    "three by five pixels": f"{source(gradient((3, 5)))}",
    "array": ARRAY,
    "array, channels first": f"{ARRAY}.transpose(2, 0, 1)",
    "tensor": f"torch.tensor({ARRAY}).permute(2, 0, 1)",
    "array of fractions": f"({ARRAY} / 255).astype('float32')",
    "array without channels": f"{ARRAY}[:, :, 0]",
    "stacked arrays": f"__import__('numpy').stack([{ARRAY}] * 2)",
    "two images": f"[{IMAGE}, {source(gradient((20, 30)))}]",
    "rows of images": f"[[{IMAGE}]]",
    "a file that is not there": "'absent.png'",
}
OPTIONS = (
    {"do_resize": False},
    {"do_rescale": False},
    {"do_normalize": False},
    {"do_resize": False, "do_rescale": False, "do_normalize": False},
    {"size": {"height": 16, "width": 20}},
    {"size": 18},
    {"size": [16, 20]},
    {"size": {"shortest_edge": 18}},
    {"size": {"longest_edge": 18}},
    {"size": {"shortest_edge": 18, "longest_edge": 22}},
    {"do_center_crop": True, "crop_size": {"height": 20, "width": 16}},
    {"do_center_crop": True, "crop_size": 12},
    {"do_center_crop": False},
    *({"resample": filter} for filter in range(6)),
    {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]},
    {"image_mean": 0.5, "image_std": 0.5},
    {"rescale_factor": 0.01},
    {"do_convert_rgb": True},
    {"data_format": "channels_last"},
    {"input_data_format": "channels_last"},
    {"no_such_option": 1},
    {"return_tensors": "np"},
)
SETTINGS = (
    "size crop_size resample do_resize do_rescale do_normalize do_center_crop do_convert_rgb image_mean "
    "image_std rescale_factor model_input_names"
).split()
LOADERS = {
    "as an image processor": "transformers.AutoImageProcessor",
    "as a processor": "transformers.AutoProcessor",
    "as a feature extractor": "transformers.AutoFeatureExtractor",
}
LOADINGS = (
    {"use_fast": True},
    {"use_fast": False},
    {"size": {"height": 12, "width": 10}},
    {"size": 12},
    {"do_resize": False},
)


@applies_to(processor)
def test_images(checkpoint, processor, observe):
    """What the processor makes of a gradient of several sizes, and which class it is."""
    for size in SIZES:
        observe.attempt(
            "vision/pixels",
            lambda s=size: processor(gradient(s), return_tensors="pt")["pixel_values"],
            input=f"{size}",
            group="numbers",
            tolerance=1e-5,
        )
    name = "type(processor).__name__"
    observe.evaluate("vision/class", name, {"processor": processor}, group="load")
    default = transformers.AutoImageProcessor.from_pretrained(checkpoint.path, **SAFE)
    observe.evaluate("vision/class by default", name, {"processor": default}, group="load")


@applies_to(processor)
def test_processor_class(checkpoint, observe):
    """That the image processor loads, or what loading it raises."""
    observe.attempt(
        "load/processor/class",
        lambda: (
            type(transformers.AutoImageProcessor.from_pretrained(checkpoint.path, **SAFE)).__name__
        ),
        group="load",
        reproduce="type(transformers.AutoImageProcessor.from_pretrained(checkpoint)).__name__",
    )


def see(observe, name, expression, processor, **options) -> None:
    """Record the pixels an expression gives."""
    names = {"processor": processor, "torch": torch}
    observe.evaluate(
        name, expression, names, group="numbers", tolerance=1e-5, read=tensor, **options
    )


def tensor(pixels):
    """Pixels as one tensor, whatever they came as."""
    return torch.stack([torch.as_tensor(image) for image in pixels])


@applies_to(processor)
def test_forms(processor, observe):
    """Modes, arrays, tensors, batches and what is no image."""
    for name, form in FORMS.items():
        see(observe, f"vision/pixels of {name}", PIXELS.format(form, TENSORS), processor)
        colours = {**TENSORS, "do_convert_rgb": True}
        if name.startswith("mode"):
            see(
                observe,
                f"vision/pixels of {name} in colour",
                PIXELS.format(form, colours),
                processor,
            )


@applies_to(processor)
def test_options(processor, observe):
    """Each option of a call, alone."""
    for options in OPTIONS:
        name = ", ".join(f"{option}={value!r}" for option, value in options.items())
        given = {**TENSORS, **options}
        see(observe, f"vision/pixels with {name}", PIXELS.format(IMAGE, given), processor)


@applies_to(processor)
def test_loading(checkpoint, processor, observe, tmp_path):
    """Each way of loading it, its settings, and what saving and loading it again keeps."""
    for setting in SETTINGS:
        observe.attempt(
            f"load/processor/{setting}",
            lambda s=setting: plain_setting(getattr(processor, s)),
            group="load",
            reproduce=f"processor.{setting}",
        )
    ways = [(way, loader, {}) for way, loader in LOADERS.items()]
    for options in LOADINGS:
        said = ", ".join(f"{option}={value!r}" for option, value in options.items())
        ways.append((f"with {said}", "transformers.AutoImageProcessor", options))
    for way, loader, options in ways:
        called = f"{loader}.from_pretrained(checkpoint, **{options})"
        seen = PIXELS.format(IMAGE, TENSORS)

        def pixels(loader=loader, options=options, seen=seen):
            made = getattr(transformers, loader.split(".")[1]).from_pretrained(
                checkpoint.path, **SAFE, **options
            )
            return tensor(eval(seen, {"processor": made}))

        observe.attempt(
            f"vision/pixels, loaded {way}",
            pixels,
            group="numbers",
            tolerance=1e-5,
            reproduce=f"processor = {called}\n{seen}",
        )
    processor.save_pretrained(tmp_path)
    saved = transformers.AutoImageProcessor.from_pretrained(tmp_path, **SAFE)
    see(observe, "vision/pixels, saved and reloaded", PIXELS.format(IMAGE, TENSORS), saved)


def plain_setting(value):
    """A size as the files write it, whatever class holds it; any other setting as it is."""
    if type(value).__name__ == "SizeDict":
        value = vars(value)
    return {k: v for k, v in value.items() if v is not None} if hasattr(value, "items") else value
