"""Random models of every family, larger than the golden ones, made by transformers; then the same texts through
transformers (alone, and padded on the left and on the right), sentence-transformers and genchi.

The recipes are those of tests/golden/make_architectures.py with widths, layers and vocabulary made larger, and a few
more; tokenizers of each family's kind are trained on the project's own documents.
"""

import glob
import importlib.util
import os
import random
import tempfile

import numpy as np
import torch
import transformers
from library import Library
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel, PreTrainedTokenizerFast

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LONGEST = 200  # tokens; also the last position there is
TOLERANCE = 1e-4
EMPTY = ("bos_token_id", "eos_token_id", "pad_token_id")  # stands in for a text of no tokens
POOLINGS = ["mean", "cls", "lasttoken", "max", "weightedmean", "mean_sqrt_len_tokens"]


def golden():
    spec = importlib.util.spec_from_file_location("golden", os.path.join(ROOT, "tests/golden/make_architectures.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


G = golden()
MORE = {
    "bert": ("BertModel", dict(G.SMALL), G.TOKENS, G.BOTH),
    "camembert": ("CamembertModel", dict(G.SMALL, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2),
                  G.PAD_SECOND, G.BOTH),
    "gpt2": ("GPT2Model", dict(vocab_size=96, n_embd=16, n_layer=2, n_head=4, n_positions=48, bos_token_id=2,
                               eos_token_id=2), G.TOKENS, G.NONE),
    "mistral_without_window": ("MistralModel", dict(G.LLAMA, sliding_window=None), G.TOKENS, G.FIRST),
    "qwen2_without_window": ("Qwen2Model", dict(G.LLAMA), G.TOKENS, G.NONE),
}
BYTES = {"gpt2", "roberta", "opt", "bloom", "gpt", "phi", "qwen2", "qwen3", "llama", "modernbert", "deberta"}
PIECES = {"mistral", "gemma2", "gemma3", "phi3"}
UNIGRAM = {"xlm", "t5", "mt5", "albert", "camembert"}
# how often larger each setting becomes
TIMES = {8: ["hidden_size", "dim", "d_model", "embedding_size", "word_embed_proj_dim", "intermediate_size", "hidden_dim",
             "ffn_dim", "d_ff", "n_embd", "sliding_window", "local_attention", "original_max_position_embeddings"],
         2: ["num_hidden_layers", "n_layers", "num_layers", "n_layer", "num_attention_heads", "n_heads", "n_head",
             "num_heads", "num_key_value_heads"],
         4: ["head_dim", "query_pre_attn_scalar", "d_kv", "position_buckets", "relative_attention_max_distance",
             "attention_head_size"]}


def enlarge(name, kind, config):
    """The config with larger sizes, and positions for LONGEST tokens exactly where they are learned."""
    c = dict(config)
    for times, keys in TIMES.items():
        for key in keys:
            if isinstance(c.get(key), int):
                c[key] *= times
    for key in ("max_position_embeddings", "n_positions"):
        if key in c:
            counted = kind in ("RobertaModel", "XLMRobertaModel", "CamembertModel", "MPNetModel")
            c[key] = LONGEST + 2 * counted
    if c.get("max_relative_positions", -1) > 0:
        c["max_relative_positions"] *= 4
    if "relative_attention_num_buckets" in c and kind != "MPNetModel":
        c["relative_attention_num_buckets"] *= 4
    if "layer_types" in c:
        c["layer_types"] = c["layer_types"] * 2
    if "attention_head_size" in c:
        c["attention_head_size"] = c["hidden_size"] // c["num_attention_heads"]
    rope = c.get("rope_parameters")
    if rope and "short_factor" in rope:
        n = c["hidden_size"] // c["num_attention_heads"] // 2
        c["rope_parameters"] = dict(rope, short_factor=[1 + i / 7 for i in range(n)],
                                    long_factor=[1 + i * i / 3 for i in range(n)])
    return c


def corpus():
    out = []
    for pattern in ("*.md", "docs/*.md", "examples/data/*.csv", "src/*/README.md"):
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            with open(path, encoding="utf-8") as f:
                out += [line.rstrip("\n") for line in f if line.strip()]
    return out


def tokenizer(name, folder, special, template, lines):
    """One of the family's kind, special tokens first as in the golden models."""
    kind, size = name.split("_")[0], 2000
    if kind in BYTES:
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    elif kind in PIECES:
        t = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=True))
        t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    elif kind in UNIGRAM or name.startswith("deberta_v2"):
        t = Tokenizer(models.Unigram())
        t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="[UNK]",
                                          show_progress=False)
    else:
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    t.train_from_iterator(lines, trainer)
    ids = [(s, special.index(s)) for s in ("[CLS]", "[SEP]")]
    t.post_processor = processors.TemplateProcessing(single=template or "$A", special_tokens=ids)
    fast = PreTrainedTokenizerFast(tokenizer_object=t, model_max_length=LONGEST, pad_token="[PAD]", unk_token="[UNK]",
                                   cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    fast.save_pretrained(folder)
    return fast


def some_texts(lines):
    """Empty, one token, every length up to beyond the longest, in several scripts."""
    r = random.Random(7)
    texts = ["", "a", "no", " ", "\n\t ", "7", "日", "👩‍👩‍👧 🇯🇵", "e\u0301 ﬁ ½ İ", "مرحبا بالعالم", "हिन्दी में", "Привет, мир!",
             "[MASK] [PAD] x", "a" * 300, "word " * 300, "ポンプが止まった。" * 40]
    for n in (1, 1, 2, 2, 3, 4, 5, 6, 8, 12, 20):
        texts.append(" ".join(r.choice(lines) for _ in range(n)))
    return texts


def padded(model, ids, left, pad):
    """The states of the real tokens when all texts stand in one batch."""
    width = max(map(len, ids))
    fill = lambda x, v: [v] * (width - len(x)) + x if left else x + [v] * (width - len(x))
    batch = G.states(model, [fill(x, pad) for x in ids], [fill([1] * len(x), 0) for x in ids])
    return [h[width - len(x):] if left else h[:len(x)] for x, h in zip(ids, batch)]


def far(a, b):
    """The largest difference, as a part of the largest element of its row of b where that is above 1; infinite where
    the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    return float((np.abs(a - b) / np.maximum(1, np.abs(b).max(-1, keepdims=True))).max())


def by_sentence_transformers(folder, texts):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    t = Transformer(folder, max_seq_length=LONGEST, model_kwargs={"attn_implementation": "eager"})
    # AutoTokenizer builds the tokenizers of some families (Qwen2) anew from vocabulary and merges, with that family's
    # own pipeline; the folder's is what the ids were checked with.
    t.processor = PreTrainedTokenizerFast.from_pretrained(folder)
    width = t.auto_model(torch.tensor([[2]])).last_hidden_state.shape[-1]
    model = SentenceTransformer(modules=[t, Pooling(width, pooling_mode=tuple(POOLINGS))], device="cpu")
    longrope = "longrope" in str(getattr(t.auto_model.config, "rope_parameters", ""))
    x = model.encode(texts, batch_size=1 if longrope else 16)  # with longrope a neighbour changes a text
    return {p: x[:, i * width:(i + 1) * width] for i, p in enumerate(POOLINGS)}


def hold(report, library, name, folder, lines, seed):
    kind, config, special, template = {**G.FAMILIES, **MORE}[name]
    texts, model_class = some_texts(lines), getattr(transformers, kind)
    t = tokenizer(name, folder, special, template, lines)
    config = dict(enlarge(name, kind, config), vocab_size=len(t))
    model = G.randomise(model_class(model_class.config_class(**config)), seed)
    model.save_pretrained(folder)
    loader = model_class if "Encoder" in kind else AutoModel
    model = loader.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = [t(x, truncation=True, max_length=LONGEST)["input_ids"] for x in texts]
    found = library.tokenize(folder, texts, LONGEST)
    report.check(f"{name}, ids", found == ids, f"{len(texts)} texts, {min(map(len, ids))} to {max(map(len, ids))} tokens")
    c = model.config
    empty = next((v for v in (getattr(c, k, None) for k in EMPTY) if v is not None), 0)
    run = [x or [empty[0] if isinstance(empty, list) else empty] for x in ids]
    with library.load(folder, prompt="") as m:
        ours = [m.hidden(x) for x in texts]
    worst = max(far(a, G.states(model, [x])[0]) for a, x in zip(ours, run))
    report.check(f"{name}, hidden states", worst <= TOLERANCE, f"largest difference {worst:.1e}")
    pad = getattr(c, "pad_token_id", None) or 0
    for left in (False, True):
        if name == "phi3_longrope" or left and name == "distilbert":  # see docs/models.md
            continue
        worst = max(far(a, b) for a, b in zip(ours, padded(model, run, left, pad)))
        report.check(f"{name}, padded on the {'left' if left else 'right'}", worst <= TOLERANCE,
                     f"largest difference {worst:.1e}")
    some = [i for i, x in enumerate(ids) if x]  # sentence-transformers has nothing to pool where there is no token
    expected = by_sentence_transformers(folder, [texts[i] for i in some])
    worst = {}
    for pooling in POOLINGS:
        with library.load(folder, pooling=pooling, prompt="") as m:
            worst[pooling] = far(m.embed([texts[i] for i in some]), expected[pooling])
    most = max(worst, key=worst.get)
    report.check(f"{name}, pooled ({len(POOLINGS)} ways)", worst[most] <= TOLERANCE,
                 f"largest difference {worst[most]:.1e} ({most})")


def run(report, o):
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    library, lines = Library(o.library), corpus()
    for i, name in enumerate({**G.FAMILIES, **MORE}):
        if o.family and name not in o.family.split(","):
            continue
        with tempfile.TemporaryDirectory() as folder:
            hold(report, library, name, folder, lines, 500 + i)
