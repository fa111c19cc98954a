"""Times fine-tuning beside PyTorch on the same processors, the same model, the same batches.

    make bench-peers PEERS=train          (run.sh builds the environment and says where everything is)

Two workloads, every weight trained, AdamW, gradient clipping, no dropout, nothing held out: MiniLM as a classifier of
tweets, 32 a step, and a random model of GPT-2's size (124 million parameters) with 4 texts of 64 tokens a step, a
classifier on its last token. Every contender lives in a process of its own; they take turns, round by round (after one
that is not counted), each doing the same steps; the median over the rounds is reported. Tokens are those of the texts:
padding, which PyTorch needs, is work but no token. float32, and bf16 with float32 master weights (PyTorch: autocast).
--workloads and --contenders run some only, for a machine that is free for minutes at a time: results are kept in
build/peers/train.json and the table is made of all there is.
"""

import argparse
import csv
import ctypes as c
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/tools"))
from structs import DTYPES, PROGRESS, TUNE, ContextOptions, Error, ModelOptions, TuneOptions, TuneRows, TuneStats

CONTENDERS = ["genchi float32", "genchi bf16", "pytorch float32", "pytorch bf16"]
WORKLOADS = {"minilm": {"batch": 32, "steps": 8}, "gpt2-124m": {"batch": 4, "steps": 3},
             "minilm-lora": {"batch": 32, "steps": 8}}


# ---- what is trained on ------------------------------------------------------------------------------------------------

def random_gpt2(folder):
    """GPT-2's shape with random weights, and a tokenizer of one word a token."""
    if os.path.exists(f"{folder}/tokenizer.json"):
        return
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import GPT2Config, GPT2Model
    torch.manual_seed(0)
    GPT2Model(GPT2Config()).save_pretrained(folder)
    t = Tokenizer(WordLevel({f"w{i}": i for i in range(50257)}, unk_token="w0"))
    t.pre_tokenizer = WhitespaceSplit()
    t.save(f"{folder}/tokenizer.json")


def rows(a, workload):
    """steps + 1 batches of (texts, labels); the first is not timed."""
    w = WORKLOADS[workload]
    n, r = w["batch"] * (w["steps"] + 1), random.Random(1)
    if workload.startswith("minilm"):
        with open(f"{a.data}/train_sample_20k.csv", encoding="latin-1", newline="") as f:
            all_rows = [(row[5], int(row[0] != "0")) for row in csv.reader(f)]
        picked = r.sample(all_rows, n)
        return [t for t, _ in picked], [y for _, y in picked]
    return [" ".join(f"w{r.randrange(50257)}" for _ in range(64)) for _ in range(n)], [i % 2 for i in range(n)]


def model_of(a, workload):
    return a.model if workload.startswith("minilm") else a.gpt2


# ---- genchi ----------------------------------------------------------------------------------------------------------------

def load_genchi(a, kind, workload):
    lib, err, ctx, model = c.CDLL(a.library), Error(), c.c_void_p(), c.c_void_p()
    lib.gn_tuned_stats.restype = c.POINTER(TuneStats)
    lib.gn_tuned_stats.argtypes = lib.gn_tuned_free.argtypes = [c.c_void_p]
    times, tune_stage = {}, 8

    def on_progress(_, stage, done, total):
        if stage == tune_stage:
            times[done] = (time.perf_counter(), cpu_seconds())

    def ok(status):
        if status != 0:
            raise RuntimeError(err.message.decode())

    keep = PROGRESS(on_progress)
    ok(lib.gn_context_create(c.byref(ContextOptions(a.threads, 0, keep, None, None, None)), c.byref(ctx), c.byref(err)))
    ok(lib.gn_model_load(ctx, model_of(a, workload).encode(), c.byref(ModelOptions(dtype=DTYPES["float32"])),
                         c.byref(model), c.byref(err)))
    texts, labels = rows(a, workload)
    raw, n = [t.encode() for t in texts], len(texts)
    text, length = (c.c_char_p * n)(*raw), (c.c_uint32 * n)(*map(len, raw))
    label = (c.c_int * n)(*labels)
    data = TuneRows(c.cast(text, c.c_void_p), c.cast(length, c.c_void_p), c.cast(label, c.c_void_p), None, n, 2)
    w = WORKLOADS[workload]
    lora = workload.endswith("lora")
    o = TuneOptions(what=TUNE["lora" if lora else "full"], epochs=1, batch=w["batch"], rate=2e-4 if lora else 2e-5, decay=0.01, clip=1.0,
                    dtype=DTYPES[kind], evaluate_every=10**6)

    def train():
        out = c.c_void_p()
        ok(lib.gn_tune(ctx, model, c.byref(data), c.byref(o), c.byref(out), c.byref(err)))
        tokens = lib.gn_tuned_stats(out)[0].tokens
        lib.gn_tuned_free(out)
        steps = w["steps"]  # the first batch warms up
        wall, cpu = (times[steps + 1][k] - times[1][k] for k in range(2))
        train.keep = (keep, text, length, label)
        return wall, cpu, tokens * steps / (steps + 1)
    return train


# ---- PyTorch ---------------------------------------------------------------------------------------------------------------

def load_pytorch(a, kind, workload):
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel
    torch.set_num_threads(a.threads)
    w, folder = WORKLOADS[workload], model_of(a, workload)
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_padding()
    if workload.startswith("minilm"):
        tokenizer.enable_truncation(256)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32)
    mean = workload.startswith("minilm")
    if workload.endswith("lora"):
        from peft import LoraConfig, get_peft_model
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"]))
    model.train()
    for part in model.modules():  # dropout off, as there
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    model.config.attention_probs_dropout_prob = model.config.attn_pdrop = 0.0
    head = torch.nn.Linear(model.config.hidden_size, 2)
    parameters = [p for p in model.parameters() if p.requires_grad] + list(head.parameters())
    optimiser = torch.optim.AdamW([{"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.01},
                                   {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}], lr=2e-5)
    texts, labels = rows(a, workload)
    ids = [tokenizer.encode(t).ids for t in texts]

    def step(some, y):
        longest = max(map(len, some))
        x = torch.zeros(len(some), longest, dtype=torch.int64)
        mask = torch.zeros(len(some), longest, dtype=torch.int64)
        for i, s in enumerate(some):
            x[i, :len(s)], mask[i, :len(s)] = torch.tensor(s), 1
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bf16"):
            h = model(input_ids=x, attention_mask=mask if mean else None).last_hidden_state
            if mean:
                m = mask[:, :, None].to(h.dtype)
                v = torch.nn.functional.normalize((h * m).sum(1) / m.sum(1), dim=1)
            else:
                v = h[:, -1]
            logits = head(v)
        loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor(y))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        return loss.item()

    def train():
        tokens, n = 0, w["batch"]
        for k in range(w["steps"] + 1):
            if k == 1:
                wall, cpu = time.perf_counter(), cpu_seconds()
            step(ids[k * n:(k + 1) * n], labels[k * n:(k + 1) * n])
            tokens += sum(map(len, ids[k * n:(k + 1) * n])) if k else 0
        return time.perf_counter() - wall, cpu_seconds() - cpu, tokens
    return train


LOAD = {"genchi": load_genchi, "pytorch": load_pytorch}


def cpu_seconds():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def work(a):
    name, workload = a.work.split("/")
    engine, kind = name.rsplit(" ", 1)
    train = LOAD[engine](a, kind, workload)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        wall, cpu, tokens = train()
        print(json.dumps({"wall": wall, "cpu": cpu, "tokens": tokens,
                          "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)


# ---- the parent --------------------------------------------------------------------------------------------------------------

def answer(process):
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    return None


def compare(a, workload, names):
    people, out = {}, {}
    for name in names:
        command = [sys.executable, __file__, "--work", f"{name}/{workload}"]
        for key in ("library", "model", "gpt2", "data", "threads"):
            command += [f"--{key}", str(getattr(a, key))]
        people[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=None if a.verbose else subprocess.DEVNULL)
        if answer(people[name]) is None:
            print(f"{name}: does not run here", file=sys.stderr)
            people.pop(name)
        else:
            out[name] = {"wall": [], "cpu": []}
    for round in range(a.rounds + 1):
        for name, process in list(people.items()):
            process.stdin.write("\n")
            process.stdin.flush()
            got = answer(process)
            if got is None:
                print(f"{name}: failed", file=sys.stderr)
                people.pop(name), out.pop(name)
                continue
            out[name].update(memory=got["memory"], tokens=got["tokens"])
            if round > 0:
                out[name]["wall"].append(got["wall"])
                out[name]["cpu"].append(got["cpu"])
            time.sleep(0.05)  # worker threads of the last one may still be spinning
    for process in people.values():
        process.stdin.close()
        process.wait()
    return out


def table(result):
    lines = []
    for workload, r in result.items():
        peers = [x["tokens"] / statistics.median(x["wall"]) for n, x in r.items() if n.startswith("pytorch")]
        best = max(peers) if peers else None
        steps = WORKLOADS[workload]["steps"]
        lines += [f"**{workload}** (load average {r[next(iter(r))]['load']:.1f})", "",
                  "| | tokens/s | s a step | CPU s a step | peak memory, MB | to the fastest PyTorch |", "|---|--:|--:|--:|--:|--:|"]
        for name, x in r.items():
            wall, cpu = statistics.median(x["wall"]), statistics.median(x["cpu"])
            speed = x["tokens"] / wall
            lines.append(f"| {name} | {speed:,.0f} | {wall / steps:.3f} | {cpu / steps:.3f} | {x['memory'] / 1e6:,.0f} | "
                         + (f"{speed / best:.2f} |" if best else "– |"))
        lines.append("")
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser()
    env = os.environ.get
    p.add_argument("--library", default=env("GENCHI_LIBRARY", "build/gcc/libgenchi.so"))
    p.add_argument("--model", default=env("GENCHI_MODEL"))
    p.add_argument("--data", default=env("GENCHI_DATA", "../shared/data/sentiment140"))
    p.add_argument("--gpt2", default="build/peers-models/gpt2-124m-random")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--workloads", nargs="*", default=list(WORKLOADS))
    p.add_argument("--contenders", nargs="*", default=CONTENDERS)
    p.add_argument("--out", default="build/peers")
    p.add_argument("--verbose", action="store_true")
    p.add_argument("--work", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.work:
        return work(a)
    os.makedirs(a.out, exist_ok=True)
    if any(w.startswith("gpt2") for w in a.workloads):
        random_gpt2(a.gpt2)
    path = f"{a.out}/train.json"
    result = json.load(open(path)) if os.path.exists(path) else {}
    for workload in a.workloads:
        load = os.getloadavg()[0]
        got = compare(a, workload, a.contenders)
        for x in got.values():
            x.update(load=load, date=time.strftime("%F"))
        result.setdefault(workload, {}).update(got)
        with open(path, "w") as f:
            json.dump(result, f, indent=1)
    text = table(result)
    print(text)
    with open(f"{a.out}/train.md", "w") as f:
        f.write(text)


if __name__ == "__main__":
    main()
