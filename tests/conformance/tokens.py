"""tests/tools/tokenizer_diff.py with every pipeline that it makes."""

import os
import re
import subprocess
import sys

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "tokenizer_diff.py")


def run(report, o):
    words = [sys.executable, TOOL, o.library, "--strings", str(o.strings), "--seed", "1"]
    if o.form == "full":
        words += ["--every-code-point"]  # minutes
    if o.model:
        words += ["--model", o.model]
    r = subprocess.run(words, capture_output=True, text=True)
    counted = re.findall(r"^(.+?)[:;] .*?(\{'texts': .*\})$", r.stdout, re.M)
    for name, numbers in counted:
        counts = eval(numbers, {"__builtins__": {}})
        bad = {k: counts[k] for k in ("ids", "offsets", "cut") if counts[k]}
        name = os.path.basename(name) if os.sep in name else name
        report.check(f"tokens, {name}", not bad, f"{counts['texts']} texts, " + (f"different: {bad}" if bad else
                                                                                 "all the same"))
    if r.returncode != 0 or not counted:
        print(r.stdout[-4000:], r.stderr[-4000:])
        report.check("tokens, the tool", False, f"exit status {r.returncode}")
