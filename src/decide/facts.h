/* The few facts that the rules look at, each yes, no or unknown, derived from all the evidence. */
#ifndef GENCHI_DECIDE_FACTS_H
#define GENCHI_DECIDE_FACTS_H

#include "core/core.h"
#include "genchi/decide.h"

/* Bits, so that a rule's cell can allow several. */
typedef enum gn__truth { GN__NO = 1, GN__YES = 2, GN__UNKNOWN = 4 } gn__truth;

/* X(NAME, column title, definition as docs/verdicts.md prints it) */
#define GN__FACT_LIST(X)                                                                                    \
    X(LABELLED, "labelled",                                                                                 \
      "Both sets have labels of at least two classes, so that a probe fitted on train can be judged on "    \
      "test. Never unknown.")                                                                               \
    X(DIFFERENT, "different",                                                                               \
      "The shift's answer in the model's own space: `different` is yes, `equivalent` is no, "               \
      "`not_enough_data` is unknown.")                                                                      \
    X(SEPARATES, "separates",                                                                               \
      "A linear probe on the frozen model tells the test labels apart: the probe cross-validated within "   \
      "test (whole groups where a group column was named), or the one fitted on train, *reaches* the bar "  \
      "(see below). Yes if either does, no if the cross-validated one does not and the other does not "     \
      "either or could not be run, else unknown. A cross-validated score that falls to the majority class " \
      "when whole clusters are held out, and no group column to settle it, counts as unknown; so does one " \
      "whose named groups could not be held out whole.")                                                    \
    X(CARRIES, "carries",                                                                                   \
      "What train teaches holds on test: the probe fitted on train beats the majority class there, and "    \
      "loses at most `loss` accuracy against the probe cross-validated within test, with the interval's "   \
      "high end at most `worst_loss` (a non-inferiority test on the same rows). No if it does not beat "    \
      "the majority class by estimate, or loses more than `loss` and the interval excludes zero. Else "     \
      "unknown.")                                                                                           \
    X(TRAIN_REACHES, "train reaches", "The probe fitted on train *reaches* the bar on test by itself.")     \
    X(TUNED, "tuned",                                                                                       \
      "Fine-tuning was tried and judged beside the probe on the same test rows (`--fine-tune`). Never "     \
      "unknown.")                                                                                           \
    X(TUNING_HELPS, "tuning helps",                                                                         \
      "Some way of fine-tuning, on train, on test or on both, gets more of the same test rows right than "  \
      "the probe fitted on the same rows: the interval over rows and seeds lies above zero (answer "        \
      "`helps`), and Holm's correction over all that was tried leaves p at most 0.05. No if every "         \
      "interval's high end lies below the difference that would be worthwhile. Else unknown.")

typedef enum gn__fact {
#define GN__FACT_ENUM(name, title, definition) GN__FACT_##name,
    GN__FACT_LIST(GN__FACT_ENUM)
#undef GN__FACT_ENUM
        GN__FACT_COUNT
} gn__fact;

/* X(name, value, what it bounds) */
#define GN__THRESHOLD_LIST(X)                                                                \
    X(auc, 0.80, "A probe *reaches* the bar when its AUC is at least this, …")               \
    X(avoided, 1.0 / 3, "… it avoids at least this share of the majority class's errors, …") \
    X(width, 0.15,                                                                           \
      "… and beats the majority class (paired interval above zero). It does not reach it " \
      "when an interval's high end lies below either bar, or an estimate does and the "      \
      "accuracy's 95 % interval is at most this wide. Else unknown.")                        \
    X(loss, 0.05, "Accuracy that train may cost against test's own labels.")                 \
    X(worst_loss, 0.10, "The same at the high end of its 95 % interval.")                    \
    X(gap, 0.05, "Train held out against train to test: gaps below this are not mentioned.") \
    X(calibration, 0.10, "A calibration error above this is called poor.")                   \
    X(imbalance, 0.80, "A majority class above this is called imbalance.")                   \
    X(few_groups, 30, "Fewer groups than this make a grouped interval rough.")               \
    X(small_test, 100, "Fewer test rows than this are called small.")                        \
    X(cut_share, 0.01, "A share of cut texts below this is not mentioned.")

typedef struct gn__thresholds {
#define GN__THRESHOLD_FIELD(name, value, what) double name;
    GN__THRESHOLD_LIST(GN__THRESHOLD_FIELD)
#undef GN__THRESHOLD_FIELD
} gn__thresholds;
extern const gn__thresholds gn__bar;

typedef struct gn__facts {
    gn__truth fact[GN__FACT_COUNT];
    const gn_evaluation *own;      /* within test, grouped where a group column was named; NULL: none */
    const gn_evaluation *transfer; /* train to test; NULL: none */
    const gn_evaluation *heldout;  /* within train; NULL: none */
    const gn_paired *loss;         /* own − transfer on the same rows; NULL: none */
    gn__truth own_reaches;
    bool own_grouped;
    bool groups_unusable; /* a group column was named, but the grouped evaluation could not be run */
    bool clusters_fall;   /* the score falls to the majority when whole clusters are held out */
    bool test_labelled, train_labelled;
    const gn_finetune_run *helps, *hurts, *open;     /* the best that helps; the worst that hurts; the best of
                                                        those     of which it cannot be told. NULL: none */
    double rows_tuning;                              /* test rows that would tell of `open`; 0: none would */
    double majority;                                 /* the better of the two majority classes, on test */
    double rows_separates, rows_carries, rows_shift; /* test rows that would settle an unknown; 0: known */
} gn__facts;

void gn__facts_derive(const gn_evidence *e, gn__facts *out);

#endif
