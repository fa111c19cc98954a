"""Makes tests/golden/gradient: what PyTorch's autograd says of the models in tests/golden/model and
tests/golden/architecture, for tests/unit/test_learner.c.

    python tests/golden/make_gradients.py [NAME ...]      (versions: tests/golden/requirements.txt)

The loss is the mean cross-entropy of a linear head on the pooled vectors of a few texts of random tokens. Head and
adapters hold numbers that both sides compute (pattern below). NAME.json: texts (token ids), labels, loss, logits and,
for every tensor with a gradient, "scale" (its largest magnitude), "dot" (with the pattern) and "at" (up to 12 of its
elements, at even steps). "lora": the same for adapters on every linear layer, with the rest frozen.
"""

import json
import math
import os
import sys

import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, T5EncoderModel, MT5EncoderModel

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "gradient")
CLASSES, RANK, ALPHA, LONGEST = 3, 2, 6.0, 23
CAUSAL = ("gpt2", "gpt_neox", "gpt_neox_serial", "opt", "opt_post", "opt_narrow", "opt_wide", "bloom", "phi",
          "phi_head_norms", "phi3", "phi3_longrope", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text")


def folders():
    found = {"bert": "model/bert", "gpt2": "model/gpt2"}
    for name in sorted(os.listdir(os.path.join(HERE, "architecture"))):
        if os.path.isdir(os.path.join(HERE, "architecture", name)):
            found[name] = "architecture/" + name
    return found


def pattern(shape, scale, shift=0):
    """Element i: scale · ((37 i + 11 + shift) mod 101 − 50) / 50."""
    n = math.prod(shape)
    i = torch.arange(n, dtype=torch.int64)
    return (((37 * i + 11 + shift) % 101 - 50).to(torch.float64) / 50 * scale).to(torch.float32).reshape(shape)


def texts(vocab):
    g = torch.Generator().manual_seed(17)
    return [torch.randint(0, vocab, (n,), generator=g).tolist() for n in (LONGEST, 1, 9, 16, 4)]


def told(gradient):
    flat = gradient.detach().to(torch.float64).flatten()
    step = max(1, flat.numel() // 12)
    return {"scale": float(flat.abs().max()), "dot": float(flat @ pattern(flat.shape, 1.0).to(torch.float64)),
            "at": [float(f"{x:.9g}") for x in flat[::step][:12].tolist()]}


def pooled(name, path, model, sentence, ids):
    rows = []
    for x in ids:
        batch = {"input_ids": torch.tensor([x]), "attention_mask": torch.ones(1, len(x), dtype=torch.int64)}
        if sentence is not None:
            rows.append(sentence(batch)["sentence_embedding"][0])
            continue
        states = model(**batch).last_hidden_state[0]
        rows.append(states[-1] if name in CAUSAL else states.mean(0))
    return torch.stack(rows)


def steps_of(sentence):
    """The modules behind the pooling, named as the learner names them."""
    found, n = {}, 0
    for module in sentence or []:
        kind = type(module).__name__
        if kind == "Dense":
            found[f"pooling.{n}.weight"] = (module.linear.weight,)
            if module.linear.bias is not None:
                found[f"pooling.{n}.bias"] = (module.linear.bias,)
            if hasattr(getattr(module, "residual", None), "weight"):
                found[f"pooling.{n}.residual"] = (module.residual.weight,)
        if kind == "LayerNorm":
            found[f"pooling.{n}.weight"], found[f"pooling.{n}.bias"] = (module.norm.weight,), (module.norm.bias,)
        n += kind in ("Dense", "LayerNorm", "Normalize")
    return found


def parameters_of(path, model):
    """Checkpoint name to parameter, by its numbers: names changed between versions of transformers."""
    found = {}
    checkpoint = load_file(os.path.join(path, "model.safetensors"))
    free = dict(model.named_parameters())
    for name, value in checkpoint.items():
        for other, p in free.items():
            if p.shape == value.shape and torch.equal(p.detach(), value.to(p.dtype)):
                found[name] = (p,)
                break
        else:
            three = [x for k in ("q_proj", "k_proj", "v_proj") for n, x in free.items() if n == beside(name, k)]
            if len(three) == 3 and torch.equal(torch.cat([x.detach() for x in three]), value):
                found[name] = tuple(three)
    return found


def beside(name, kind):
    """Newer code of NomicBERT splits what its checkpoints fuse."""
    return (name.replace("encoder.layers", "layers").replace("attn.Wqkv", f"self_attn.{kind}"))


def gradient_of(parameters):
    if any(p.grad is None for p in parameters):
        return None
    return torch.cat([p.grad for p in parameters])


def adapt(path, model, found):
    """Adapters on every linear layer inside the transformer; parts of a fused q|k|v have one each."""
    config = model.config
    if hasattr(config, "text_config"):
        config = config.text_config
    adapters = {}
    owners = {}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if weight is not None:
            owners.setdefault(id(weight), module)
    for name, some in found.items():
        kind, p = kind_of(name, some[0]), some[0]
        if kind is None:
            continue
        base = name.removesuffix(".weight")
        if len(some) > 1:
            for part, p in zip((".query", ".key", ".value"), some):
                a = pattern((RANK, p.shape[1]), 0.3).requires_grad_()
                b = pattern((p.shape[0], RANK), 0.2, 5).requires_grad_()
                adapters[f"{base}{part}.lora_A"], adapters[f"{base}{part}.lora_B"] = (a,), (b,)
                owners[id(p)].register_forward_hook(hook([(torch.arange(p.shape[0]), a, b)]))
            continue
        module = owners[id(p)]
        turned = type(module).__name__ == "Conv1D"
        outputs, inputs = (p.shape[1], p.shape[0]) if turned else p.shape
        parts = {"": torch.arange(outputs)}
        if kind == "fused":
            parts = fused_parts(path, config, outputs)
        pairs = []
        for part, rows in parts.items():
            a = pattern((RANK, inputs), 0.3).requires_grad_()
            b = pattern((len(rows), RANK), 0.2, 5).requires_grad_()
            adapters[f"{base}{part}.lora_A"], adapters[f"{base}{part}.lora_B"] = (a,), (b,)
            pairs.append((rows, a, b))
        module.register_forward_hook(hook(pairs))
    return adapters


def hook(pairs):
    def add(module, inputs, output):
        output = output.clone()
        for rows, a, b in pairs:
            output[..., rows] = output[..., rows] + ALPHA / RANK * (inputs[0] @ a.T @ b.T)
        return output
    return add


FUSED = ("c_attn", "query_key_value", "Wqkv", "in_proj", "qkv_proj")
PLAIN = ("query", "key", "value", "q_lin", "k_lin", "v_lin", "q_proj", "k_proj", "v_proj", "query_proj", "key_proj",
         "value_proj", "SelfAttention.q", "SelfAttention.k", "SelfAttention.v", "attn.q", "attn.k", "attn.v",
         "attention.output.dense", "out_lin", "attention.dense", "attn.o", "attn.c_proj", "out_proj", "o_proj", "Wo",
         "self_attention.dense", "self_attn.dense", "SelfAttention.o", "intermediate.dense", "output.dense", "lin1", "lin2",
         "ffn", "ffn_output", "mlp.Wi", "mlp.Wo", "fc11", "fc12", "fc1", "fc2", "c_fc", "mlp.c_proj", "dense_h_to_4h",
         "dense_4h_to_h", "gate_proj", "up_proj", "down_proj", "gate_up_proj", "wi", "wi_0", "wi_1", "wo")


def kind_of(name, p):
    if p.dim() != 2 or not name.endswith(".weight") or "pooler" in name:
        return None
    base = name.removesuffix(".weight")
    if base.endswith(tuple("." + x for x in FUSED)):
        return "fused"
    return "plain" if base.endswith(tuple("." + x for x in PLAIN)) else None


def fused_parts(path, config, outputs):
    heads = config.num_attention_heads
    kv = getattr(config, "num_key_value_heads", None) or heads
    size = outputs // (heads + 2 * kv)
    i = torch.arange(outputs)
    if os.path.basename(path) in ("bloom", "gpt_neox", "gpt_neox_serial", "deberta"):
        part = i // size % 3
    else:
        part = (i >= heads * size).long() + (i >= (heads + kv) * size)
    return {".query": i[part == 0], ".key": i[part == 1], ".value": i[part == 2]}


def run(name, path, model, sentence, ids, labels, wanted):
    for some in wanted.values():
        for p in some:
            p.grad = None
    vectors = pooled(name, path, model, sentence, ids)
    dim = vectors.shape[1]
    head = pattern((CLASSES, dim), 0.5, 3).requires_grad_()
    bias = pattern((CLASSES,), 0.5, 7).requires_grad_()
    logits = vectors @ head.T + bias
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
    loss.backward()
    gradients = {n: told(gradient_of(some)) for n, some in wanted.items() if gradient_of(some) is not None}
    gradients["head.weight"], gradients["head.bias"] = told(head.grad), told(bias.grad)
    return {"loss": loss.item(), "logits": [float(f"{x:.9g}") for x in logits.flatten().tolist()], "gradients": gradients}


def load(name, path):
    if os.path.exists(os.path.join(path, "modules.json")):
        sentence = SentenceTransformer(path, device="cpu", model_kwargs={"attn_implementation": "eager"}).eval()
        return sentence[0].auto_model, sentence
    kind = {"t5": T5EncoderModel, "mt5": MT5EncoderModel}.get(name, AutoModel)
    return kind.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval(), None


def make(name, folder):
    path = os.path.join(HERE, folder)
    model, sentence = load(name, path)
    config = getattr(model.config, "text_config", None) or model.config
    ids = texts(config.vocab_size)
    labels = [i % CLASSES for i in range(len(ids))]
    found = parameters_of(path, model)
    out = {"folder": folder, "texts": ids, "labels": labels}
    out["full"] = run(name, path, model, sentence, ids, labels, {**found, **steps_of(sentence)})
    adapters = adapt(path, model, found)
    out["lora"] = run(name, path, model, sentence, ids, labels, adapters)
    with open(os.path.join(OUT, name + ".json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    for name, folder in folders().items():
        if len(sys.argv) < 2 or name in sys.argv[1:]:
            make(name, folder)
