"""What a configuration does not say."""

from __future__ import annotations

from fixtures.applicability import any_model, applies_to, model_type
from fixtures.lazy import transformers
from fixtures.published import PUBLISHED


@applies_to(any_model, model_type(*PUBLISHED))
def test_what_is_not_said_is_as_published(checkpoint, expect):
    """A field that a configuration leaves out, or an empty one, has its family's published value."""
    family, stated = checkpoint.model_type, checkpoint.stated()
    aliases = transformers.CONFIG_MAPPING[family].attribute_map
    said = {*stated, *(aliases[name] for name in stated if name in aliases)}
    said |= {"num_labels"} if "id2label" in stated else set()
    for settings, given in ((stated, said), ({"model_type": family}, set())):
        config = transformers.AutoConfig.for_model(**settings)
        call = f"AutoConfig.for_model(**{settings})"
        for name, wanted in PUBLISHED[family].items():
            if name not in given:
                expect.equal(getattr(config, name, "absent"), wanted, f"{call}.{name}")
