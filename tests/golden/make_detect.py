"""Golden values for src/detect: AUC and variance by the definitions (all pairs), without the midrank shortcut of
the library. Run: python tests/golden/make_detect.py
"""
import os
import numpy as np
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from golden_text import write

here = os.path.dirname(__file__)


def auc(neg, pos, cn, cp):
    """Obuchowski 1997; with every row its own cluster, DeLong et al. 1988."""
    psi = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    theta, v10, v01 = psi.mean(), psi.mean(1), psi.mean(0)
    ids = np.unique(np.concatenate([cn, cp]))
    a = np.array([(v10[cp == c] - theta).sum() for c in ids])
    b = np.array([(v01[cn == c] - theta).sum() for c in ids])
    ip, im = len(np.unique(cp)), len(np.unique(cn))
    m, n = len(pos), len(neg)
    both = len(np.intersect1d(cn, cp)) > 0
    var = ip / (ip - 1) * (a**2).sum() / m**2 + im / (im - 1) * (b**2).sum() / n**2
    var += 2 * (len(ids) / (len(ids) - 1) if both else 1) * (a * b).sum() / (m * n)
    l, half = np.log(theta / (1 - theta)), norm.ppf(0.975) * np.sqrt(var) / (theta * (1 - theta))
    y = np.r_[np.zeros(n), np.ones(m)]
    assert abs(roc_auc_score(y, np.r_[neg, pos]) - theta) < 1e-12
    return theta, 1 / (1 + np.exp(-(l - half))), 1 / (1 + np.exp(-(l + half)))


rng = np.random.default_rng(8)
neg, pos = np.round(rng.normal(size=60), 1), np.round(rng.normal(0.8, 1.3, 35), 1)
cn, cp = rng.integers(0, 20, 60), rng.integers(0, 20, 35)
out = {"negative": neg, "positive": pos, "cluster_negative": cn, "cluster_positive": cp,
       "plain": auc(neg, pos, np.arange(60), 100 + np.arange(35)), "clustered": auc(neg, pos, cn, cp),
       "apart": auc(neg, pos, cn, 100 + cp)}
os.makedirs(here + "/detect", exist_ok=True)
write(here + "/detect/auc.txt", out)
