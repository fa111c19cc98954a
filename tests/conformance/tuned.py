"""Models that genchi trained, loaded by transformers, PEFT and sentence-transformers: the same probabilities and
embeddings as genchi gave, and the same again when genchi loads what it saved.

Each golden model (tests/golden/model, tests/golden/architecture) is trained on nine texts of three classes: the head,
the last layers, every weight, and LoRA. Where transformers' own class for classification holds the head, its logits are
those compared. A folder with modules.json is loaded as a SentenceTransformer, any other as AutoModel.
"""

import ctypes as c
import glob
import json
import os
import tempfile

import numpy as np
import torch
import transformers
from library import Library
from safetensors.torch import load_file
from structs import TUNE, Matrix, TuneOptions, TuneRows
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedTokenizerFast

GOLDEN = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
TEXTS = ["the pump stopped", "oil leak on monday", "a hot casing and a noise", "the manual says so", "no",
         "the valve was replaced in spring", "nobody called the operator", "pressure was low", "bearing noise"]
CLASSES = ["calm", "urgent", "lost"]
TOLERANCE = 1e-4  # of probabilities, and of embeddings as a part of the largest element where that is above 1
AGAIN = 1e-5      # genchi against itself
CAUSAL = {"gpt2", "gpt_neox", "opt", "bloom", "phi", "phi3", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"}


class Trained:
    """A model trained by genchi and saved: what genchi says of TEXTS (probability, embedding), now and loaded again."""

    def __init__(self, library, folder, what, saved):
        l, tuned, n = library, c.c_void_p(), len(TEXTS)
        raw = [t.encode() for t in TEXTS]
        text, length = (c.c_char_p * n)(*raw), (c.c_uint32 * n)(*map(len, raw))
        label = (c.c_int * n)(*[i % len(CLASSES) for i in range(n)])
        rows = TuneRows(c.cast(text, c.c_void_p), c.cast(length, c.c_void_p), c.cast(label, c.c_void_p), None, n,
                        len(CLASSES))
        options = TuneOptions(what=TUNE[what], epochs=6, batch=4, rate=3e-3, clip=1.0, dtype=1, seed=5,
                              lora_target=3 if what == "lora" else 0)
        with l.load(folder) as model:
            l.ok(l.lib.gn_tune(l.context, model.handle, c.byref(rows), c.byref(options), c.byref(tuned), c.byref(l.error)))
            self.probability, embedding = np.zeros((n, len(CLASSES)), np.float32), Matrix()
            l.ok(l.lib.gn_tuned_apply(l.context, tuned, text, length, c.c_size_t(n),
                                      self.probability.ctypes.data_as(c.c_void_p), c.byref(embedding), c.byref(l.error)))
            self.embedding = model.take(embedding)
            names = (c.c_char_p * len(CLASSES))(*[k.encode() for k in CLASSES])
            l.ok(l.lib.gn_tuned_save(l.context, tuned, saved.encode(), names, c.byref(l.error)))
            l.lib.gn_tuned_free(tuned)
        if what != "lora":
            with l.load(saved) as model:
                self.again = model.embed(TEXTS)


def base_class(folder):
    """transformers' class for the hidden states: T5 without its decoder."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        kind = json.load(f)["model_type"]
    return {"t5": transformers.T5EncoderModel, "mt5": transformers.MT5EncoderModel}.get(kind, AutoModel)


def classifier_of(folder, saved, what):
    """transformers' own class with the head inside, or None where it has no place for it."""
    if what == "lora":
        from peft import PeftModel
        with open(os.path.join(saved, "adapter_config.json"), encoding="utf-8") as f:
            if json.load(f)["task_type"] != "SEQ_CLS":
                return None
        base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(CLASSES), dtype=torch.float32)
        return PeftModel.from_pretrained(base, saved).eval()
    with open(os.path.join(saved, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    assert [config["id2label"][str(k)] for k in range(len(CLASSES))] == CLASSES, config["id2label"]
    assert config["label2id"] == {k: i for i, k in enumerate(CLASSES)}, config["label2id"]
    if "SequenceClassification" not in config["architectures"][0]:
        return None
    model, report = AutoModelForSequenceClassification.from_pretrained(saved, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    return model.eval()


def base_of(folder, saved, what, classifier):
    """The model without a head."""
    if what == "lora":
        if classifier is not None:  # the adapter's names are those of the whole
            return classifier.base_model.model.base_model
        from peft import PeftModel
        return PeftModel.from_pretrained(base_class(folder).from_pretrained(folder, dtype=torch.float32), saved).eval()
    model, report = base_class(saved).from_pretrained(saved, dtype=torch.float32, output_loading_info=True)
    missing = [k for k in report["missing_keys"] if "pooler" not in k]  # which no pooling here uses
    assert not missing, missing
    return model.eval()


def vectors(folder, saved, what, ids, classifier):
    """The pooled vectors of TEXTS by the libraries."""
    model = base_of(folder, saved, what, classifier)
    if os.path.exists(os.path.join(folder, "modules.json")):
        from sentence_transformers import SentenceTransformer
        whole = SentenceTransformer(folder if what == "lora" else saved, device="cpu")
        # AutoTokenizer builds some families' tokenizers anew (see families.py); the folder's own is meant.
        whole[0].processor = PreTrainedTokenizerFast.from_pretrained(folder)
        if what == "lora":
            whole[0].model = model
        return whole.encode(TEXTS, batch_size=1)
    causal = next((k for k in CAUSAL if os.path.basename(folder).startswith(k)), None)
    with torch.no_grad():
        hidden = [model(torch.tensor([x])).last_hidden_state[0].float() for x in ids]
    return torch.stack([h[-1] if causal else h.mean(0) for h in hidden]).numpy()


def hold(report, library, folder, what):
    name = f"{os.path.basename(folder)}, {what}"
    with tempfile.TemporaryDirectory() as work:
        saved = os.path.join(work, "saved")
        t = Trained(library, folder, what, saved)
        ids = library.tokenize(folder if what == "lora" else saved, TEXTS, 0)
        head, classifier = load_file(os.path.join(saved, "genchi_head.safetensors")), classifier_of(folder, saved, what)
        x = vectors(folder, saved, what, ids, classifier)
        if classifier is None:
            logits = torch.from_numpy(x) @ head["weight"].T + head["bias"]
        else:
            with torch.no_grad():
                logits = torch.stack([classifier(torch.tensor([k])).logits[0] for k in ids])
    size = max(1.0, float(np.abs(t.embedding).max()))
    far_p = float(np.abs(torch.softmax(logits, 1).numpy() - t.probability).max())
    far_x, far_again = float(np.abs(x - t.embedding).max()), 0.0 if what == "lora" else float(np.abs(t.again - t.embedding).max())
    report.check(name, far_p <= TOLERANCE and far_x <= TOLERANCE * size and far_again <= AGAIN * size,
                 f"probabilities {far_p:.1e}, embeddings {far_x:.1e}, loaded again by genchi {far_again:.1e}"
                 + (f", {type(classifier).__name__}" if classifier is not None else ""))


def run(report, o):
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    library = Library(o.library)
    folders = sorted(os.path.dirname(p) for p in glob.glob(os.path.join(GOLDEN, "model", "*", "config.json"))
                     + glob.glob(os.path.join(GOLDEN, "architecture", "*", "config.json")))
    for folder in folders:
        if o.family and os.path.basename(folder) not in o.family.split(","):
            continue
        for what in TUNE:
            try:
                hold(report, library, folder, what)
            except Exception as e:  # the next one may tell more
                report.check(f"{os.path.basename(folder)}, {what}", False, f"{type(e).__name__}: {str(e)[:300]}")
