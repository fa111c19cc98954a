"""Golden values for src/see: weighted PCA by numpy's eigh, bandwidths by an own scipy implementation of Botev,
Grotowski & Kroese 2010 (root of t - xi gamma^[5](t) by Brent's method, not by the fixed-point iteration that
the library uses). Run: python tests/golden/make_see.py
"""
import os
import numpy as np
from math import factorial
from scipy.fft import dct
from scipy.optimize import brentq
from golden_text import write

here = os.path.dirname(__file__)


def isj(x, m=2**14):
    n, low, high = len(x), x.min(), x.max()
    span = 1.2 * (high - low)
    at = (x - (low - (high - low) / 10)) / (span / m) - 0.5
    k = np.floor(at).astype(int)
    p = np.zeros(m + 1)
    np.add.at(p, k, 1 - (at - k))
    np.add.at(p, k + 1, at - k)
    a2 = (dct(p[:m] / n, type=2)[1:] / 2) ** 2
    i2 = np.arange(1, m, dtype=float) ** 2

    def norm(s, t):
        return 2 * np.pi ** (2 * s) * np.sum(i2**s * a2 * np.exp(-i2 * np.pi**2 * t))

    def gap(t):
        f = norm(7, t)
        for s in range(6, 1, -1):
            odd = factorial(2 * s) / (2**s * factorial(s))
            time = (2 * (1 + 0.5 ** (s + 0.5)) / 3 * odd / np.sqrt(2 * np.pi) / (n * f)) ** (2 / (3 + 2 * s))
            f = norm(s, time)
        return t - (2 * n * np.sqrt(np.pi) * f) ** -0.4

    high = 0.001
    while gap(high) < 0:
        high *= 2
    return np.sqrt(brentq(gap, 1e-12, high, xtol=1e-16)) * span


def silverman(x):
    iqr = np.subtract(*np.percentile(x, [75, 25]))
    return 0.9 * min(x.std(ddof=1), iqr / 1.34) * len(x) ** -0.2


rng = np.random.default_rng(5)
out = {}
samples = {
    "normal": rng.normal(size=200),
    "bimodal": np.concatenate([rng.normal(-4, 0.5, 150), rng.normal(3, 1, 100)]),
    "skewed": rng.lognormal(size=120),
    "small": rng.normal(10, 0.01, 12),
}
for name, x in samples.items():
    x = np.round(x, 5)
    out[name] = x
    out[name + "_isj"] = isj(x)
    out[name + "_silverman"] = silverman(x)

x = np.round(rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=6) * 3, 4)
w = np.round(rng.uniform(0, 2, 40), 3)
w[3] = 0
p = w / w.sum()
mean = p @ x
cov = (x - mean).T @ ((x - mean) * p[:, None])
value, vector = np.linalg.eigh(cov)
value, vector = value[::-1], vector[:, ::-1].T
vector *= np.sign(vector[np.arange(6), np.abs(vector).argmax(1)])[:, None]
out |= {"pca_x": x, "pca_weight": w, "pca_mean": mean, "pca_direction": vector[:4], "pca_variance": value[:4],
        "pca_total": np.trace(cov), "pca_projected": (x - mean) @ vector[:4].T}
os.makedirs(here + "/see", exist_ok=True)
write(here + "/see/see.txt", out)
