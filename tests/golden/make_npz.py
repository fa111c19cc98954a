"""Golden .npz and .safetensors files of embeddings, and fuzz seeds. Run from the repository's root."""
import pathlib
import zipfile

import numpy as np
from safetensors.numpy import save_file

out = pathlib.Path("tests/golden/data")
seeds = pathlib.Path("fuzz/corpus/npz")
seeds.mkdir(parents=True, exist_ok=True)
x = np.array([[1.5, -2.25, 3], [0.25, 4, -1]], dtype=np.float32)
labels, ids = np.array(["neg", "日本"]), np.array([b"a1", b""])
np.savez(out / "plain.npz", embeddings=x, labels=labels, ids=ids, groups=np.array([7, -3]))
np.savez_compressed(out / "deflated.npz", X=x.astype(">f8"), y=np.array([True, False]), id=np.array([2, 200], dtype="u1"))
np.savez(out / "alone.npz", anything=x)
np.savez(out / "no_matrix.npz", a=x, b=x)
np.savez(out / "objects.npz", embeddings=x, labels=labels.astype(object))
np.savez(out / "fractions.npz", embeddings=x, labels=np.array([0.5, 1]))
np.savez(out / "two_dim_labels.npz", embeddings=x, labels=np.array([[1], [2]]))
np.savez(out / "three_labels.npz", embeddings=x, labels=np.array([1, 2, 3]))
with zipfile.ZipFile(out / "bzip2.npz", "w", zipfile.ZIP_BZIP2) as z:
    z.writestr("embeddings.npy", (out / "f4_le.npy").read_bytes())
save_file({"embeddings": x, "labels": np.array([3, -4], dtype=np.int64), "groups": np.array([1, 1], dtype=np.uint8)},
          out / "plain.safetensors")
save_file({"x": x.astype(np.float64)}, out / "wide.safetensors")
save_file({"embeddings": np.array([1, 2], dtype=np.float32)}, out / "flat.safetensors")
save_file({"embeddings": x, "labels": x[:, 0].copy()}, out / "real_labels.safetensors")
save_file({"embeddings": np.array([[1, np.nan]], dtype=np.float32)}, out / "nan.safetensors")
for name in ("plain", "deflated", "alone", "objects", "bzip2"):
    (seeds / name).write_bytes((out / f"{name}.npz").read_bytes())
