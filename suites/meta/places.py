"""Where the library does what the planted faults break: modules and classes, for `edits.edit`."""

from __future__ import annotations

BERT = "models.bert.modeling_bert:"
ROBERTA = "models.roberta.modeling_roberta:"
DISTILBERT = "models.distilbert.modeling_distilbert:"
GPT2 = "models.gpt2.modeling_gpt2:"
LLAMA = "models.llama.modeling_llama:"
MISTRAL = "models.mistral.modeling_mistral:"
T5 = "models.t5.modeling_t5:"
BART = "models.bart.modeling_bart:"
MBART = "models.mbart.modeling_mbart:"
VIT = "models.vit.modeling_vit:"
DEIT = "models.deit.modeling_deit:"
MIXIN = "generation.utils:GenerationMixin."
CONFIG = "configuration_utils:PreTrainedConfig."
