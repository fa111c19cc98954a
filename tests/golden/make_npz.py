"""Golden .npz and .safetensors files of embeddings, and fuzz seeds. Run from the repository's root."""
import json
import pathlib
import zipfile

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

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

# Two sets in every form that holds the same numbers: all are multiples of 1/16 below 8, so that bfloat16 is exact.
folder = out / "vectors"
folder.mkdir(exist_ok=True)
r = np.random.default_rng(11)
for name, shift in (("train", 0.0), ("test", 0.75)):
    y = r.integers(0, 2, 60)
    v = np.clip(np.round((r.normal(size=(60, 4)) + shift + y[:, None]) * 16), -127, 127) / 16
    ids, groups = np.arange(60) + 100, np.arange(60) // 2
    (folder / f"{name}.labels.txt").write_text("".join(f"{k}\n" for k in y))
    np.save(folder / f"{name}.f4.npy", v.astype("<f4"))
    np.save(folder / f"{name}.f2.npy", v.astype("<f2"))
    np.save(folder / f"{name}.fortran.npy", np.asfortranarray(v.astype(">f8")))
    np.save(folder / f"{name}.bf16.npy", (v.astype("<f4").view("<u4") >> 16).astype("<u2"))
    (folder / f"{name}.bf16.npy.json").write_text(json.dumps({"schema": "genchi.embeddings/1", "type": "bfloat16"}) + "\n")
    np.savez(folder / f"{name}.plain.npz", embeddings=v.astype("<f2"), labels=y, ids=ids)
    np.savez_compressed(folder / f"{name}.words.npz", vectors=v, target=y.astype(str), id=ids.astype(str))
    save_file({"embeddings": v.astype("<f2"), "labels": y, "ids": ids}, folder / f"{name}.f16.safetensors")
    save_torch({"x": torch.tensor(v).bfloat16(), "y": torch.tensor(y, dtype=torch.int8)}, folder / f"{name}.bf16.safetensors")
    np.savez(folder / f"{name}.grouped.npz", embeddings=v.astype("<f4"), labels=y, ids=ids, groups=groups)
    save_file({"embeddings": v, "labels": y.astype("u1"), "groups": groups}, folder / f"{name}.grouped.safetensors")
