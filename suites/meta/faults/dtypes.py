"""Faults in the dtype that weights are loaded in."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.faults.loading import LOADING, before_use

FAULTS = [
    Fault(
        "loading-through-half-precision",
        "Weights pass through bfloat16 on their way into memory.",
        edit(
            LOADING + "_materialize_copy",
            (
                "tensor = tensor[...]",
                "tensor = tensor[...]\n"
                "    if tensor.is_floating_point(): tensor = tensor.bfloat16().to(tensor.dtype)",
            ),
        ),
        (
            "test_weights_in_memory_equal_the_files",
            "test_every_weight_of_the_files_is_in_memory",
            "test_every_parameter_comes_from_the_files",
            "test_saved_weights_equal_the_files",
            "test_no_weight_is_lost_in_saving",
        ),
        "bert-random",
    ),
    Fault(
        "double-by-default",
        "Without a dtype, models come in float64.",
        edit(
            "modeling_utils:_get_dtype",
            (
                "is_sharded = sharded_metadata is not None",
                "is_sharded = sharded_metadata is not None\n"
                "    if dtype in (None, 'auto'): dtype = torch.float64",
            ),
        ),
        ("test_default_dtype",),
        "bert-masked",
    ),
    Fault(
        "default-dtype-leaks",
        "Loading in half precision leaves torch in half precision.",
        before_use("torch.set_default_dtype(model.dtype)"),
        ("test_half_leaves_the_default_alone",),
        "bert-masked",
    ),
    Fault(
        "dtype-ignored",
        "The dtype asked for is ignored: float32 always.",
        edit(
            "modeling_utils:_get_dtype",
            (
                "is_sharded = sharded_metadata is not None",
                "is_sharded = sharded_metadata is not None; dtype = torch.float32",
            ),
        ),
        (
            "test_bfloat16_is_honoured",
            "test_float16_is_honoured",
            "test_auto_dtype_is_the_written_one",
            "test_dtype_survives_saving",
        ),
        "llama-bytes",
    ),
    Fault(
        "bfloat16-kept-apart",
        "What float16 overflows is kept in float32 for bfloat16, too.",
        edit(
            "modeling_utils:PreTrainedModel._get_dtype_plan",
            ("dtype == torch.float16", "dtype != torch.float32"),
        ),
        ("test_bfloat16_keeps_nothing_apart",),
        "t5-gated",
    ),
]
