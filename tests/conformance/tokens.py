"""tests/tools/tokenizer_diff.py with every pipeline that it makes."""

import os
import re
import subprocess
import sys

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "tokenizer_diff.py")
COUNTED = re.compile(r"(.+?)[:;] .*?(\{'texts': .*\})$")


def run(report, o):
    words = [sys.executable, "-u", TOOL, o.library, "--strings", str(o.strings), "--seed", "1"]
    if o.form == "full":
        words += ["--every-code-point"]  # minutes
    if o.model:
        words += ["--model", o.model]
    counted = 0
    environment = dict(os.environ, RUST_BACKTRACE="0")  # its panics are counted, and not told at length
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment) as tool:
        for line in tool.stdout:  # as it comes: the tool takes minutes
            match = COUNTED.match(line.rstrip("\n"))
            if match is None:
                print("    " + line, end="", flush=True)
                continue
            counts = eval(match[2], {"__builtins__": {}})
            bad = {k: counts[k] for k in ("ids", "offsets", "cut") if counts[k]}
            name = os.path.basename(match[1]) if os.sep in match[1] else match[1]
            report.check(f"tokens, {name}", not bad, f"{counts['texts']} texts, " + (f"different: {bad}" if bad else
                                                                                     "all the same"))
            counted += 1
    if tool.returncode != 0 or not counted:
        report.check("tokens, the tool", False, f"exit status {tool.returncode}")
