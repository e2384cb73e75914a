"""Faults in what tokenizers make of texts to be learnt."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

CALL = "tokenization_utils_base:PreTrainedTokenizerBase.__call__"

FAULTS = [
    Fault(
        "targets-are-not-labels",
        "A target's ids are not given as labels.",
        edit(CALL, ('encodings["labels"] =', 'encodings["target"] =')),
        ("test_targets_are_texts_too",),
        "t5-gated",
    ),
    Fault(
        "targets-as-long-as-texts",
        "A target is cut where its text is.",
        edit(
            CALL,
            (
                "max_length=max_target_length if max_target_length is not None else max_length",
                "max_length=max_length",
            ),
        ),
        ("test_targets_have_a_maximum_of_their_own",),
        "t5-gated",
    ),
    Fault(
        "target-language-stays",
        "A target that is encoded alone leaves its language on.",
        edit(
            CALL,
            (
                'if hasattr(self, "_switch_to_input_mode"):\n            self._switch_to_input_mode()\n\n    if text_target is None',
                "pass\n\n    if text_target is None",
            ),
        ),
        ("test_target_text_has_the_target_language",),
        "mbart-transliterate",
    ),
    Fault(
        "targets-with-the-texts-pair",
        "Labels are made of the target and the text's second one.",
        edit(CALL, ("text_pair=text_pair_target", "text_pair=text_pair")),
        ("test_targets_are_texts_too",),
        "bert-masked",
    ),
]
