"""Faults in generation settings, streamers, pipeline options and image sizes."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import MIXIN

FAULTS = [
    Fault(
        "models-settings-win",
        "The model's generation settings win over those given.",
        edit(
            MIXIN + "_prepare_generation_config",
            (
                "generation_config.update(**self.generation_config.to_dict(), defaults_only=True, allow_custom_entries=True)",
                "generation_config.update(**self.generation_config.to_dict(), allow_custom_entries=True)",
            ),
        ),
        ("test_arguments_win_over_settings",),
        "gpt2-counting",
    ),
    Fault(
        "models-settings-forgotten",
        "The model's generation settings are forgotten.",
        edit(
            MIXIN + "_prepare_generation_config",
            (
                "generation_config.update(**self.generation_config.to_dict(), defaults_only=True, allow_custom_entries=True)",
                "pass",
            ),
        ),
        ("test_arguments_win_over_settings",),
        "llama-chat",
    ),
    Fault(
        "given-settings-changed",
        "generate changes the configuration it is given.",
        edit(
            MIXIN + "_prepare_generation_config",
            ("generation_config = copy.deepcopy(generation_config)", "pass"),
        ),
        ("test_arguments_win_over_settings",),
        "bart-reverse",
    ),
    Fault(
        "fifty-tokens-by-default",
        "generate takes fifty tokens when told nothing.",
        edit(
            MIXIN + "_prepare_generated_length",
            (
                "generation_config.max_length = generation_config.max_length + input_ids_length",
                "generation_config.max_length = 50 + input_ids_length",
            ),
        ),
        ("test_twenty_tokens_unless_told",),
        "gpt2-random",
    ),
    Fault(
        "guidance-backwards",
        "Guidance moves towards the other prompt.",
        edit(
            "generation.logits_process:UnbatchedClassifierFreeGuidanceLogitsProcessor.__call__",
            (
                "self.guidance_scale * (scores - unconditional_logits) + unconditional_logits",
                "self.guidance_scale * (unconditional_logits - scores) + scores",
            ),
        ),
        ("test_guidance_moves_away_from_another_prompt",),
        "gpt2-random",
    ),
    Fault(
        "guidance-forgets-its-past",
        "Guidance forgets the tokens since the prompt.",
        edit(
            "generation.logits_process:UnbatchedClassifierFreeGuidanceLogitsProcessor.get_unconditional_logits",
            (
                'past_key_values=self.unconditional_context["past_key_values"]',
                "past_key_values=None",
            ),
        ),
        ("test_guidance_moves_away_from_another_prompt",),
        "llama-chat",
    ),
    Fault(
        "streamer-drops-the-end",
        "A streamer never prints the last word.",
        edit(
            "generation.streamers:TextStreamer.end",
            ("printable_text = text[self.print_len :]", 'printable_text = ""'),
        ),
        ("test_streamers_write_the_text",),
        "gpt2-counting",
    ),
    Fault(
        "streamer-repeats",
        "A streamer prints words twice.",
        edit(
            "generation.streamers:TextStreamer.put",
            (
                'text[self.print_len : text.rfind(" ") + 1]\n        self.print_len += len(printable_text)',
                'text[self.print_len : text.rfind(" ") + 1]',
            ),
        ),
        ("test_streamers_write_the_text",),
        "llama-chat",
    ),
    Fault(
        "stop-string-one-late",
        "A stop string stops one token too late.",
        edit(
            "generation.stopping_criteria:StopStringCriteria.__call__",
            (
                "input_ids = input_ids[:, -self.maximum_token_len :]",
                "input_ids = input_ids[:, :-1][:, -self.maximum_token_len :]",
            ),
        ),
        ("test_stop_strings_stop",),
        "gpt2-counting",
    ),
    Fault(
        "function-ignored",
        "function_to_apply is ignored.",
        edit(
            "pipelines.text_classification:TextClassificationPipeline.postprocess",
            (
                "if function_to_apply == ClassificationFunction.SIGMOID:",
                "function_to_apply = ClassificationFunction.SOFTMAX\n    if function_to_apply == ClassificationFunction.SIGMOID:",
            ),
        ),
        ("test_function_to_apply_is_applied",),
        "bert-sentiment",
    ),
    Fault(
        "top-k-worst",
        "top_k of a text classification keeps the worst.",
        edit(
            "pipelines.text_classification:TextClassificationPipeline.postprocess",
            ("reverse=True", "reverse=False"),
        ),
        ("test_function_to_apply_is_applied",),
        "roberta-sentiment",
    ),
    Fault(
        "pair-forgotten",
        "A text's second text is not classified.",
        edit(
            "pipelines.text_classification:TextClassificationPipeline.preprocess",
            ("return self.tokenizer(**inputs,", "return self.tokenizer(inputs['text'],"),
        ),
        ("test_pairs_are_classified_as_pairs",),
        "bert-sentiment",
    ),
    Fault(
        "zero-shot-contradicts",
        "Zero-shot classification scores by contradiction.",
        edit(
            "pipelines.zero_shot_classification:ZeroShotClassificationPipeline.postprocess",
            (
                "entail_logits = reshaped_outputs[..., self.entailment_id]",
                "entail_logits = reshaped_outputs[..., 0]",
            ),
        ),
        ("test_zero_shot_classification",),
        "bert-sentiment",
    ),
    Fault(
        "zero-shot-labels-together",
        "Zero-shot classification of several labels lets them compete.",
        edit(
            "pipelines.zero_shot_classification:ZeroShotClassificationPipeline.postprocess",
            ("if multi_label or len(candidate_labels) == 1:", "if len(candidate_labels) == 1:"),
        ),
        ("test_zero_shot_classification",),
        "distilbert-sentiment",
    ),
    Fault(
        "entity-score-of-one-word",
        "An entity's score is that of its first word.",
        edit(
            "pipelines.token_classification:TokenClassificationPipeline.group_sub_entities",
            ('np.nanmean([entity["score"] for entity in entities])', 'entities[0]["score"]'),
        ),
        ("test_entity_scores_are_their_words",),
        "bert-cased-tagger",
    ),
    Fault(
        "word-score-of-the-last-piece",
        "A word's score is that of its last piece.",
        edit(
            "pipelines.token_classification:TokenClassificationPipeline.aggregate_word",
            ('scores = entities[0]["scores"]', 'scores = entities[-1]["scores"]'),
        ),
        ("test_entity_scores_are_their_words",),
        "bert-cased-tagger",
    ),
    Fault(
        "ignored-labels-ignored",
        "ignore_labels is ignored.",
        edit(
            "pipelines.token_classification:TokenClassificationPipeline.postprocess",
            (
                'if entity.get("entity", None) not in ignore_labels',
                'if entity.get("entity", None) != "O"',
            ),
        ),
        ("test_ignored_labels_are_left_out",),
        "bert-cased-tagger",
    ),
    Fault(
        "assistant-called-user",
        "A pipeline's answer in a conversation is the user's.",
        edit(
            "pipelines.text_generation:TextGenerationPipeline.postprocess",
            ('"role": "assistant"', '"role": "user"'),
        ),
        ("test_conversations_are_continued",),
        "llama-chat",
    ),
    Fault(
        "prompts-out-of-order",
        "The prompts of a list are answered in reverse.",
        edit(
            "pipelines.base:Pipeline.__call__",
            ("return list(final_iterator)", "return list(final_iterator)[::-1]"),
        ),
        ("test_prompts_in_a_list_are_each_continued",),
        "gpt2-counting",
    ),
    Fault(
        "shortest-edge-longest",
        "shortest_edge sets the longer side.",
        edit(
            "image_transforms:get_resize_output_image_size",
            ("if width <= height", "if width > height"),
        ),
        ("test_shortest_edge_keeps_the_shape",),
        "vit-shapes",
    ),
    Fault(
        "crop-frame-at-the-corner",
        "An image smaller than its crop is put into the corner.",
        edit(
            "image_transforms:center_crop",
            ("top_pad = ceil((new_height - orig_height) / 2)", "top_pad = 0"),
        ),
        ("test_small_images_are_framed",),
        "vit-shapes",
    ),
    Fault(
        "stop-string-of-two-tokens",
        "A stop string is looked for in the last two tokens.",
        edit(
            "generation.stopping_criteria:StopStringCriteria.__call__",
            ("-self.maximum_token_len :", "-2:"),
        ),
        ("test_stop_strings_stop",),
        "gpt2-counting",
    ),
    Fault(
        "streamer-prints-the-second-prompt",
        "A TextStreamer used again prints the prompt it should skip.",
        edit(
            "generation.streamers:TextStreamer.end",
            ("self.next_tokens_are_prompt = True", "pass"),
        ),
        ("test_streamers_write_the_text",),
        "gpt2-counting",
    ),
    Fault(
        "assisted-scores-of-the-token-before",
        "Scores of assisted decoding belong to the token before.",
        edit(
            MIXIN + "_assisted_decoding",
            ("tuple(new_logits[:, i, :]", "tuple(new_logits[:, max(i - 1, 0), :]"),
        ),
        ("test_drafted_tokens_change_nothing",),
        "gpt2-counting",
    ),
]
