"""Writes the text format that tests/unit/golden_text.c reads."""
import numpy as np


def write(path, arrays):
    with open(path, "w") as f:
        for name, a in arrays.items():
            a = np.atleast_1d(np.asarray(a)).ravel()
            f.write(f"{name} {a.size}\n")
            for i in range(0, a.size, 8):
                f.write(" ".join(repr(float(v)) for v in a[i : i + 8]) + "\n")
