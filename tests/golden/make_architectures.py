"""Makes tests/golden/architecture: a small random model of each family in model_type's own form, and what
transformers (float32, one text at a time, no padding) makes of some texts.

    python tests/golden/make_architectures.py [FAMILY ...]      (versions: tests/golden/requirements.txt)

Each folder holds a model as transformers saves it and, beside it, texts.json (texts, their ids, max_length) and
expected.safetensors: hidden.N (tokens x dim) of the last layer and mean.N for text N. Where the folder has
modules.json, embedding.N is what sentence-transformers' encode gives, with the prompt named in texts.json.
Before anything is written, each model is also run with all texts padded in one batch, on the left and on the
right: the states of the real tokens must stay the same.
"""

import inspect
import json
import os
import shutil
import sys

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, LayerNorm, Normalize, Pooling, Transformer
from tokenizers import BertWordPieceTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, PreTrainedTokenizerFast

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "architecture")
LONGEST = 36
TEXTS = [
    "the pump stopped again after two hours.",
    "no",
    "",
    "bearing noise, oil leak [PAD] and a hot casing: call me at once!",
    "a much longer report follows. the operator wrote that the valve had been replaced in spring, that the pump "
    "ran dry on tuesday, and that nobody had looked at the filter for at least a year.",
    "a",
]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD_SECOND = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
BOTH, FIRST, LAST, NONE = "[CLS] $A [SEP]", "[CLS] $A", "$A [SEP]", None
SMALL = dict(vocab_size=96, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
             max_position_embeddings=48)
LLAMA = dict(SMALL, num_key_value_heads=2, bos_token_id=2, eos_token_id=3, pad_token_id=0)
GEMMA = dict(LLAMA, head_dim=6, query_pre_attn_scalar=9, sliding_window=8, num_hidden_layers=3)


def turns(kind="default", theta=10000.0, **more):
    return dict(rope_type=kind, rope_theta=theta, **more)


# name: (model class, config class, config, special tokens, template)
FAMILIES = {
    "distilbert": ("DistilBertModel", dict(vocab_size=96, dim=16, n_layers=2, n_heads=4, hidden_dim=24,
                                           max_position_embeddings=48), TOKENS, BOTH),
    "roberta": ("RobertaModel", dict(SMALL, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                                     layer_norm_eps=1e-5), PAD_SECOND, BOTH),
    "xlm_roberta": ("XLMRobertaModel", dict(SMALL, type_vocab_size=1, pad_token_id=1, bos_token_id=0,
                                            eos_token_id=2, max_position_embeddings=38), PAD_SECOND, BOTH),
    "albert": ("AlbertModel", dict(SMALL, embedding_size=8, num_hidden_layers=3, num_hidden_groups=1), TOKENS, BOTH),
    "electra": ("ElectraModel", dict(SMALL, embedding_size=12), TOKENS, BOTH),
    "mpnet": ("MPNetModel", dict(SMALL, relative_attention_num_buckets=32, pad_token_id=1), PAD_SECOND, BOTH),
    "deberta_v2": ("DebertaV2Model", dict(SMALL, relative_attention=True, position_buckets=8, type_vocab_size=0,
                                          norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p",
                                          position_biased_input=False, max_relative_positions=-1), TOKENS, BOTH),
    "deberta_v2_own_keys": ("DebertaV2Model", dict(SMALL, relative_attention=True, type_vocab_size=2,
                                                   pos_att_type=["c2p", "p2c"], max_relative_positions=12,
                                                   position_biased_input=True), TOKENS, BOTH),
    "deberta": ("DebertaModel", dict(SMALL, relative_attention=True, pos_att_type="c2p|p2c", type_vocab_size=0,
                                     max_relative_positions=-1, position_biased_input=False), TOKENS, BOTH),
    "modernbert": ("ModernBertModel", dict(SMALL, num_hidden_layers=4, local_attention=8, pad_token_id=0,
                                           bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3),
                   TOKENS, BOTH),
    "nomic_bert": ("NomicBertModel", dict(SMALL), TOKENS, BOTH),
    "gpt_neox": ("GPTNeoXModel", dict(SMALL, num_attention_heads=2, bos_token_id=2, eos_token_id=2), TOKENS, NONE),
    "gpt_neox_serial": ("GPTNeoXModel", dict(SMALL, bos_token_id=2, eos_token_id=2, use_parallel_residual=False,
                                             attention_bias=False, hidden_act="gelu_fast",
                                             rope_parameters=turns(partial_rotary_factor=0.5)), TOKENS, NONE),
    "opt": ("OPTModel", dict(vocab_size=96, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, ffn_dim=24,
                             word_embed_proj_dim=16, max_position_embeddings=48, pad_token_id=1, bos_token_id=0,
                             eos_token_id=2), PAD_SECOND, FIRST),
    "opt_post": ("OPTModel", dict(vocab_size=96, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                                  ffn_dim=24, word_embed_proj_dim=16, max_position_embeddings=48, pad_token_id=1,
                                  do_layer_norm_before=False, bos_token_id=0, eos_token_id=2), PAD_SECOND, FIRST),
    "bloom": ("BloomModel", dict(vocab_size=96, hidden_size=24, n_layer=2, n_head=6, bos_token_id=2, eos_token_id=3,
                                 pad_token_id=0), TOKENS, NONE),
    "phi": ("PhiModel", dict(SMALL, num_key_value_heads=2, bos_token_id=2, eos_token_id=3), TOKENS, NONE),
    "phi3": ("Phi3Model", dict(LLAMA, sliding_window=7, original_max_position_embeddings=48), TOKENS, FIRST),
    "llama": ("LlamaModel", dict(LLAMA, attention_bias=True, mlp_bias=True, head_dim=6, rope_parameters=turns(
        "llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
              TOKENS, FIRST),
    "mistral": ("MistralModel", dict(LLAMA, sliding_window=7), TOKENS, FIRST),
    "qwen2": ("Qwen2Model", dict(LLAMA, use_sliding_window=True, sliding_window=5, max_window_layers=1), TOKENS, NONE),
    "qwen3": ("Qwen3Model", dict(LLAMA, head_dim=8, rope_parameters=turns(theta=1e6)), TOKENS, LAST),
    "gemma2": ("Gemma2Model", dict(GEMMA, attn_logit_softcapping=5.0), TOKENS, FIRST),
    "gemma3_text": ("Gemma3TextModel", dict(GEMMA, layer_types=["sliding_attention", "sliding_attention",
                                                                "full_attention"]), TOKENS, FIRST),
    "gemma3_both_ways": ("Gemma3TextModel", dict(GEMMA, use_bidirectional_attention=True), TOKENS, BOTH),
    "t5": ("T5EncoderModel", dict(vocab_size=96, d_model=16, num_layers=2, num_heads=3, d_kv=6, d_ff=24,
                                  relative_attention_num_buckets=8, relative_attention_max_distance=20,
                                  pad_token_id=0, eos_token_id=3), TOKENS, LAST),
    "mt5": ("MT5EncoderModel", dict(vocab_size=96, d_model=16, num_layers=2, num_heads=4, d_kv=4, d_ff=24,
                                    pad_token_id=0, eos_token_id=3), TOKENS, LAST),
    "deberta_v2_convolution": ("DebertaV2Model", dict(
        SMALL, embedding_size=12, relative_attention=True, position_buckets=8, type_vocab_size=0,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False,
        max_relative_positions=-1, conv_kernel_size=5, conv_groups=2, conv_act="gelu"), TOKENS, BOTH),
    "deberta_v2_xlarge": ("DebertaV2Model", dict(  # as the published one, but small
        SMALL, attention_head_size=4, relative_attention=True, position_buckets=8, type_vocab_size=0,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False,
        max_relative_positions=-1, conv_kernel_size=3, conv_act="gelu"), TOKENS, BOTH),
    "opt_narrow": ("OPTModel", dict(vocab_size=96, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                                    ffn_dim=24, word_embed_proj_dim=10, max_position_embeddings=48, pad_token_id=1,
                                    do_layer_norm_before=False, bos_token_id=0, eos_token_id=2), PAD_SECOND, FIRST),
    "opt_wide": ("OPTModel", dict(vocab_size=96, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                                  ffn_dim=24, word_embed_proj_dim=20, max_position_embeddings=48, pad_token_id=1,
                                  bos_token_id=0, eos_token_id=2), PAD_SECOND, FIRST),
    "phi_head_norms": ("PhiModel", dict(SMALL, qk_layernorm=True, bos_token_id=2, eos_token_id=3), TOKENS, NONE),
    "phi3_longrope": ("Phi3Model", dict(LLAMA, original_max_position_embeddings=16, hidden_size=24, rope_parameters=turns(
        "longrope", short_factor=[1.0, 1.3, 2.5], long_factor=[1.1, 3.0, 6.0])), TOKENS, FIRST),
    "albert_groups": ("AlbertModel", dict(SMALL, embedding_size=8, num_hidden_layers=4, num_hidden_groups=2,
                                          inner_group_num=2), TOKENS, BOTH),
}
PROMPTS = {"query": "the report: ", "passage": "at once: "}
# name: (poolings, steps, unit length, default prompt, prompt asked for); a step is a dense layer (outputs,
# activation) or one whose input is added (outputs, activation, True), or "norm"
HEADS = {
    "xlm_roberta": (["mean"], [], True, None, "query"),
    "roberta": (["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"], [], False, None, None),
    "distilbert": (["max", "mean"], [(10, torch.nn.Tanh())], False, None, None),
    "qwen3": (["lasttoken"], [], True, "passage", None),
    "gemma3_both_ways": (["mean"], [(20, torch.nn.Identity()), (12, torch.nn.Identity())], True, None, "passage"),
    "t5": (["mean"], [(12, torch.nn.Identity())], True, None, None),
    "albert_groups": (["mean"], [(16, torch.nn.Tanh(), True), "norm", (12, torch.nn.ReLU(), True)], False, None, None),
}


def randomise(model, seed):
    """Every parameter away from its initial value, so that a forgotten one shows."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        centre = 1.0 if p.dim() == 1 and name.endswith("weight") else 0.0
        p.data = centre + noise * (0.3 if p.dim() == 1 else 1.2 / p.shape[-1] ** 0.5)
    return model.eval()


def tokenizer(folder, special, template):
    t = BertWordPieceTokenizer(lowercase=True)
    t.train_from_iterator(TEXTS, vocab_size=96, min_frequency=1, show_progress=False, special_tokens=special)
    ids = [(s, special.index(s)) for s in ("[CLS]", "[SEP]")]
    t._tokenizer.post_processor = TemplateProcessing(single=template or "$A", special_tokens=ids)
    fast = PreTrainedTokenizerFast(tokenizer_object=t._tokenizer, model_max_length=LONGEST, pad_token="[PAD]",
                                   unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    fast.save_pretrained(folder)
    return fast


def states(model, ids, mask=None):
    extra = {}
    if mask is not None:
        extra["attention_mask"] = torch.tensor(mask)
        counts = type(model).__name__ in ("RobertaModel", "XLMRobertaModel", "CamembertModel", "MPNetModel")
        if "position_ids" in inspect.signature(model.forward).parameters and not counts:
            extra["position_ids"] = (torch.tensor(mask).cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        return model(input_ids=torch.tensor(ids), **extra).last_hidden_state.numpy()


def check_padding(name, model, ids, hidden):
    pad = model.config.pad_token_id if model.config.pad_token_id is not None else 0
    width = max(map(len, ids))
    for left in (False, True):
        if left and name == "distilbert":  # its positions cannot be moved
            continue
        if name == "phi3_longrope":  # a long neighbour changes a short text's angles
            continue
        rows = [[pad] * (width - len(x)) + x if left else x + [pad] * (width - len(x)) for x in ids]
        mask = [[0] * (width - len(x)) + [1] * len(x) if left else [1] * len(x) + [0] * (width - len(x)) for x in ids]
        # MPNet and RoBERTa count every [PAD] as padding, masked or not, as they do without padding
        batch = states(model, rows, mask)
        for x, h, one in zip(ids, batch, hidden):
            real = h[width - len(x):] if left else h[:len(x)]
            worst = np.abs(real - one).max()
            assert worst < 1e-4, f"{name}: padding on the {'left' if left else 'right'} changes {worst}"


def write(folder, name, value):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, indent=0, ensure_ascii=False)
        f.write("\n")


def tidy(folder):
    for root, _, names in os.walk(folder):
        for name in names:
            if name in ("special_tokens_map.json", "generation_config.json", "README.md"):
                os.remove(os.path.join(root, name))


def add_head(name, folder, arrays):
    poolings, steps, unit, default, asked = HEADS[name]
    transformer = Transformer(folder, max_seq_length=LONGEST, model_args={"attn_implementation": "eager"})
    dim = transformer.get_word_embedding_dimension()
    modules = [transformer, Pooling(dim, pooling_mode=tuple(poolings))]
    width = dim * len(poolings)
    for step in steps:
        if step == "norm":
            modules.append(randomise(LayerNorm(width), 78))
            continue
        outputs, activation, *residual = step
        modules.append(randomise(Dense(width, outputs, bias=activation.__class__.__name__ == "Tanh",
                                       activation_function=activation, use_residual=bool(residual)), 77))
        width = outputs
    if unit:
        modules.append(Normalize())
    model = SentenceTransformer(modules=modules, prompts=PROMPTS, default_prompt_name=default, device="cpu")
    vectors = model.encode(TEXTS, prompt_name=asked, batch_size=1)
    arrays.update({f"embedding.{i}": v for i, v in enumerate(vectors)})
    saved = folder + ".saved"
    model.save(saved, create_model_card=False)
    for entry in os.listdir(saved):
        target = os.path.join(folder, entry)
        if os.path.isdir(os.path.join(saved, entry)):
            shutil.copytree(os.path.join(saved, entry), target)
        elif entry in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
            shutil.copy(os.path.join(saved, entry), target)
    shutil.rmtree(saved)
    return asked


def make(name, seed):
    kind, config, special, template = FAMILIES[name]
    folder = os.path.join(ROOT, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model_class = getattr(transformers, kind)
    t = tokenizer(folder, special, template)
    assert len(t) <= 96
    model = randomise(model_class(model_class.config_class(**config)), seed)
    model.save_pretrained(folder)
    loader = model_class if "Encoder" in kind else AutoModel
    model = loader.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = [t(text, truncation=True, max_length=LONGEST)["input_ids"] for text in TEXTS]
    empty = getattr(model.config, "bos_token_id", None)
    if empty is None:
        empty = model.config.eos_token_id
    if isinstance(empty, list):
        empty = empty[0]
    run = [x or [empty] for x in ids]
    hidden = [states(model, [x])[0] for x in run]
    check_padding(name, model, run, hidden)
    arrays = {}
    for i, h in enumerate(hidden):
        arrays.update({f"hidden.{i}": h, f"mean.{i}": h.mean(0)})
    asked = add_head(name, folder, arrays) if name in HEADS else None
    save_file({k: np.ascontiguousarray(v, np.float32) for k, v in arrays.items()},
              os.path.join(folder, "expected.safetensors"))
    write(folder, "texts.json", {"max_length": LONGEST, "prompt": asked, "texts": TEXTS, "ids": ids})
    tidy(folder)


def turning():
    """Configs as people have them, old spelling and new, and the rotary frequencies transformers makes of them."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
    from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXRotaryEmbedding
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
    from transformers.models.modernbert.modeling_modernbert import ModernBertRotaryEmbedding
    from transformers.models.phi.modeling_phi import PhiRotaryEmbedding
    from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding
    sizes = dict(SMALL, hidden_size=64, num_attention_heads=2, max_position_embeddings=256)
    llama3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
    yarn = dict(factor=4.0, original_max_position_embeddings=64)
    cases = [("llama", LlamaRotaryEmbedding, x) for x in (
        {}, {"rope_theta": 5e5}, {"head_dim": 20},
        {"rope_theta": 5e5, "rope_scaling": dict(rope_type="llama3", **llama3)},
        {"rope_parameters": turns("llama3", 5e5, **llama3)},
        {"rope_scaling": {"type": "linear", "factor": 2.5}}, {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        {"rope_scaling": dict(rope_type="yarn", **yarn)},
        {"rope_parameters": turns("yarn", beta_fast=20.0, beta_slow=2.0, truncate=False, **yarn)},
        {"rope_scaling": dict(rope_type="yarn", mscale=0.7, mscale_all_dim=0.4, **yarn)},
        {"rope_scaling": dict(rope_type="yarn", attention_factor=1.5, **yarn)})]
    cases += [("gpt_neox", GPTNeoXRotaryEmbedding, x) for x in (
        {}, {"rotary_pct": 0.5, "rotary_emb_base": 25000}, {"rope_scaling": {"type": "linear", "factor": 2.0}})]
    cases += [("phi", PhiRotaryEmbedding, x) for x in ({}, {"partial_rotary_factor": 0.25, "rope_theta": 20000.0})]
    cases += [("modernbert", ModernBertRotaryEmbedding, x) for x in (
        {}, {"global_rope_theta": 80000.0, "local_rope_theta": 5000.0})]
    cases += [("gemma3_text", Gemma3RotaryEmbedding, x) for x in (
        {}, {"rope_theta": 5e5, "rope_local_base_freq": 7000.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0}})]
    factors = [dict(short_factor=[1 + i / 7 for i in range(n)], long_factor=[1 + i * i / 3 for i in range(n)])
               for n in (16, 12)]
    cases += [("phi3", Phi3RotaryEmbedding, dict(original_max_position_embeddings=64, pad_token_id=0, **x)) for x in (
        {"rope_scaling": dict(type="longrope", **factors[0])},
        {"rope_scaling": dict(rope_type="longrope", factor=2.0, **factors[0]), "rope_theta": 5e5},
        {"rope_parameters": turns("longrope", attention_factor=1.25, partial_rotary_factor=0.75,
                                  original_max_position_embeddings=32, **factors[1])})]
    out = []
    for model_type, rotary, more in cases:
        config = dict(sizes, model_type=model_type, **more)
        if model_type == "gemma3_text":
            config.update(num_key_value_heads=2, num_hidden_layers=6, head_dim=32)
        r = rotary(transformers.AutoConfig.for_model(**json.loads(json.dumps(config))))
        kinds = [""] if hasattr(r, "inv_freq") else ["full_attention_", "sliding_attention_"]
        out.append({"config": config, "inverse": [getattr(r, k + "inv_freq").tolist() for k in kinds],
                    "scale": [float(getattr(r, k + "attention_scaling")) for k in kinds]})
        if model_type == "phi3":
            old = r.config.rope_parameters["original_max_position_embeddings"]
            longer, _ = ROPE_INIT_FUNCTIONS["longrope"](r.config, None, seq_len=old + 1)
            out[-1].update(long_from=old, longer=longer.tolist())
    write(ROOT, "rotary.json", out)


def main():
    os.makedirs(ROOT, exist_ok=True)
    turning()
    for i, name in enumerate(FAMILIES):
        if len(sys.argv) < 2 or name in sys.argv[1:]:
            print(name, flush=True)
            make(name, 100 + i)


if __name__ == "__main__":
    main()
