"""Times genchi beside what else embeds text on a CPU: same model, same texts, same processors, same run.

    make bench-peers PEERS=embed          (run.sh builds the environment and says where everything is)

Every contender lives in a process of its own that stays loaded; the parent lets them work in turn, round by round
(after one round that warms them and is not counted), and reports medians. CPU seconds stand beside wall seconds:
on a machine that others use only the former can be compared between runs.

A machine that is quiet for minutes only: PEERS_OPTIONS="--append --seconds 200" stops beginning rounds after 200
seconds and adds what it measured to what earlier calls left in build/peers/; call it again until the table says enough
rounds. --shape bert-base and --shape gpt2 measure a model of those sizes with random weights instead of GENCHI_MODEL;
--contenders genchi onnxruntime:float32 lets only these work.
"""

import argparse
import csv
import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/tools"))

CONTENDERS = ["genchi float32", "genchi bf16", "genchi int8", "sentence-transformers float32",
              "sentence-transformers bf16", "onnxruntime float32", "onnxruntime int8", "openvino float32",
              "openvino bf16", "ctranslate2 float32", "ctranslate2 int8"]
CAUSAL = [c for c in CONTENDERS if c.split()[0] in ("genchi", "sentence-transformers", "onnxruntime")]
BATCH = 32


# ---- contenders: load(a, kind, length) gives a function from texts to unit rows -----------------------------------

def normalized(x):
    import numpy as np
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def in_batches(a, length, run):
    """texts -> rows: sorted by length, batches padded to their longest, mean over the mask."""
    import numpy as np
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(f"{a.model}/tokenizer.json")
    tokenizer.enable_truncation(length)
    pad = tokenizer.token_to_id("[PAD]")
    tokenizer.enable_padding(pad_id=pad if pad is not None else 0)

    def encode(texts):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        out = None
        for at in range(0, len(order), BATCH):
            part = order[at:at + BATCH]
            e = tokenizer.encode_batch([texts[i] for i in part])
            ids = np.array([x.ids for x in e], np.int64)
            mask = np.array([x.attention_mask for x in e], np.int64)
            hidden = run(ids, mask)
            weight = mask[:, :, None].astype(np.float32)
            rows = (hidden * weight).sum(1) / weight.sum(1)
            out = np.empty((len(texts), rows.shape[1]), np.float32) if out is None else out
            out[part] = rows
        return normalized(out)
    return encode


def load_genchi(a, kind, length):
    import ctypes as c
    import numpy as np
    from structs import DTYPES, POOLINGS, EmbedStats, Error, Matrix, ModelOptions

    lib, err, ctx, model = c.CDLL(a.library), Error(), c.c_void_p(), c.c_void_p()

    def ok(status):
        if status != 0:
            raise RuntimeError(err.message.decode())

    ok(lib.gn_context_create(None, c.byref(ctx), c.byref(err)))  # all processors of the affinity mask
    options = ModelOptions(POOLINGS["mean"], DTYPES[kind], length)
    ok(lib.gn_model_load(ctx, a.model.encode(), c.byref(options), c.byref(model), c.byref(err)))

    def encode(texts):
        raw = [t.encode() for t in texts]
        out, stats = Matrix(), EmbedStats()
        ok(lib.gn_model_embed(ctx, model, (c.c_char_p * len(raw))(*raw), (c.c_uint32 * len(raw))(*map(len, raw)),
                              c.c_size_t(len(raw)), c.byref(out), None, c.byref(stats), c.byref(err)))
        x = np.ctypeslib.as_array(out.data, (out.rows, out.cols)).copy()
        lib.gn_matrix_free(c.byref(out))
        encode.tokens = stats.tokens
        return x
    return encode


def load_sentence_transformers(a, kind, length):
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(a.threads)
    kind = {"float32": "float32", "bf16": "bfloat16"}[kind]
    model = SentenceTransformer(a.model, device="cpu", model_kwargs={"dtype": kind})
    model.max_seq_length = length
    return lambda texts: normalized(model.encode(texts, batch_size=BATCH, convert_to_tensor=True,
                                                 show_progress_bar=False).float().numpy().astype(np.float32))


def load_onnxruntime(a, kind, length):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = a.threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(f"{a.converted}/{kind}.onnx", options, providers=["CPUExecutionProvider"])
    return in_batches(a, length, lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0])


def load_openvino(a, kind, length):
    import openvino as ov
    model = ov.Core().compile_model(f"{a.converted}/float32.onnx", "CPU", {
        "INFERENCE_NUM_THREADS": a.threads, "INFERENCE_PRECISION_HINT": {"float32": "f32", "bf16": "bf16"}[kind]})
    return in_batches(a, length, lambda ids, mask: model([ids, mask])[0])


def load_ctranslate2(a, kind, length):
    import ctranslate2 as ct
    import numpy as np
    encoder = ct.Encoder(f"{a.converted}/ctranslate2", device="cpu", compute_type=kind, intra_threads=a.threads)

    def run(ids, mask):
        lengths = mask.sum(1).astype(np.int32)
        out = encoder.forward_batch(ct.StorageView.from_array(ids.astype(np.int32)),
                                    ct.StorageView.from_array(lengths))
        return np.array(out.last_hidden_state)
    return in_batches(a, length, run)


LOAD = {"genchi": load_genchi, "sentence-transformers": load_sentence_transformers, "onnxruntime": load_onnxruntime,
        "openvino": load_openvino, "ctranslate2": load_ctranslate2}


def make_random(shape, folder, data):
    """A model of the shape's size with random weights, in BERT's case with the demonstration model's tokenizer."""
    import torch
    import transformers
    torch.manual_seed(1)
    if shape == "bert-base":
        model = transformers.BertModel(transformers.BertConfig())
        shutil.copytree(os.environ["GENCHI_MODEL"], folder, ignore=lambda d, names: [
            n for n in names if "token" not in n and n != "vocab.txt"])
    else:
        from tokenizers import ByteLevelBPETokenizer
        model = transformers.GPT2Model(transformers.GPT2Config())
        with open(f"{data}/train_sample_20k.csv", encoding="latin-1", newline="") as f:
            lines = [row[5] for row in csv.reader(f)]
        tokenizer = ByteLevelBPETokenizer()
        tokenizer.train_from_iterator(lines, vocab_size=30000, special_tokens=["<|endoftext|>"], show_progress=False)
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, pad_token="<|endoftext|>",
                                                         eos_token="<|endoftext|>", model_max_length=1024)
        tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    config = json.load(open(f"{folder}/config.json"))
    config.setdefault("position_embedding_type", "absolute")  # CTranslate2's converter asks for it
    json.dump(config, open(f"{folder}/config.json", "w"), indent=1)


def convert(a):
    """The model as ONNX (float32, dynamic int8) and for CTranslate2, once. A form that fails is left out."""
    import torch
    from transformers import AutoModel
    os.makedirs(a.converted, exist_ok=True)
    if not os.path.exists(f"{a.converted}/float32.onnx"):
        class Hidden(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = AutoModel.from_pretrained(a.model, attn_implementation="eager")

            def forward(self, input_ids, attention_mask):
                return self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        ids = torch.ones(2, 9, dtype=torch.int64)
        axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=512)}
        mask = torch.ones(2, 9, dtype=torch.int64)  # a tensor of its own: one given twice becomes one input
        torch.onnx.export(Hidden().eval(), (ids, mask), f"{a.converted}/float32.onnx", dynamo=True,
                          input_names=["input_ids", "attention_mask"], output_names=["hidden"],
                          dynamic_shapes={"input_ids": axes, "attention_mask": axes}, external_data=False)
    if not os.path.exists(f"{a.converted}/int8.onnx"):
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(f"{a.converted}/float32.onnx", f"{a.converted}/int8.onnx", weight_type=QuantType.QInt8)
    if "gpt2" not in a.model and not os.path.exists(f"{a.converted}/ctranslate2"):
        import ctranslate2
        ctranslate2.converters.TransformersConverter(a.model).convert(f"{a.converted}/ctranslate2.part")
        os.rename(f"{a.converted}/ctranslate2.part", f"{a.converted}/ctranslate2")


# ---- a contender's process ---------------------------------------------------------------------------------------

def usage():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def work(a):
    """Answers one line of JSON for each line "workload": {"wall", "cpu", "memory", "tokens"}."""
    engine, kind = a.work.rsplit(" ", 1)
    loads = json.load(open(a.texts_file))
    encoders = {}
    first = LOAD[engine](a, kind, 256)
    first(["the first vector"])
    encoders[256] = first
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        name = line.strip()
        w = loads[name]
        if w["length"] not in encoders:
            encoders[w["length"]] = LOAD[engine](a, kind, w["length"])
        encode = encoders[w["length"]]
        wall, cpu, rows, tokens = time.perf_counter(), usage(), [], 0
        for texts in ([[t] for t in w["texts"]] if w["single"] else [w["texts"]]):
            rows.append(encode(texts))
            tokens += getattr(encode, "tokens", 0)
        wall, cpu = time.perf_counter() - wall, usage() - cpu
        import numpy as np
        np.save(f"{a.rows}/{a.work}-{name}.npy", np.concatenate(rows))
        print(json.dumps({"wall": wall, "cpu": cpu, "tokens": tokens,
                          "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)


# ---- the parent --------------------------------------------------------------------------------------------------

def workloads(a):
    with open(f"{a.data}/train_sample_20k.csv", encoding="latin-1", newline="") as f:
        tweets = list(dict.fromkeys(row[5] for row in csv.reader(f)))
    r = random.Random(1)
    r.shuffle(tweets)
    long, at = [], 0
    for _ in range(a.long):  # 60 tweets are more than 512 tokens, so that each of these texts has exactly 512
        long.append(" ".join(tweets[at:at + 60]))
        at += 60
    return {"tweets": {"texts": tweets[:a.tweets], "length": 256, "single": False},
            "long": {"texts": long, "length": 512, "single": False},
            "single": {"texts": tweets[-32:], "length": 256, "single": True}}


def spawn(a, name, texts_file, rows):
    command = [sys.executable, __file__, "--work", name, "--texts-file", texts_file, "--rows", rows]
    for key in ("genchi", "library", "model", "data", "threads", "converted"):
        command += [f"--{key}", str(getattr(a, key))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                            stderr=None if a.verbose else subprocess.DEVNULL)


def answer(process):
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    return None


def start_up(a, name, texts_file, rows):
    """Seconds from the process's start to its first vector: a program for genchi, a Python process for the others."""
    start = time.perf_counter()
    if name.startswith("genchi"):
        kind = name.split()[1].replace("bf16", "bfloat16")
        subprocess.run([a.genchi, "embed", "--quiet", "--model", a.model, "--dtype", kind, "--input", f"{rows}/one.txt",
                        "--out", f"{rows}/one.npy"], check=True)
        return time.perf_counter() - start
    process = spawn(a, name, texts_file, rows)
    answer(process)
    seconds = time.perf_counter() - start
    process.stdin.close()
    process.wait()
    return seconds


def program_memory(a, name, rows):
    kind = name.split()[1].replace("bf16", "bfloat16")
    pid = os.spawnv(os.P_NOWAIT, a.genchi, ["genchi", "embed", "--quiet", "--model", a.model, "--dtype", kind,
                                            "--input", f"{rows}/tweets.txt", "--out", f"{rows}/one.npy"])
    return os.wait4(pid, 0)[2].ru_maxrss * 1024


def product_rates(a):
    if not a.product or not os.path.exists(a.product):
        return {}
    out = subprocess.run([a.product], capture_output=True, text=True, check=True).stdout
    return {k: float(v) for k, v in (line.split() for line in out.splitlines())}


def start_people(a, rows, texts_file):
    people = {}
    for name, process in [(name, spawn(a, name, texts_file, rows)) for name in a.contenders]:
        if answer(process) is None:
            print(f"{name}: does not run here", file=sys.stderr)
            process.wait()
        else:
            people[name] = process
    return people


def work_rounds(a, rows, texts_file, loads, result, until):
    """Rounds of every workload, the first of which only warms; adds to result[name][workload]["wall" and "cpu"]."""
    people = start_people(a, rows, texts_file)
    for round in range(a.rounds + 1):
        if time.time() > until and round > 1:
            break
        for w in loads:
            for name in list(people):
                people[name].stdin.write(w + "\n")
                people[name].stdin.flush()
                got = answer(people[name])
                if got is None:
                    print(f"{name}: failed on {w}", file=sys.stderr)
                    del people[name]
                    continue
                r = result.setdefault(name, {"start": [], "memory": []})
                x = r.setdefault(w, {"wall": [], "cpu": []})
                if got["tokens"]:
                    loads[w]["tokens"] = got["tokens"]
                if round > 0:
                    x["wall"].append(got["wall"])
                    x["cpu"].append(got["cpu"])
                if round == 0 or w == "single":
                    r["memory"].append(got["memory"])
                time.sleep(0.05)  # worker threads of the last one may still be spinning
        print(f"round {round} of {a.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    for process in people.values():
        process.stdin.close()
    for process in people.values():
        process.wait()


def cosines(a, rows, loads, result):
    import numpy as np
    for name in result:
        for w in loads:
            mine, other = f"{rows}/{name}-{w}.npy", f"{rows}/{a.reference}-{w}.npy"
            if not (os.path.exists(mine) and os.path.exists(other)):
                continue
            x, y = np.load(mine).astype(np.float64), np.load(other).astype(np.float64)
            cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
            result[name][w].update(cosine_mean=cosine.mean(), cosine_least=cosine.min())


def start_rounds(a, rows, texts_file, result, until):
    for round in range(a.start_rounds):
        for name in result:
            if time.time() > until:
                return
            result[name]["start"].append(start_up(a, name, texts_file, rows))
    for name in result:
        if name.startswith("genchi") and a.start_rounds:
            result[name]["program_memory"] = program_memory(a, name, rows)


def machine():
    info = open("/proc/cpuinfo").read()
    field = {k.strip(): v.strip() for k, v in (x.split(":", 1) for x in info.splitlines() if ":" in x)}
    units = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
             if f in field.get("flags", "").split()]
    return {"processor": field.get("model name", platform.processor()), "units": units,
            "processors": len(os.sched_getaffinity(0)), "system": platform.platform(), "date": time.strftime("%F"),
            "load": os.getloadavg()[0]}


def median(x):
    return statistics.median(x) if x else float("nan")


def table(result, loads, about):
    lines = [f"{about['processor']}, {about['processors']} processors ({' '.join(about['units'])}), {about['system']}, "
             f"{about['date']}, load average {about['load']:.1f} before and {about['load_after']:.1f} after. "
             + "; ".join(f"{w}: {x['count']} texts, {x['tokens']} tokens" for w, x in loads.items()) + ".", ""]
    for w in loads:
        lines += [f"**{about['model']}, {w}**", "",
                  "| | rounds | tokens/s | texts/s | tokens/CPU s | ms a text | mean cosine | least |",
                  "|---|--:|--:|--:|--:|--:|--:|--:|"]
        for name, r in result.items():
            if w not in r or not r[w]["wall"]:
                continue
            x, texts, tokens = r[w], loads[w]["count"], loads[w]["tokens"]
            wall, cpu = median(x["wall"]), median(x["cpu"])
            lines.append(f"| {name} | {len(x['wall'])} | {tokens / wall:,.0f} | {texts / wall:,.0f} | {tokens / cpu:,.0f} | "
                         f"{1000 * wall / texts:.2f} | {x.get('cosine_mean', float('nan')):.6f} | "
                         f"{x.get('cosine_least', float('nan')):.6f} |")
        lines.append("")
    lines += ["| | starts | first vector, s | peak memory, MB |", "|---|--:|--:|--:|"]
    lines += [f"| {name} | {len(r['start'])} | {median(r['start']):.2f} | "
              f"{(r.get('program_memory') or max(r['memory'])) / 1e6:,.0f} |" for name, r in result.items()]
    if about["products"]:
        lines += ["", "oneDNN's products (4096 × 768 × 3072, packed weights, one thread), GFLOP/s a CPU second: "
                  + ", ".join(f"{k} {v:.0f}" for k, v in about["products"].items())]
    return "\n".join(lines) + "\n"


def arguments():
    p = argparse.ArgumentParser()
    env = os.environ.get
    p.add_argument("--genchi", default=env("GENCHI", "build/gcc/genchi"))
    p.add_argument("--library", default=env("GENCHI_LIBRARY", "build/gcc/libgenchi.so"))
    p.add_argument("--product", default=env("GENCHI_PRODUCT"), help="program that prints oneDNN's rates (bench/product.c)")
    p.add_argument("--model", default=env("GENCHI_MODEL"))
    p.add_argument("--data", default=env("GENCHI_DATA", "../shared/data/sentiment140"))
    p.add_argument("--converted", default="build/peers-models")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--tweets", type=int, default=384, help="of the 20,000, drawn at random")
    p.add_argument("--long", type=int, default=12)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--start-rounds", type=int, default=5)
    p.add_argument("--append", action="store_true", help="to what an earlier call measured on the same texts")
    p.add_argument("--seconds", type=float, default=1e9, help="begin no round after so many")
    p.add_argument("--shape", choices=["bert-base", "gpt2"], help="a model of this size with random weights")
    p.add_argument("--contenders", nargs="*", help="some only: genchi, or genchi:float32")
    p.add_argument("--reference", default="sentence-transformers float32")
    p.add_argument("--out", default="build/peers")
    p.add_argument("--verbose", action="store_true")
    for hidden in ("--work", "--texts-file", "--rows"):
        p.add_argument(hidden, help=argparse.SUPPRESS)
    return p.parse_args()


def main():
    a = arguments()
    if a.work:
        return work(a)
    begin = time.time()
    if a.shape:
        folder = f"{a.converted}/random-{a.shape}"
        if not os.path.exists(f"{folder}/config.json"):
            subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\nimport "
                            f"embed\nembed.make_random({a.shape!r}, {folder!r}, {a.data!r})"], check=True)
        a.model = folder
    everybody = CAUSAL if a.shape == "gpt2" else CONTENDERS
    wanted = a.contenders or [c.split()[0] for c in everybody]
    a.contenders = [c for c in everybody if c.split()[0] in wanted or c.replace(" ", ":") in wanted]
    model = os.path.basename(a.model.rstrip("/"))
    a.converted = f"{a.converted}/{model}"
    loads, about = workloads(a), machine()
    about.update(model=model, threads=a.threads)
    forms = ["float32.onnx", "int8.onnx"] + ([] if a.shape == "gpt2" else ["ctranslate2"])
    if not all(os.path.exists(f"{a.converted}/{form}") for form in forms):
        done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
                               f"import embed, argparse; embed.convert(argparse.Namespace(model={a.model!r}, "
                               f"converted={a.converted!r}))"], capture_output=not a.verbose, text=True)
        if done.returncode != 0:
            print("some forms of the model could not be made", (done.stderr or "")[-500:], file=sys.stderr)
    base, result, rows = f"{a.out}/embed-{model}", {}, tempfile.mkdtemp()
    os.makedirs(a.out, exist_ok=True)
    for x in loads.values():
        x["count"] = len(x["texts"])
    if a.append and os.path.exists(base + ".json"):
        before = json.load(open(base + ".json"))
        if {w: x["count"] for w, x in before["workloads"].items()} != {w: x["count"] for w, x in loads.items()}:
            sys.exit(f"{base}.json is of other texts")
        result = before["results"]
        for w in loads:
            loads[w]["tokens"] = before["workloads"][w].get("tokens", 0)
    try:
        with open(f"{rows}/texts.json", "w") as f:
            json.dump(loads, f)
        with open(f"{rows}/one.txt", "w") as f:
            f.write("the first vector\n")
        with open(f"{rows}/tweets.txt", "w") as f:
            f.writelines(" ".join(t.split()) + "\n" for t in loads["tweets"]["texts"])
        about["products"] = product_rates(a)
        if a.rounds > 0:
            work_rounds(a, rows, f"{rows}/texts.json", loads, result, begin + a.seconds)
            cosines(a, rows, loads, result)
        start_rounds(a, rows, f"{rows}/texts.json", result, begin + a.seconds)
    finally:
        shutil.rmtree(rows)
    if "tokens" not in loads["tweets"]:
        print("nothing was measured (--rounds 0: the models' forms are made)")
        return
    about["load_after"] = os.getloadavg()[0]
    text = table(result, loads, about)
    print(text)
    for w in loads.values():
        del w["texts"]  # they stay where they are
    with open(base + ".md", "w") as f:
        f.write(text)
    with open(base + ".json", "w") as f:
        json.dump({"machine": about, "workloads": loads, "results": result}, f, indent=1)


if __name__ == "__main__":
    main()
