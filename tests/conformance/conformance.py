"""Runs the sections and counts: "N passed, N failed" at the end, exit status 1 where something failed.

    conformance.py --build build/gcc [--form full|short] [--only SECTION,...] [--strings N]
"""

import argparse
import importlib
import os
import platform
import sys
import time
import traceback

# name of the section's file, what it shows, whether the short form has it
SECTIONS = [
    ("tokens", "token ids, offsets and truncation on random Unicode strings; in full, on every code point", True),
    ("hub", "one Hugging Face cache for genchi and huggingface_hub", True),
    ("families", "ids, hidden states and pooled vectors of random models of every family", False),
    ("tuned", "models that genchi trained and saved, by transformers, PEFT and sentence-transformers", False),
    ("minilm", "all-MiniLM-L6-v2 on 1,000 texts, in float32, bf16 and int8", False),
]


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, good, detail=""):
        """One thing held against a library; detail is what was measured."""
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}{': ' if detail else ''}{detail}", flush=True)


def versions(names):
    from importlib.metadata import PackageNotFoundError, version
    for name in names:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            pass


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", required=True, help="the folder with libgenchi.so and genchi")
    p.add_argument("--form", choices=("full", "short"), default="full")
    p.add_argument("--only", help="sections, with commas between: " + ", ".join(s[0] for s in SECTIONS))
    p.add_argument("--strings", type=int, help="random strings of the section tokens (200,000; short: 20,000)")
    p.add_argument("--family", help="models of the sections families and tuned, with commas between (all)")
    o = p.parse_args()
    o.library, o.genchi = os.path.join(o.build, "libgenchi.so"), os.path.abspath(os.path.join(o.build, "genchi"))
    o.model = os.environ.get("GENCHI_MODEL")
    o.strings = o.strings or (200000 if o.form == "full" else 20000)
    only = o.only.split(",") if o.only else [s[0] for s in SECTIONS if o.form == "full" or s[2]]
    unknown = set(only) - {s[0] for s in SECTIONS}
    if unknown:
        p.error(f"no section {', '.join(sorted(unknown))}")
    print(f"conformance ({o.form}), {time.strftime('%Y-%m-%d')}, Python {platform.python_version()}; " + ", ".join(
        versions(("tokenizers", "transformers", "torch", "peft", "sentence-transformers", "huggingface_hub", "numpy"))))
    report, begin = Report(), time.time()
    for name, what, _ in SECTIONS:
        if name not in only:
            continue
        print(f"== {name}: {what}", flush=True)
        start = time.time()
        try:
            importlib.import_module(name).run(report, o)
        except Exception:  # a section that breaks off has failed, the others still count
            traceback.print_exc()
            report.check(name, False, "broke off")
        print(f"   {time.time() - start:.0f} s", flush=True)
    print(f"{time.time() - begin:.0f} s in all")
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    main()
