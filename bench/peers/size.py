"""Densities, principal components and logistic regression at size: genchi beside KDEpy and scikit-learn, on the
same files and processors, with the answers held against each other. Options: ROWS COLUMNS (1000000 384)."""
import json
import os
import subprocess
import sys
import time

import numpy as np

rows, cols = (int(v) for v in sys.argv[1:3]) if len(sys.argv) > 2 else (1_000_000, 384)
size = os.path.join(os.path.dirname(os.environ["GENCHI"]), "bench", "size")
folder = os.environ.get("GENCHI_PEERS_OUT", "build/peers/size")
os.makedirs(folder, exist_ok=True)


def path(name):
    return os.path.join(folder, name)


def genchi(*args):
    return json.loads(subprocess.run([size, *map(str, args)], check=True, capture_output=True, text=True).stdout)


def timed(run):
    wall, cpu = time.perf_counter(), time.process_time()
    value = run()
    return value, time.perf_counter() - wall, time.process_time() - cpu


def row(task, tool, wall, cpu, note):
    print(f"| {task} | {tool} | {wall:.2f} | {cpu:.2f} | {note} |", flush=True)


print("| task | tool | wall s | CPU s | |\n|---|---|---|---|---|")
rng = np.random.default_rng(1)

# Densities: a mixture, 256 × 256 points.
n, h = 1_000_000, 0.08
xy = rng.standard_normal((n, 2)) * np.where(rng.random((n, 1)) < 0.3, 0.4, 1.0)
xy.tofile(path("xy.f64"))
ours = genchi("density", path("xy.f64"), n, h, path("density.f64"))
grid = np.linspace(-4, 4, 256)
found = np.fromfile(path("density.f64")).reshape(256, 256)
direct_at = rng.integers(40, 216, (40, 2))  # the direct sum at some points
direct = np.array([np.exp(-0.5 * (((xy - [grid[c], grid[r]]) / h) ** 2).sum(1)).mean() / (2 * np.pi * h * h)
                   for r, c in direct_at])
off = np.abs(found[direct_at[:, 0], direct_at[:, 1]] - direct).max() / found.max()
row("KDE 2-D", "genchi", ours["wall"], ours["cpu"], f"off the direct sum by {off:.1e} of the peak")
row("KDE 1-D", "genchi", ours["wall_1d"], ours["wall_1d"], "")
try:
    from KDEpy import FFTKDE

    wide = np.linspace(-7, 7, 448)  # its grid has to hold every value
    points = np.stack(np.meshgrid(wide, wide, indexing="ij"), -1).reshape(-1, 2)
    _, wall, cpu = timed(lambda: FFTKDE(kernel="gaussian", bw=h).fit(xy).evaluate(points))
    row("KDE 2-D", "KDEpy FFTKDE", wall, cpu, "448 × 448, the same step: its grid must hold every value")
    _, wall, cpu = timed(lambda: FFTKDE(kernel="gaussian", bw=h).fit(xy[:, 0].copy()).evaluate(wide))
    row("KDE 1-D", "KDEpy FFTKDE", wall, cpu, "")
except ImportError:
    print("| KDE | KDEpy FFTKDE | – | – | not installed |")

# Embedding-like rows: a falling spectrum, off the origin.
x = np.lib.format.open_memmap(path("x.npy"), "w+", np.float32, (rows, cols))
spread = (2 / np.sqrt(1 + 0.2 * np.arange(cols))).astype(np.float32)
mean = (0.05 * (np.arange(cols) % 7)).astype(np.float32)
turn = np.linalg.qr(rng.standard_normal((cols, cols)))[0].astype(np.float32)
weight = rng.standard_normal(cols).astype(np.float32) / 8
margin = np.empty(rows, np.float32)
for at in range(0, rows, 50_000):
    z = rng.standard_normal((min(50_000, rows - at), cols), np.float32) * spread
    margin[at:at + len(z)] = z @ weight
    x[at:at + len(z)] = z @ turn + mean
y = (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(np.int32)
y.tofile(path("y.i32"))
x.flush()

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

k = 50
ours = genchi("pca", path("x.npy"), k, path("pca.f32"))
mine = np.fromfile(path("pca.f32"), np.float32).reshape(k, cols).astype(float)
data = np.load(path("x.npy"))
fit, wall, cpu = timed(lambda: PCA(k, svd_solver="randomized", random_state=0).fit(data))
peer = fit.components_.astype(float)
middle, square = data.mean(0, dtype=np.float64), np.zeros((cols, cols))
for at in range(0, rows, 50_000):
    z = data[at:at + 50_000].astype(np.float64) - middle
    square += z.T @ z
exact = np.linalg.eigh(square)[1][:, ::-1][:, :k].T


def angle(a, b):
    # sine of the largest principal angle, from the projection's remainder: exact also for small angles
    a = np.linalg.qr(a.T)[0]
    b = np.linalg.qr(b.T)[0]
    return np.linalg.norm(b - a @ (a.T @ b), 2)


row("PCA", "genchi", ours["wall"], ours["cpu"], f"largest angle to the exact subspace {angle(mine, exact):.1e}")
row("PCA", "scikit-learn randomized", wall, cpu, f"the same {angle(peer, exact):.1e}; between the two {angle(mine, peer):.1e}")

for strength in (1e-2, 1e-4):
    ours = genchi("logistic", path("x.npy"), path("y.i32"), 2, strength, path("w.f64"))
    fit = LogisticRegression(C=1 / (strength * rows), tol=1e-6, max_iter=1000)
    _, wall, cpu = timed(lambda: fit.fit(data, y))

    def objective(w, b):
        total = 0.0
        for at in range(0, rows, 100_000):
            m = data[at:at + 100_000].astype(np.float64) @ w + b
            total += np.logaddexp(0, np.where(y[at:at + 100_000] > 0, -m, m)).sum()
        return total / rows + strength / 2 * w @ w

    w = np.fromfile(path("w.f64"))
    f_ours, f_peer = objective(w[:-1], w[-1]), objective(fit.coef_[0].astype(float), float(fit.intercept_[0]))
    row(f"logistic, λ = {strength:g}", "genchi", ours["wall"], ours["cpu"], f"objective {f_ours:.9f}, {ours['evaluations']} passes")
    row(f"logistic, λ = {strength:g}", "scikit-learn lbfgs", wall, cpu,
        f"objective {f_peer:.9f}, {fit.n_iter_[0]} iterations; genchi less peer {(f_ours - f_peer) / f_peer:+.1e}")
for name in ("x.npy", "y.i32", "xy.f64"):
    os.remove(path(name))
