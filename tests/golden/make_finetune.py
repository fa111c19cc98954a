"""Makes tests/golden/verify/finetune.txt: transfer scores and alignments by other ways than genchi's.

LogME: the evidence maximised by scipy.optimize over its closed form with explicit matrices; the H-scores with
scikit-learn's Ledoit-Wolf; CKA from explicit kernel matrices. Run from the repository's root:
python tests/golden/make_finetune.py. Versions: tests/golden/requirements.txt
"""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

OUT = "tests/golden/verify/finetune.txt"


def logme(f, y):
    """y ~ N(0, F F'/a + I/b), maximised over log a and log b for every class."""
    n = len(f)

    def negative(t, column):
        a, b = np.exp(t)
        return -multivariate_normal(np.zeros(n), f @ f.T / a + np.eye(n) / b).logpdf(column) / n

    scores = []
    for c in np.unique(y):
        column = (y == c).astype(float)
        best = min((minimize(negative, start, (column,), method="Nelder-Mead",
                             options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000})
                    for start in ([0, 0], [3, 1], [-3, 2])), key=lambda r: r.fun)
        scores.append(-best.fun)
    return np.mean(scores)


def hscores(f, y):
    between = np.zeros_like(f)
    for c in np.unique(y):
        between[y == c] = f[y == c].mean(0)
    sigma_b = np.cov(between, rowvar=False, bias=True)
    plain = np.trace(np.linalg.pinv(np.cov(f, rowvar=False, bias=True), rcond=1e-12) @ sigma_b)
    shrunk = LedoitWolf().fit(f)
    a = shrunk.shrinkage_
    return plain, np.trace(np.linalg.inv(shrunk.covariance_) @ sigma_b) * (1 - a), a


def cka(x, y):
    n = len(x)
    k, l = x @ x.T, y @ y.T
    h = np.eye(n) - 1 / n
    plain = np.trace(k @ h @ l @ h) / np.sqrt(np.trace(k @ h @ k @ h) * np.trace(l @ h @ l @ h))

    def hsic(a, b):
        a, b = a - np.diag(np.diag(a)), b - np.diag(np.diag(b))
        one = np.ones(n)
        return (np.trace(a @ b) + (one @ a @ one) * (one @ b @ one) / (n - 1) / (n - 2)
                - 2 / (n - 2) * (one @ a @ b @ one)) / n / (n - 3)

    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l)), plain


def put(f, name, values):
    values = np.ravel(values)
    print(name, len(values), file=f)
    print(*["%.12g" % v for v in values], file=f)


rng = np.random.default_rng(20260)
with open(OUT, "w") as out:
    for name, n, d, k in (("two", 60, 8, 2), ("three", 90, 12, 3), ("wide", 20, 30, 2)):
        y = rng.integers(0, k, n)
        f = (rng.normal(size=(n, d)) + 0.9 * rng.normal(size=(k, d))[y] + 0.5).astype(np.float32)
        put(out, name + ".x", f)
        put(out, name + ".y", y)
        f = f.astype(float)
        put(out, name + ".scores", [logme(f, y), *hscores(f, y)])
    x = rng.normal(size=(40, 6)).astype(np.float32)
    z = (x @ rng.normal(size=(6, 9)) + 1.5 * rng.normal(size=(40, 9)) + 3).astype(np.float32)
    put(out, "cka.x", x)
    put(out, "cka.z", z)
    put(out, "cka", cka(x.astype(float), z.astype(float)))
