"""Densities, principal components and logistic regression at size: genchi beside KDEpy and scikit-learn, on the
same files and processors, with the answers held against each other.

Usage: size.py [STEP …]; without one, every step in turn. ROWS and COLUMNS (1000000 384) come from the environment. Each
step takes some seconds to some minutes, so that they can be run one at a time; the data are made once, results
gather in size.json in the folder of the data, and `table` prints them."""
import json
import os
import subprocess
import sys
import time

import numpy as np

rows, cols = int(os.environ.get("ROWS", 1_000_000)), int(os.environ.get("COLUMNS", 384))
size = os.path.join(os.path.dirname(os.environ["GENCHI"]), "bench", "size")
folder = os.environ.get("GENCHI_PEERS_OUT", "build/peers/size")
os.makedirs(folder, exist_ok=True)
POINTS, BANDWIDTH, COMPONENTS, BLOCK = 1_000_000, 0.08, 50, 50_000
grid = np.linspace(-4, 4, 256)


def path(name):
    return os.path.join(folder, name)


def genchi(*args):
    return json.loads(subprocess.run([size, *map(str, args)], check=True, capture_output=True, text=True).stdout)


def timed(run):
    wall, cpu = time.perf_counter(), time.process_time()
    value = run()
    return value, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def results():
    if not os.path.exists(path("size.json")):
        return {}
    with open(path("size.json"), encoding="utf-8") as f:
        return json.load(f)


def note(name, **values):
    all_of_them = results()
    all_of_them[name] = values
    with open(path("size.json"), "w", encoding="utf-8") as f:
        json.dump(all_of_them, f, indent=1)
    print(name, values, flush=True)


def data():
    return np.load(path("x.npy"), mmap_mode="r")


def labels():
    return np.fromfile(path("y.i32"), np.int32)


# ---- the data: a mixture in the plane; embedding-like rows with a falling spectrum, off the origin --------------

def make():
    rng = np.random.default_rng(1)
    (rng.standard_normal((POINTS, 2)) * np.where(rng.random((POINTS, 1)) < 0.3, 0.4, 1.0)).tofile(path("xy.f64"))
    x = np.lib.format.open_memmap(path("x.npy"), "w+", np.float32, (rows, cols))
    spread = (2 / np.sqrt(1 + 0.2 * np.arange(cols))).astype(np.float32)
    mean = (0.05 * (np.arange(cols) % 7)).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((cols, cols)))[0].astype(np.float32)
    weight = rng.standard_normal(cols).astype(np.float32) / 8
    margin = np.empty(rows, np.float32)
    for at in range(0, rows, BLOCK):
        z = rng.standard_normal((min(BLOCK, rows - at), cols), np.float32) * spread
        margin[at:at + len(z)] = z @ weight
        x[at:at + len(z)] = z @ turn + mean
    (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(np.int32).tofile(path("y.i32"))
    x.flush()


# ---- densities ----------------------------------------------------------------------------------------------

def density():
    xy = np.fromfile(path("xy.f64")).reshape(-1, 2)
    ours = genchi("density", path("xy.f64"), POINTS, BANDWIDTH, path("density.f64"))
    found = np.fromfile(path("density.f64"))
    plane, line = found[:256 * 256].reshape(256, 256), found[256 * 256:]
    at = np.random.default_rng(2).integers(40, 216, (60, 2))  # the direct sum at some points
    direct = np.array([np.exp(-0.5 * (((xy - [grid[c], grid[r]]) / BANDWIDTH) ** 2).sum(1)).mean()
                       / (2 * np.pi * BANDWIDTH ** 2) for r, c in at])
    along = np.array([np.exp(-0.5 * ((xy[:, 0] - g) / BANDWIDTH) ** 2).mean() for g in grid[::4]])
    along /= np.sqrt(2 * np.pi) * BANDWIDTH
    note("KDE 2-D, genchi", wall=ours["wall"], cpu=ours["cpu"],
         note=f"off the direct sum by {np.abs(plane[at[:, 0], at[:, 1]] - direct).max() / plane.max():.1e} of the peak")
    note("KDE 1-D, genchi", wall=ours["wall_1d"], cpu=ours["cpu_1d"],
         note=f"off the direct sum by {np.abs(line[::4] - along).max() / line.max():.1e} of the peak")


def density_kdepy():
    from KDEpy import FFTKDE

    xy = np.fromfile(path("xy.f64")).reshape(-1, 2)
    wide = np.linspace(-7, 7, 448)  # its grid has to hold every value
    points = np.stack(np.meshgrid(wide, wide, indexing="ij"), -1).reshape(-1, 2)
    _, t = timed(lambda: FFTKDE(kernel="gaussian", bw=BANDWIDTH).fit(xy).evaluate(points))
    note("KDE 2-D, KDEpy FFTKDE", **t, note="448 × 448, the same step: its grid must hold every value")
    x = xy[:, 0].copy()
    _, t = timed(lambda: FFTKDE(kernel="gaussian", bw=BANDWIDTH).fit(x).evaluate(wide))
    note("KDE 1-D, KDEpy FFTKDE", **t, note="448 points")


# ---- principal components -----------------------------------------------------------------------------------

def pca_exact():
    x, square = data(), np.zeros((cols, cols))
    middle = np.zeros(cols)
    for at in range(0, rows, BLOCK):
        middle += x[at:at + BLOCK].sum(0, dtype=np.float64) / rows
    for at in range(0, rows, BLOCK):
        z = x[at:at + BLOCK].astype(np.float64) - middle
        square += z.T @ z
    np.linalg.eigh(square)[1][:, ::-1][:, :COMPONENTS].T.astype(np.float64).tofile(path("exact.f64"))


def angle(a):
    # sine of the largest principal angle, from the projection's remainder: exact also for small angles
    a = np.linalg.qr(a.T)[0]
    b = np.fromfile(path("exact.f64")).reshape(COMPONENTS, cols).T
    return np.linalg.norm(b - a @ (a.T @ b), 2)


def pca():
    ours = genchi("pca", path("x.npy"), COMPONENTS, path("pca.f32"))
    mine = np.fromfile(path("pca.f32"), np.float32).reshape(COMPONENTS, cols).astype(float)
    note("PCA, genchi", **ours, note=f"largest angle to the exact subspace {angle(mine):.1e}")


def pca_sklearn():
    from sklearn.decomposition import PCA

    x = data()
    np.asarray(x).sum()  # the file is in memory for both
    fit, t = timed(lambda: PCA(COMPONENTS, svd_solver="randomized", random_state=0).fit(x))
    note("PCA, scikit-learn randomized", **t,
         note=f"largest angle to the exact subspace {angle(fit.components_.astype(float)):.1e}")


# ---- logistic regression ------------------------------------------------------------------------------------

def objective(w, b, strength):
    x, y, total = data(), labels(), 0.0
    for at in range(0, rows, BLOCK):
        m = x[at:at + BLOCK].astype(np.float64) @ w + b
        total += np.logaddexp(0, np.where(y[at:at + BLOCK] > 0, -m, m)).sum()
    return total / rows + strength / 2 * w @ w


def logistic(strength):
    ours = genchi("logistic", path("x.npy"), path("y.i32"), 2, strength, path("w.f64"))
    w = np.fromfile(path("w.f64"))
    note(f"logistic λ = {strength:g}, genchi", wall=ours["wall"], cpu=ours["cpu"],
         objective=objective(w[:-1], w[-1], strength), note=f"{ours['evaluations']} passes")


def logistic_sklearn(strength, tolerance, kind):
    from sklearn.linear_model import LogisticRegression

    x, y = np.load(path("x.npy")).astype(kind, copy=False), labels()
    fit = LogisticRegression(C=1 / (strength * rows), tol=tolerance, max_iter=1000)
    _, t = timed(lambda: fit.fit(x, y))
    note(f"logistic λ = {strength:g}, scikit-learn lbfgs, {kind}, tol {tolerance:g}", **t,
         objective=objective(fit.coef_[0].astype(float), float(fit.intercept_[0]), strength),
         note=f"{fit.n_iter_[0]} iterations")


def path_of_strengths():
    ours = genchi("path", path("x.npy"), path("y.i32"), 10, 20)
    note("logistic, 10 folds × 20 strengths, genchi", **ours)


def path_sklearn():
    """scikit-learn's own cross-validation over the same strengths, on a part: every 20th row, 2 folds."""
    from sklearn.linear_model import LogisticRegressionCV

    x, y = np.load(path("x.npy"))[::20].copy(), labels()[::20]
    n = len(x) / 2  # rows that a fit sees
    strengths = 10 ** np.linspace(0, -6, 20)
    fit = LogisticRegressionCV(Cs=1 / (strengths * n), cv=2, scoring="neg_log_loss", refit=False, max_iter=1000)
    _, t = timed(lambda: fit.fit(x, y))
    scale = rows * 9 / n / 2  # ten fits of nine tenths of the rows
    note("logistic, 10 folds × 20 strengths, scikit-learn LogisticRegressionCV", wall=t["wall"] * scale,
         cpu=t["cpu"] * scale, note=f"scaled from {t['wall']:.1f} s for 2 folds of {n:,.0f} rows by the rows of all fits")


def table():
    found = results()
    print(f"| {rows:,} rows, {cols} columns | wall s | CPU s | |\n|---|--:|--:|---|")
    least = {}
    for name, r in found.items():
        if "objective" in r:
            task = name.split(",")[0]
            least[task] = min(least.get(task, np.inf), r["objective"])
    for name, r in sorted(found.items()):
        extra = r.get("note", "")
        if "objective" in r:
            best = least[name.split(",")[0]]
            extra += f"; objective {r['objective']:.9f}, above the least by {(r['objective'] - best) / best:.1e}"
        print(f"| {name} | {r['wall']:.3f} | {r['cpu']:.3f} | {extra} |")


steps = {
    "make": make,
    "density": density,
    "density-kdepy": density_kdepy,
    "pca-exact": pca_exact,
    "pca": pca,
    "pca-sklearn": pca_sklearn,
    "logistic-2": lambda: logistic(1e-2),
    "logistic-4": lambda: logistic(1e-4),
    "logistic-6": lambda: logistic(1e-6),
    # scikit-learn's usual tolerance is 1e-4; the finer ones show which of them brings its objective within 1e-6. On
    # float32 rows it may stop short of that, however fine: then on float64
    **{f"logistic-{-power}-sklearn-{kind}-{tolerance}":
       lambda s=10.0 ** power, t=float(tolerance), k=kind: logistic_sklearn(s, t, k)
       for power in (-2, -4) for kind in ("float32", "float64") for tolerance in ("1e-4", "3e-5", "1e-5", "1e-6")},
    "path": path_of_strengths,
    "path-sklearn": path_sklearn,
    "table": table,
}
wanted = sys.argv[1:] or list(steps)
for step in wanted:
    if step not in steps:
        sys.exit(f"size.py: no step {step}; there are: {' '.join(steps)}")
    if step == "make" and len(wanted) > 1 and os.path.exists(path("x.npy")):
        continue
    steps[step]()
