"""Trains small models with the library, saves them, and loads what was saved with transformers and peft: the logits
and embeddings must be those that genchi gave, within 1e-4 (probabilities) and 1e-4 of the largest number (embeddings). Also
loads it again with genchi. Needs torch, transformers, sentence-transformers, peft.

    python tests/tools/tuned_interop.py build/gcc/libgenchi.so [MODEL ...]

MODEL: a folder; without any, the small random models of tests/golden/model and tests/golden/architecture.
"""
import ctypes as c
import json
import os
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForSequenceClassification

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/peers"))
from train import ContextOptions, Error, ModelOptions, PROGRESS, TuneOptions, TuneRows  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden")
TEXTS = ["the pump stopped", "oil leak on monday", "a hot casing and a noise", "the manual says so", "no",
         "the valve was replaced in spring", "nobody called the operator", "pressure was low", "bearing noise"]
CLASSES = ["calm", "urgent", "lost"]


class Matrix(c.Structure):
    _fields_ = [("data", c.POINTER(c.c_float)), ("rows", c.c_size_t), ("cols", c.c_size_t)]


lib = c.CDLL(sys.argv[1])
err, ctx = Error(), c.c_void_p()


def ok(status):
    if status != 0:
        raise RuntimeError(err.message.decode())


ok(lib.gn_context_create(c.byref(ContextOptions(2, 0, PROGRESS(), None, None, None)), c.byref(ctx), c.byref(err)))
n = len(TEXTS)
raw = [t.encode() for t in TEXTS]
text, length = (c.c_char_p * n)(*raw), (c.c_uint32 * n)(*map(len, raw))
label = (c.c_int * n)(*[i % 3 for i in range(n)])
rows = TuneRows(c.cast(text, c.c_void_p), c.cast(length, c.c_void_p), c.cast(label, c.c_void_p), None, n, 3)


def load(folder):
    model = c.c_void_p()
    ok(lib.gn_model_load(ctx, folder.encode(), c.byref(ModelOptions(0, 1, 0, None, None, None)), c.byref(model),
                         c.byref(err)))
    return model


def train(folder, what, saved):
    model, tuned = load(folder), c.c_void_p()
    o = TuneOptions(what=what, epochs=6, batch=4, rate=3e-3, clip=1.0, dtype=1, seed=5, lora_target=3 if what == 2 else 0)
    ok(lib.gn_tune(ctx, model, c.byref(rows), c.byref(o), c.byref(tuned), c.byref(err)))
    probability, embedding = np.zeros((n, 3), np.float32), Matrix()
    ok(lib.gn_tuned_apply(ctx, tuned, text, length, c.c_size_t(n), probability.ctypes.data_as(c.c_void_p),
                          c.byref(embedding), c.byref(err)))
    x = np.ctypeslib.as_array(embedding.data, (embedding.rows, embedding.cols)).copy()
    lib.gn_matrix_free(c.byref(embedding))
    ok(lib.gn_tuned_save(ctx, tuned, saved.encode(), (c.c_char_p * 3)(*[k.encode() for k in CLASSES]), c.byref(err)))
    lib.gn_tuned_free(tuned)
    lib.gn_model_free(model)
    return probability, x


def again(folder):
    model, out = load(folder), Matrix()
    ok(lib.gn_model_embed(ctx, model, text, length, c.c_size_t(n), c.byref(out), None, None, c.byref(err)))
    x = np.ctypeslib.as_array(out.data, (out.rows, out.cols)).copy()
    lib.gn_matrix_free(c.byref(out))
    lib.gn_model_free(model)
    return x


def behind(folder):
    """The modules behind the transformer; none: the usual pooling."""
    there = os.path.exists(os.path.join(folder, "modules.json"))
    return list(SentenceTransformer(folder, device="cpu").eval())[1:] if there else None


def pooled(h, modules, causal):
    if modules is None:
        return h[-1] if causal else h.mean(0)
    x = {"token_embeddings": h[None], "attention_mask": torch.ones(1, len(h), dtype=torch.int64)}
    for module in modules:
        x = module(x)
    return x["sentence_embedding"][0]


def compare(folder, what, causal):
    name = os.path.basename(folder)
    with tempfile.TemporaryDirectory() as work:
        saved = os.path.join(work, "saved")
        probability, embedding = train(folder, what, saved)
        head = load_file(os.path.join(saved, "genchi_head.safetensors"))
        # AutoTokenizer makes a tokenizer of its own for some architectures, whatever the file says.
        tokenizer = Tokenizer.from_file(os.path.join(saved, "tokenizer.json"))
        tokenizer.no_padding()  # MiniLM's file pads to 128
        classifier = None
        if what == 2:
            from peft import PeftModel
            config = json.load(open(os.path.join(saved, "adapter_config.json")))
            if config["task_type"] == "SEQ_CLS":
                base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, dtype=torch.float32)
                classifier = PeftModel.from_pretrained(base, saved).eval()
                model = classifier.base_model.model.base_model
            else:
                model = PeftModel.from_pretrained(AutoModel.from_pretrained(folder, dtype=torch.float32), saved).eval()
        else:
            config = json.load(open(os.path.join(saved, "config.json")))
            assert [config["id2label"][str(k)] for k in range(3)] == CLASSES and config["label2id"]["lost"] == 2
            model, report = AutoModel.from_pretrained(saved, output_loading_info=True)
            left = [k for k in report["missing_keys"] if "pooler" not in k]
            assert not left, left
            model.eval()
            if "SequenceClassification" in config["architectures"][0]:
                classifier, report = AutoModelForSequenceClassification.from_pretrained(saved, output_loading_info=True)
                assert not report["missing_keys"] and not report["unexpected_keys"], report
                assert classifier.config.num_labels == 3
                classifier.eval()
            again_by = float(np.abs(again(saved) - embedding).max())
        worst_p, worst_x, modules = 0.0, 0.0, behind(folder if what == 2 else saved)
        for i, t in enumerate(TEXTS):
            ids = torch.tensor([tokenizer.encode(t).ids])
            with torch.no_grad():
                v = pooled(model(ids).last_hidden_state[0].float(), modules, causal)
                logits = head["weight"] @ v + head["bias"]
                if classifier is not None:
                    logits = classifier(ids).logits[0]
            worst_p = max(worst_p, float(np.abs(torch.softmax(logits, 0).numpy() - probability[i]).max()))
            worst_x = max(worst_x, float(np.abs(v.numpy() - embedding[i]).max()))
        print(f"{name:24} {['head', 'full', 'lora', 'last-k'][what]:7} probability {worst_p:.1e}  embedding {worst_x:.1e}"
              + (f"  again by genchi {again_by:.1e}" if what != 2 else "")
              + (f"  {type(classifier).__name__}" if classifier is not None else ""))
        assert worst_p < 1e-4 and worst_x < 1e-4 * max(1.0, float(np.abs(embedding).max()))
        assert what == 2 or again_by < 1e-5 * max(1.0, float(np.abs(embedding).max()))


def main():
    causal = {"gpt2", "gpt2_bf16_sharded", "gpt_neox", "opt", "opt_narrow", "opt_wide", "bloom", "phi", "phi_head_norms",
              "phi3", "phi3_longrope", "llama", "mistral", "qwen2", "qwen3", "gemma2"}
    folders = sys.argv[2:] or [os.path.join(ROOT, "model", k) for k in ("bert", "bert_f16", "gpt2", "gpt2_bf16_sharded")] + [
        os.path.join(ROOT, "architecture", k) for k in (
            "llama", "mistral", "qwen2", "phi3", "opt", "bloom", "gpt_neox", "gemma2", "electra", "mpnet", "modernbert",
            "deberta_v2_convolution", "deberta_v2_xlarge", "opt_narrow", "opt_wide", "phi_head_norms", "phi3_longrope",
            "albert_groups", "distilbert")]
    failed = 0
    for folder in folders:
        for what in (1, 3, 0, 2):
            try:
                compare(folder.rstrip("/"), what, os.path.basename(folder.rstrip("/")) in causal)
            except Exception as e:  # the next one may tell more
                failed += 1
                print(f"{os.path.basename(folder)} {what}: {type(e).__name__}: {str(e)[:300]}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
