"""Two-sample tests of other libraries against genchi's, same data, same cores: `make bench-peers`.

Usage: detect.py [NAME …] (all); ROWS COLUMNS PERMUTATIONS SECONDS (5000 384 1000 60) come from the environment, and
GENCHI_DETECT_SPEED names genchi's program. Prints rows of a Markdown table of wall and processor seconds. A peer whose permutations would
take longer than SECONDS runs a few permutations and its time is scaled: its cost is one matrix, once, and
then the same work for every permutation. The table says where that was done and how many they were."""
import os
import subprocess
import sys
import time

import numpy as np

bench = os.environ["GENCHI_DETECT_SPEED"]
n, d, permutations = (int(os.environ.get(name, usual)) for name, usual in
                      (("ROWS", 5000), ("COLUMNS", 384), ("PERMUTATIONS", 1000)))
limit = float(os.environ.get("SECONDS", 60))
rng = np.random.default_rng(1)
x = rng.standard_normal((n, d), dtype=np.float32)
y = rng.standard_normal((n, d), dtype=np.float32)


def clock():
    return np.array([time.perf_counter(), time.process_time()])


def scaled(run):
    """run(k): the test with k permutations. Wall and processor seconds of all of them."""
    run(1)  # with what happens once a process
    t = clock()
    run(1)
    one = clock() - t
    # Enough permutations to be told from the noise of the work that is done once.
    more, enough = 1, max(limit / 6, one[0] / 4)
    while True:
        t = clock()
        run(1 + more)
        extra = clock() - t - one
        if extra[0] >= enough or more >= permutations:
            break
        more = min(permutations, more * 4)
    each = extra / more
    whole = one + each * (permutations - 1)
    if whole[0] > limit:
        return whole, f"scaled from {more} permutations of {each[0]:.2f} s"
    t = clock()
    run(permutations)
    return clock() - t, ""


def genchi(test):
    def run():
        t = subprocess.run([bench, test, str(n), str(n), str(d), str(permutations)], capture_output=True, text=True, check=True)
        wall, cpu, memory = t.stdout.split(": ")[1].split(", ")[:3]
        return (float(wall.split()[0]), float(cpu.split()[0])), memory

    return run


def alibi():
    from alibi_detect.cd import MMDDrift

    return scaled(lambda k: MMDDrift(x, backend="pytorch", n_permutations=k, device="cpu").predict(y))


def alibi_loop():
    """The loop of alibi-detect's PyTorch backend: the kernel matrix once, then shuffled copies of it."""
    import torch

    def run(k):
        z = torch.from_numpy(np.concatenate([x, y]))
        sq = torch.cdist(z, z).square_()
        kernel = torch.exp(-sq / (2.0 * d))
        kernel.fill_diagonal_(0)

        def mmd(kk):
            return kk[:n, :n].sum() / (n * (n - 1)) + kk[n:, n:].sum() / (n * (n - 1)) - 2 * kk[n:, :n].mean()

        mmd(kernel)
        for _ in range(k):
            p = torch.randperm(2 * n)
            mmd(kernel[p][:, p])

    return scaled(run)


def hyppo():
    from hyppo.ksample import KSample

    return scaled(lambda k: KSample("Hsic").test(x, y, reps=k, workers=1, auto=False))


def sklearn_scipy():
    """rbf_kernel once, scipy.stats.permutation_test over labels."""
    from scipy.stats import permutation_test
    from sklearn.metrics.pairwise import rbf_kernel

    def run(k):
        z = np.concatenate([x, y])
        kernel = rbf_kernel(z, gamma=1 / (2.0 * d))

        def statistic(a, b):
            a, b = a.astype(int), b.astype(int)
            return kernel[np.ix_(a, a)].mean() + kernel[np.ix_(b, b)].mean() - 2 * kernel[np.ix_(a, b)].mean()

        permutation_test((np.arange(n), np.arange(n, 2 * n)), statistic, n_resamples=k, vectorized=False)

    return scaled(run)


def numpy_product():
    """What a careful NumPy user would write: all labellings in one product."""
    z = np.concatenate([x, y])
    t = clock()
    sq = (z * z).sum(1)
    kernel = np.exp(-(sq[:, None] + sq[None] - 2 * z @ z.T) / (2.0 * d))
    np.fill_diagonal(kernel, 0)
    s = np.full((2 * n, permutations + 1), -1 / n, dtype=np.float32)
    s[n:] = 1 / n
    for k in range(1, permutations + 1):
        rng.shuffle(s[:, k])
    ((kernel @ s) * s).sum(0)
    return clock() - t, ""


def pot():
    import ot

    def run(k):
        for _ in range(k + 1):
            p = rng.permutation(2 * n)
            z = np.concatenate([x, y])[p]
            ot.sliced_wasserstein_distance(z[:n], z[n:], n_projections=128, p=1)

    return scaled(run)


def ks():
    """scipy.stats.ks_2samp column by column, largest statistic, rows shuffled."""
    from scipy.stats import ks_2samp

    def run(k):
        for _ in range(k + 1):
            z = np.concatenate([x, y])[rng.permutation(2 * n)]
            ks_2samp(z[:n], z[n:], axis=0, method="asymp").statistic.max()

    return scaled(run)


def energy():
    """Pairwise distances once, the energy statistic of shuffled labels with NumPy: what dcor and hyppo do."""
    from scipy.spatial.distance import cdist

    z = np.concatenate([x, y])

    def run(k):
        dist = cdist(z, z)
        for _ in range(k + 1):
            p = rng.permutation(2 * n)
            a, b = p[:n], p[n:]
            2 * dist[np.ix_(a, b)].mean() - dist[np.ix_(a, a)].mean() - dist[np.ix_(b, b)].mean()

    return scaled(run)


peers = {
    "mmd-exact": ("genchi mmd-exact, 5 bandwidths", genchi("mmd-exact")),
    "mmd-one": ("genchi mmd-exact, 1 bandwidth", genchi("mmd-one")),
    "energy": ("genchi energy", genchi("energy")),
    "sliced-wasserstein": ("genchi sliced-wasserstein", genchi("sliced-wasserstein")),
    "ks": ("genchi ks", genchi("ks")),
    "mmd-fuse": ("genchi mmd-fuse, 20 kernels", genchi("mmd-fuse")),
    "mmd-rff": ("genchi mmd-rff", genchi("mmd-rff")),
    "alibi": ("alibi-detect MMDDrift, PyTorch, 1 bandwidth", alibi),
    "torch": ("the same loop in PyTorch", alibi_loop),
    "hyppo": ("hyppo KSample(Hsic)", hyppo),
    "scipy": ("scikit-learn rbf_kernel + SciPy permutation_test, 1 bandwidth", sklearn_scipy),
    "numpy": ("NumPy, one product with sign vectors, 1 bandwidth", numpy_product),
    "scipy-energy": ("SciPy cdist, energy distance of shuffled labels", energy),
    "pot": ("POT sliced_wasserstein_distance, shuffled", pot),
    "scipy-ks": ("SciPy ks_2samp of every column, shuffled", ks),
}
wanted = sys.argv[1:] or list(peers)
print(f"| {n:,} + {n:,} rows, {d} columns, {permutations} permutations | wall s | CPU s | |\n|---|--:|--:|---|")
for name in wanted:
    title, run = peers[name]
    try:
        seconds, note = run()
        print(f"| {title} | {seconds[0]:.2f} | {seconds[1]:.2f} | {note} |", flush=True)
    except Exception as e:  # a peer that does not install or fails is told, not hidden
        print(f"| {title} | – | – | {type(e).__name__}: {str(e)[:100]} |", flush=True)
