#!/usr/bin/env python3
"""Times genchi's tokenizers beside the `tokenizers` wheel and tiktoken: MB/s and texts/s, one thread and all.

    make bench-peers PEERS=tokens

GENCHI_LIBRARY names libgenchi.so, GENCHI_DATA the folder sentiment140/, which jcola/ stands beside; the table goes to
docs/performance-tokenizers.md. The vocabularies are trained here on these texts (no vocabulary can be fetched):
GPT-2's, Llama 3's and Qwen 2's pipelines with 30,000 tokens, BERT's uncased with as many. Each row is measured with
tokenizers just loaded: the first pass over all texts, and the best of the passes after it, in processor time for one thread,
wall-clock time for more; genchi is called through ctypes, which costs it about 0.2 µs a text.
"""
import csv
import ctypes
import datetime
import os
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/tools"))
import tiktoken
import tokenizers
from tokenizer_diff import REGEXES, Error, Genchi, Tokens
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

PASSES = 7  # the first and six more


def byte_level(texts, regex, nfc=False):
    t = Tokenizer(models.BPE())
    if nfc:
        t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=30000, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def wordpiece(texts):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=30000, special_tokens=["[UNK]"], show_progress=False))
    return t


def tiktoken_of(t, regex):
    """tiktoken's own encoding cannot be fetched: its engine with the trained vocabulary, ranked by id."""
    chars = {c: b for b, c in zip([*range(33, 127), *range(161, 173), *range(174, 256)],
                                  map(chr, [*range(33, 127), *range(161, 173), *range(174, 256)]))}
    chars.update({chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in chars.values())})
    ranks = {bytes(chars[c] for c in token): i for token, i in t.get_vocab().items()}
    return tiktoken.Encoding("trained", pat_str=regex, mergeable_ranks=ranks, special_tokens={})


def passes(runs, threads):
    """For each of the runs, which take turns: seconds of its first pass, and of the best after it."""
    clock, times = time.process_time if threads == 1 else time.perf_counter, [[] for _ in runs]
    for _ in range(PASSES):
        for run, took in zip(runs, times):
            start = clock()
            run()
            took.append(clock() - start)
    return [(took[0], min(took[1:])) for took in times]


def genchi_run(library, genchi, raws, threads):
    calls = [(genchi.handle, r, ctypes.c_size_t(len(r))) for r in raws]

    def work(part):
        tokens, error, encode = Tokens(), Error(), library.gn_tokenizer_encode
        t, e = ctypes.byref(tokens), ctypes.byref(error)
        yes, none = ctypes.c_bool(True), ctypes.c_size_t(0)
        for handle, raw, n in part:
            if encode(handle, raw, n, yes, none, t, e):
                raise ValueError(error.message)

    def run():
        if threads == 1:
            return work(calls)
        workers = [threading.Thread(target=work, args=(calls[i::threads],)) for i in range(threads)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
    return run


def main():
    data, out = os.path.dirname(os.path.abspath(os.environ["GENCHI_DATA"])), "docs/performance-tokenizers.md"
    with open(f"{data}/sentiment140/train_sample_20k.csv", encoding="latin-1") as f:
        tweets = [row[5] for row in csv.reader(f)]
    japanese = []
    for name in ("in_domain_train", "in_domain_valid", "out_of_domain_valid"):
        with open(f"{data}/jcola/{name}-v1.0.tsv", encoding="utf-8") as f:
            japanese += [line.rstrip("\n").split("\t")[-1] for line in f]
    sets = {"20,000 tweets": tweets, "long English (20 texts)": ["\n".join(tweets[i::20]) for i in range(20)],
            "long Japanese (20 texts)": ["\n".join(japanese[i::20]) for i in range(20)]}
    texts = tweets + japanese
    pipelines = {"BPE, GPT-2": (byte_level(texts, REGEXES["gpt2"]), REGEXES["gpt2"]),
                 "BPE, Llama 3": (byte_level(texts, REGEXES["llama3"]), REGEXES["llama3"]),
                 "BPE, Qwen 2": (byte_level(texts, REGEXES["qwen2"], nfc=True), None),
                 "WordPiece, BERT uncased": (wordpiece(texts), None)}
    library, cores = ctypes.CDLL(os.path.abspath(os.environ["GENCHI_LIBRARY"])), len(os.sched_getaffinity(0))
    lines = ["| pipeline | texts | threads | genchi MB/s | texts/s | tokenizers MB/s | texts/s | tiktoken MB/s | genchi / tokenizers | first pass |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for name, (trained, regex) in pipelines.items():
        peer = tiktoken_of(trained, regex) if regex else None
        for set_name, texts in sets.items():
            raws = [x.encode() for x in texts]
            size = sum(map(len, raws)) / 1e6
            for threads in dict.fromkeys((1, cores)):
                t = Tokenizer.from_str(trained.to_str())  # anew, with nothing kept
                with tempfile.TemporaryDirectory() as folder:
                    t.save(folder + "/tokenizer.json")
                    genchi = Genchi(library, folder)
                os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
                runs = [genchi_run(library, genchi, raws, threads),
                        (lambda: [t.encode(x) for x in texts]) if threads == 1 else (lambda: t.encode_batch(texts))]
                if peer:
                    runs.append((lambda: [peer.encode_ordinary(x) for x in texts]) if threads == 1 else
                                (lambda: peer.encode_ordinary_batch(texts, num_threads=threads)))
                ours, theirs, *rest = passes(runs, threads)
                third = rest[0][1] if rest else None
                for x, raw in zip(texts, raws):
                    assert t.encode(x).ids == genchi.encode(raw, True, 0)[0]
                library.gn_tokenizer_free(genchi.handle)
                lines.append(f"| {name} | {set_name} | {threads} | {size / ours[1]:.1f} | {len(texts) / ours[1]:,.0f} | "
                             f"{size / theirs[1]:.1f} | {len(texts) / theirs[1]:,.0f} | {f'{size / third:.1f}' if third else '–'} | "
                             f"{theirs[1] / ours[1]:.1f} | {theirs[0] / ours[0]:.1f} |")
                print(lines[-1], flush=True)
    with open("/proc/cpuinfo") as f:
        cpu = next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    with open(out, "w", encoding="utf-8") as f:
        f.write(f"""# Speed of the tokenizers
Written by `make bench-peers PEERS=tokens` (bench/peers/tokens.py) on {datetime.date.today()}: {cores} cores of {cpu}, tokenizers
{tokenizers.__version__}, tiktoken {tiktoken.__version__}. Processor time for one thread, wall-clock time for more; the best of {PASSES - 1} passes after a first one with a tokenizer just loaded; the last column is the ratio of
those first passes. Each row's programs took turns, pass by pass, on the same machine, which other work may have shared: the ratios say more than the MB/s. Ids were equal on
all texts of each row. The vocabularies (30,000 tokens) were trained on these texts; tiktoken runs its engine on the same vocabulary.

""" + "\n".join(lines) + """

Words of bytes are not merged: one walk along the word takes the longest token that gets on with the one before
(src/text/bpe_walk.c), so that long Japanese without spaces costs no more a byte than English. Words up to 32 bytes are kept with
their tokens (src/text/fast.c), which a first pass over few texts does not profit from; `tokenizers` keeps words too. Worst cases
(a word of a megabyte, a million spaces, a megabyte of Japanese without spaces) take linear time, which tests/unit/test_text.c and
tests/unit/test_bpe.c hold.
""")


if __name__ == "__main__":
    main()
