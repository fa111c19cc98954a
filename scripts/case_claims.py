#!/usr/bin/env python3
"""The tables and the judgements of docs/case-sentiment140.md's second half, from the result.json that
scripts/case-finetune.sh leaves: python3 scripts/case_claims.py case-finetune/result.json

A claim about methods counts as confirmed where every method's interval rules a worthwhile gain over the probe out, as
contradicted where some method helps (its interval above zero, and Holm's correction at 0.05), else it cannot be told.
"""

import json
import sys

NAMES = {"lp": "probe", "full": "full", "lora": "LoRA", "lp-ft": "LP-FT", "last-k": "last layers"}
FOLDS = {"test": "ordinary folds", "test_grouped": "query terms kept whole"}


def share(i):
    return "%.3f [%.3f, %.3f]" % (i["estimate"], i["low"], i["high"])


def points(d):
    return "%+.1f [%+.1f, %+.1f]" % tuple(100 * d[k] for k in ("difference", "low", "high"))


def judge(differences, worthwhile):
    if any(d["answer"] == "helps" and not (d["p_holm"] or 0) > 0.05 for d in differences):
        return "contradicted"
    if all(d["high"] < worthwhile for d in differences):
        return "confirmed"
    return "cannot tell"


result = json.load(open(sys.argv[1]))
tuning = result["finetune"]
methods = tuning["methods"]

print("| trained on | method | held-out train | test, ordinary folds | test, query terms whole |")
print("|---|---|---|---|---|")
for m in methods:
    cells = [share(m[k]["accuracy"]) if m[k]["available"] else "–" for k in ("heldout", "test", "test_grouped")]
    print("|", m["trained_on"], "|", NAMES[m["name"]], "|", " | ".join(cells), "|")

print("\n| trained on | method | against the probe, ordinary folds | answer | query terms whole | answer | rows that would tell |")
print("|---|---|---|---|---|---|---|")
for m in methods:
    if m["name"] == "lp":
        continue
    plain, grouped = m["test"]["vs_probe"], m["test_grouped"]["vs_probe"]
    needed = grouped["rows_needed"] or ("no number; %d seeds" % grouped["seeds_needed"] if grouped["seeds_needed"] else "–")
    print("|", m["trained_on"], "|", NAMES[m["name"]], "|", points(plain), "|", plain["answer"], "|", points(grouped), "|",
          grouped["answer"], "|", needed, "|")

print("\n| trained on | method | test − held-out train | weights moved | CKA, held-out / test | shift AUC before → after | core-hours | tokens |")
print("|---|---|---|---|---|---|---|---|")
for m in methods:
    change = m["layer_change"]
    moved = "%.4f" % (sum(change) / len(change)) if change else "–"
    shift = m["shift"]
    auc = "%.2f → %.2f" % (shift["auc_before"]["estimate"], shift["auc_after"]["estimate"]) if shift else "–"
    gap = m["gap"]
    print("|", m["trained_on"], "|", NAMES[m["name"]], "| %+.1f [%+.1f, %+.1f]" % tuple(
        100 * (gap[k] if gap[k] is not None else float("nan")) for k in ("estimate", "low", "high")), "|", moved, "| %s / %s" % tuple(
            "–" if m[k] is None else "%.3f" % m[k] for k in ("cka_heldout", "cka_test")), "|", auc, "| %.3f" % (m["cost"]["core_seconds"] / 3600),
          "| %d |" % (m["cost"]["tokens"] + m["cost"]["forward_tokens"]))

print("\nLogME, H-score, shrunk H-score: train %.3f, %.3f, %.3f; test %.3f, %.3f, %.3f" % tuple(
    tuning[k][s] for k in ("transfer_train", "transfer_test") for s in ("logme", "hscore", "hscore_shrunk")))

print("\nClaims")
shift = result["shift"]
if shift:
    print("(1) apart: %s; AUC %.2f [%.2f, %.2f], p = %s" % (shift["answer"], *(shift["auc"][k] for k in ("estimate", "low", "high")),
                                                     shift["p_value"]))
for name, folds in FOLDS.items():
    print("\n%s:" % folds)
    for m in methods:
        if m["name"] == "lp" and m["trained_on"] == "train" and m[name]["vs_test_probe"]["available"]:
            print("(2) probe on train − probe on test:", points(m[name]["vs_test_probe"]), m[name]["vs_test_probe"]["answer"])
    for claim, sources in (("(3) trained on train", ("train",)), ("(4) whatever it is trained on", ("train", "test", "mix"))):
        d = [m[name]["vs_probe"] for m in methods if m["name"] != "lp" and m["trained_on"] in sources and m[name]["available"]]
        print(claim, "no gain over the probe:", judge(d, tuning["worthwhile"]))
