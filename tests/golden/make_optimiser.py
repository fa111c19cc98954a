"""Golden steps for src/tensor/optimiser.c: torch.optim.AdamW with two groups (a decayed one, and one without decay
and with a rate of its own), torch.nn.utils.clip_grad_norm_, and transformers' schedules.

Run: python tests/golden/make_optimiser.py        (versions: tests/golden/requirements.txt)
"""
import math
import os

import numpy as np
import torch
from transformers import (get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup,
                          get_linear_schedule_with_warmup)

from golden_text import write

N, STEPS, WARMUP, CLIP = (7, 5), 12, 3, 1.5
torch.manual_seed(5)
rng = np.random.default_rng(5)
start = [np.round(rng.normal(size=n), 3).astype(np.float32) for n in N]
gradient = np.round(rng.normal(size=(STEPS, sum(N))) * np.geomspace(0.01, 3, STEPS)[:, None], 4).astype(np.float32)
p = [torch.nn.Parameter(torch.tensor(x)) for x in start]
optimiser = torch.optim.AdamW([{"params": [p[0]], "lr": 0.05, "weight_decay": 0.1},
                               {"params": [p[1]], "lr": 0.2, "weight_decay": 0.0}], betas=(0.9, 0.98), eps=1e-6)
schedule = get_linear_schedule_with_warmup(optimiser, WARMUP, STEPS)
values, norms = [], []
for g in gradient:
    p[0].grad, p[1].grad = torch.tensor(g[:N[0]]), torch.tensor(g[N[0]:])
    norms.append(float(torch.nn.utils.clip_grad_norm_(p, CLIP)))
    optimiser.step()
    schedule.step()
    values.append(torch.cat([x.detach() for x in p]).numpy().copy())
out = {"size": np.array(N), "start": np.concatenate(start), "gradient": gradient, "norm": np.array(norms),
       "value": np.array(values)}
for name, make in (("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup),
                   ("constant", get_constant_schedule_with_warmup)):
    for warmup in (0, 4):
        o = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        s = make(o, warmup) if name == "constant" else make(o, warmup, 11)
        factor = []
        for _ in range(12):
            factor.append(s.get_last_lr()[0])
            o.step()
            s.step()
        out[f"{name}{warmup}"] = np.array(factor)
out["warmup"] = np.array([math.ceil(11 * 0.1)])
write(os.path.join(os.path.dirname(__file__), "optimiser/torch.txt"), out)
