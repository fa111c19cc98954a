"""Golden coefficients for src/tensor/logistic.c from scikit-learn's LogisticRegression.

Its objective is C * sum_i s_i loss_i + ||W||^2 / 2, ours sum s_i loss_i / sum s_i + lambda / 2 ||W||^2, so
C = 1 / (lambda * sum s_i). Run: python tests/golden/make_logistic.py
"""
import os
import numpy as np
from sklearn.linear_model import LogisticRegression
from golden_text import write

rng = np.random.default_rng(11)
n, d, lam, scale = 90, 5, 0.02, 1.7
x = np.round(rng.normal(size=(n, d)) * [1, 2, 0.5, 1, 3] + 2, 3)
mean = np.round(x.mean(0), 3)
s = np.round(rng.uniform(0.2, 3, n), 2)
y2 = (x[:, 0] + 0.5 * x[:, 1] + rng.normal(size=n) > 3).astype(int)
y3 = np.clip(np.round(x[:, 4] / 4 + rng.normal(size=n) * 0.7), 0, 2).astype(int)
out = {"x": x, "mean": mean, "weight": s, "y2": y2, "y3": y3, "lambda": lam, "scale": scale}
z = (x - mean) / scale
for name, y in (("coef2", y2), ("coef3", y3)):
    m = LogisticRegression(C=1 / (lam * s.sum()), tol=1e-12, max_iter=10000).fit(z, y, sample_weight=s)
    out[name] = np.hstack([m.coef_, m.intercept_[:, None]])
write(os.path.join(os.path.dirname(__file__), "logistic/sklearn.txt"), out)
