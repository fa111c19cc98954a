"""Golden training runs for tests/unit/test_tune_golden.c: ten steps of PyTorch + torch.optim.AdamW on the small
models of tests/golden/model, one text at a time (no padding), on the batches that genchi's seed gives (its Philox
order is computed here anew), full and with PEFT's LoRA; and the logits afterwards.

    python tests/golden/make_tune.py        (versions: tests/golden/requirements.txt)
"""
import math
import os

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModel, AutoTokenizer, get_linear_schedule_with_warmup

from golden_text import write

HERE = os.path.dirname(os.path.abspath(__file__))
SEED, EPOCHS, BATCH, STEPS = 11, 3, 5, 10
RATE, HEAD_RATE, DECAY, CLIP, WARMUP = 2e-3, 1e-2, 0.1, 0.5, 0.2
RANK, ALPHA, LORA_RATE = 4, 12.0, 1e-2
WEIGHTS = [1.0, 2.0, 0.5]
TEXTS = ["the pump stopped", "oil leak on monday", "a hot casing and a noise", "the manual says so", "no",
         "the valve was replaced in spring", "nobody called the operator", "pressure was low", "bearing noise",
         "it ran for two hours and then stopped", "the filter was clean", "call me at once", "oil oil oil",
         "the report was written", "please replace the bearing", "a leak", "the pump ran dry on tuesday"]
LABELS = [i * 7 % 3 for i in range(len(TEXTS))]


# ---- genchi's random numbers: Philox4x32-10 keyed by (seed, purpose), counted by index -----------------------------

MASK = 0xFFFFFFFF


def philox(key, counter):
    k, c = list(key), list(counter)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


class Stream:
    def __init__(self, seed, purpose, index):
        h = 1469598103934665603
        for b in purpose.encode():
            h = (h ^ b) * 1099511628211 % 2**64
        self.key = philox([seed & MASK, seed >> 32], [h & MASK, h >> 32, 0, 0])[:2]
        self.index, self.block, self.words = index, 0, []

    def u32(self):
        if not self.words:
            self.words = philox(self.key, [self.block & MASK, self.block >> 32, self.index & MASK, self.index >> 32])
            self.block += 1
        return self.words.pop(0)

    def below(self, n):
        while True:
            m = self.u32() * n
            if m & MASK >= 2**32 % n:
                return m >> 32

    def double(self):
        high, low = self.u32() >> 5, self.u32() >> 6
        return (high << 26 | low) * 2.0**-53

    def normal(self):
        u, v = 1 - self.double(), self.double()
        return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)

    def shuffled(self, x):
        x = list(x)
        for i in range(len(x), 1, -1):
            j = self.below(i)
            x[i - 1], x[j] = x[j], x[i - 1]
        return x


# ---- runs ------------------------------------------------------------------------------------------------------------

def decays(name, p):
    return p.dim() > 1 and "position" not in name and "wpe" not in name


def pooled(kind, model, ids):
    h = model(torch.tensor([ids])).last_hidden_state[0]
    return torch.nn.functional.normalize(h.mean(0), dim=0) if kind == "bert" else h[-1]


def run(kind, lora):
    folder = os.path.join(HERE, "model", kind)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    length = 24 if kind == "bert" else 64
    ids = [tokenizer(t, truncation=True, max_length=length)["input_ids"] for t in TEXTS]
    model = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()  # no dropout
    dim = model.config.hidden_size
    rng = np.random.default_rng(3)
    start = rng.normal(size=(3, dim)).astype(np.float32) * 0.3
    head = torch.nn.Linear(dim, 3)
    head.weight.data, head.bias.data = torch.tensor(start.copy()), torch.zeros(3)
    head.bias.requires_grad = kind == "bert"  # transformers' classifier for GPT-2 has none
    rate = RATE
    if lora:
        model, rate = adapted(kind, model), LORA_RATE
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [{"params": [p for n, p in named if decays(n, p)], "lr": rate, "weight_decay": DECAY},
              {"params": [p for n, p in named if not decays(n, p)], "lr": rate, "weight_decay": 0.0},
              {"params": [head.weight], "lr": HEAD_RATE, "weight_decay": DECAY},
              {"params": [head.bias], "lr": HEAD_RATE, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW([g for g in groups if g["params"]])
    schedule = get_linear_schedule_with_warmup(optimiser, math.ceil(STEPS * WARMUP), STEPS)
    weight = torch.tensor(WEIGHTS)
    per_epoch, losses = -(-len(TEXTS) // BATCH), []
    for step in range(STEPS):
        order = Stream(SEED, "order of fine-tuning", step // per_epoch).shuffled(range(len(TEXTS)))
        rows = order[step % per_epoch * BATCH:][:BATCH]
        logits = torch.stack([head(pooled(kind, model, ids[i])) for i in rows])
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([LABELS[i] for i in rows]), weight=weight)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for g in groups for p in g["params"] if p.grad is not None], CLIP)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    with torch.no_grad():
        vectors = torch.stack([pooled(kind, model, x) for x in ids])
        logits = head(vectors)
    return {"head": start, "loss": np.array(losses), "probability": torch.softmax(logits, 1).numpy(),
            "embedding": vectors.numpy()}


class Fused(torch.nn.Module):
    """GPT-2's c_attn with adapters of its own for query and value, each rank wide."""

    def __init__(self, inner, adapters):
        super().__init__()
        self.inner, dim = inner, adapters[0].shape[1]
        self.query_a, self.value_a = (torch.nn.Parameter(a) for a in adapters)
        self.query_b, self.value_b = (torch.nn.Parameter(torch.zeros(dim, RANK)) for _ in range(2))

    def forward(self, x):
        q, k, v = self.inner(x).chunk(3, dim=-1)
        scale = ALPHA / RANK
        q = q + scale * (x @ self.query_a.T @ self.query_b.T)
        return torch.cat([q, k, v + scale * (x @ self.value_a.T @ self.value_b.T)], dim=-1)


def adapted(kind, model):
    """LoRA on query and value, A as genchi draws it: PEFT's for BERT."""
    dim = model.config.hidden_size
    start = []
    for i in range(2 * model.config.num_hidden_layers):
        stream = Stream(SEED, "learner/adapter", i)
        a = [stream.normal() / math.sqrt(RANK) for _ in range(RANK * dim)]
        start.append(torch.tensor(a, dtype=torch.float32).reshape(RANK, dim))
    if kind == "bert":
        model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["query", "value"],
                                                 lora_dropout=0.0, bias="none")).eval()
        left = iter(start)
        for name, p in model.named_parameters():
            if "lora_A" in name:
                p.data = next(left).clone()
        return model
    for p in model.parameters():
        p.requires_grad = False
    for i, block in enumerate(model.h):
        block.attn.c_attn = Fused(block.attn.c_attn, start[2 * i:2 * i + 2])
    return model.eval()


def main():
    os.makedirs(os.path.join(HERE, "tune"), exist_ok=True)
    with open(os.path.join(HERE, "tune", "texts.txt"), "w") as f:
        f.writelines(f"{label} {text}\n" for label, text in zip(LABELS, TEXTS))
    for kind in ("bert", "gpt2"):
        for lora in (False, True):
            out = run(kind, lora)
            write(os.path.join(HERE, "tune", f"{kind}_{'lora' if lora else 'full'}.txt"), out)


if __name__ == "__main__":
    main()
