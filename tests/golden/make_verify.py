"""Makes tests/golden/verify/: scores, intervals, exact tests and probe fits as scikit-learn and SciPy give them.

Run from the repository's root: python tests/golden/make_verify.py
Versions: tests/golden/requirements.txt
"""

import numpy as np
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

OUT = "tests/golden/verify/"


def calibration(y, p, bins=15):
    """Expected calibration error over equal-mass bins of the top probability (no ties in these data)."""
    top, right = p.max(1), p.argmax(1) == y
    order = np.argsort(top, kind="stable")
    n = len(y)
    which = (2 * np.arange(n)) * bins // (2 * n)
    return sum(abs((right[order][which == b] - top[order][which == b]).sum()) for b in range(bins)) / n


def scores(name, rng, n, k, sharp):
    y = rng.integers(0, k, n)
    z = rng.normal(size=(n, k))
    z[np.arange(n), y] += sharp
    p = np.exp(z - z.max(1, keepdims=True))
    p = (p / p.sum(1, keepdims=True)).astype(np.float32).astype(np.float64)
    said = p.argmax(1)
    auc = metrics.roc_auc_score(y, p[:, 1]) if k == 2 else np.mean(
        [metrics.roc_auc_score(y == c, p[:, c]) for c in range(k)])
    figures = [
        metrics.accuracy_score(y, said), metrics.balanced_accuracy_score(y, said),
        metrics.f1_score(y, said, average="macro"), auc,
        -np.log(p[np.arange(n), y]).mean(), calibration(y, p)]
    with open(OUT + name, "w") as f:
        print(n, k, file=f)
        for label, row in zip(y, p):
            print(label, *["%.9g" % v for v in row], file=f)
        print(*["%.12g" % v for v in figures], file=f)


def probe(name, rng, n, d, k, strength):
    centre = rng.normal(size=(k, d)) * 0.7
    y = rng.integers(0, k, n)
    x = ((centre[y] + rng.normal(size=(n, d))) * 0.3 + rng.normal(size=d) * 2).astype(np.float32)
    x64 = x.astype(np.float64)
    mean = x64.mean(0)
    scale = np.sqrt(((x64 - mean) ** 2).mean())
    fit = LogisticRegression(C=1 / (n * strength), tol=1e-12, max_iter=100000).fit((x64 - mean) / scale, y)
    p = fit.predict_proba((x64 - mean) / scale)
    with open(OUT + name, "w") as f:
        print(n, d, k, strength, file=f)
        for label, row in zip(y, x):
            print(label, *["%.9g" % v for v in row], file=f)
        for row in p:
            print(*["%.9g" % v for v in row], file=f)


def formulas(name):
    with open(OUT + name, "w") as f:
        for right, n in [(0, 10), (10, 10), (7, 20), (300, 359), (1, 1)]:
            ci = stats.binomtest(right, n).proportion_ci(method="wilson")
            print("wilson", right, n, "%.12g %.12g" % (ci.low, ci.high), file=f)
        for a, b in [(0, 0), (5, 5), (1, 12), (30, 12), (700, 640), (0, 9)]:
            p = stats.binomtest(a, a + b).pvalue if a + b else 1
            print("mcnemar", a, b, "%.12g 0" % p, file=f)
        for t, df in [(0.5, 1), (-2, 1), (1.5, 2), (-0.3, 3), (2.1, 7), (1.96, 72), (-3, 1000),
                      (-4.01, 1000), (-4.1, 1), (-6, 7), (-12, 354), (-30, 999)]:
            print("student", t, df, "%.12g 0" % stats.t.cdf(t, df), file=f)


generator = np.random.default_rng(20260101)
scores("scores_two.txt", generator, 200, 2, 1.0)
scores("scores_four.txt", generator, 211, 4, 1.5)
probe("probe_two.txt", generator, 60, 8, 2, 1e-2)
probe("probe_three.txt", generator, 75, 6, 3, 1e-3)
formulas("formulas.txt")
