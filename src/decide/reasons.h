/* The stable ids of reasons and actions with the values each carries, in the order of gn_reason.value[].
 * docs/verdicts.md lists the same; a test holds them together. report/sentences_*.def has their wording. */
#ifndef GENCHI_DECIDE_REASONS_H
#define GENCHI_DECIDE_REASONS_H

#include "core/core.h"
#include "genchi/decide.h"

/* X(NAME, id, values, their names) */
#define GN__REASON_LIST(X)                                                                               \
    X(SHIFT_DIFFERENT, "shift_different", 5, "auc low high p_value tolerance")                           \
    X(SHIFT_EQUIVALENT, "shift_equivalent", 4, "auc low high tolerance")                                 \
    X(SHIFT_UNKNOWN, "shift_unknown", 5, "auc low high tolerance rows_needed")                           \
    X(SHIFT_NOT_TESTED, "shift_not_tested", 2, "train_rows test_rows")                                   \
    X(SHIFT_CURVED, "shift_curved", 2, "linear_auc curved_auc")                                          \
    X(SHIFT_IN_LABEL, "shift_in_label", 5, "label auc low high p_holm")                                  \
    X(SHIFT_IN_LABEL_MIX, "shift_in_label_mix", 1, "labels")                                             \
    X(SHIFT_IN_SPELLING, "shift_in_spelling", 2, "control_auc model_auc")                                \
    X(SHIFT_ONLY_IN_MODEL, "shift_only_in_model", 2, "control_auc model_auc")                            \
    X(SHIFT_ONLY_IN_SPELLING, "shift_only_in_spelling", 2, "control_auc model_auc")                      \
    X(KIND_LABEL, "kind_label", 4, "total_variation low high p_value")                                   \
    X(KIND_CONCEPT, "kind_concept", 5, "label difference low high p_value")                              \
    X(NOT_COVERED, "not_covered", 4, "coverage low high expected")                                       \
    X(OVERLAP_LOW, "overlap_low", 3, "overlap yardstick_low yardstick_high")                             \
    X(OVERLAP_AS_HALVES, "overlap_as_halves", 3, "overlap yardstick_low yardstick_high")                 \
    X(SHIFT_OFF_PC1, "shift_off_pc1", 2, "overlap auc")                                                  \
    X(SEPARATES, "separates", 5, "accuracy low high majority auc")                                       \
    X(SEPARATES_GROUPED, "separates_grouped", 5, "accuracy low high majority auc")                       \
    X(SEPARATES_BY_TRAIN, "separates_by_train", 5, "accuracy low high majority auc")                     \
    X(NOT_SEPARATED, "not_separated", 5, "accuracy low high majority auc")                               \
    X(NOT_SEPARATED_GROUPED, "not_separated_grouped", 5, "accuracy low high majority auc")               \
    X(SEPARATION_UNKNOWN, "separation_unknown", 5, "accuracy low high majority auc")                     \
    X(CARRIES, "carries", 5, "train_to_test test_cv loss loss_low loss_high")                            \
    X(TRAIN_TEACHES_MORE, "train_teaches_more", 5, "train_to_test test_cv loss loss_low loss_high")      \
    X(DOES_NOT_CARRY, "does_not_carry", 5, "train_to_test test_cv loss loss_low loss_high")              \
    X(CARRIES_UNKNOWN, "carries_unknown", 5, "train_to_test test_cv loss loss_low loss_high")            \
    X(TRAIN_AT_MAJORITY, "train_at_majority", 3, "train_to_test low majority")                           \
    X(TRAIN_SIZE_HELPS, "train_size_helps", 4, "train_to_test matched fit_rows matched_rows")            \
    X(HELDOUT_HIGHER, "heldout_higher", 4, "train_heldout train_to_test gap_low gap_high")               \
    X(HELDOUT_LOWER, "heldout_lower", 4, "train_heldout train_to_test gap_low gap_high")                 \
    X(GROUPS_GIVE_AWAY, "groups_give_away", 4, "test_cv test_cv_grouped difference_low difference_high") \
    X(GROUPS_SURVIVED, "groups_survived", 2, "test_cv test_cv_grouped")                                  \
    X(FEW_GROUPS, "few_groups", 1, "groups")                                                             \
    X(GROUPS_UNUSABLE, "groups_unusable", 1, "test_cv")                                                  \
    X(CLUSTERS_GIVE_AWAY, "clusters_give_away", 3, "test_cv test_cv_clustered clusters")                 \
    X(CLUSTERS_AT_MAJORITY, "clusters_at_majority", 3, "test_cv test_cv_clustered majority")             \
    X(CLUSTERS_SURVIVED, "clusters_survived", 3, "test_cv test_cv_clustered clusters")                   \
    X(TUNING_HELPS, "tuning_helps", 5, "method trained_on difference low high")                          \
    X(TUNING_HURTS, "tuning_hurts", 5, "method trained_on difference low high")                          \
    X(TUNING_UNKNOWN, "tuning_unknown", 5, "method trained_on difference low high")                      \
    X(SPELLING_AS_GOOD, "spelling_as_good", 4, "model control difference_low difference_high")           \
    X(SPELLING_BETTER, "spelling_better", 4, "model control difference_low difference_high")             \
    X(MODEL_BEATS_SPELLING, "model_beats_spelling", 4, "model control difference_low difference_high")   \
    X(CALIBRATION_POOR, "calibration_poor", 1, "calibration_error")                                      \
    X(CLASS_IMBALANCE, "class_imbalance", 2, "majority balanced_accuracy")                               \
    X(SMALL_TEST, "small_test", 1, "test_rows")                                                          \
    X(LABELS_MISSING, "labels_missing", 0, "")                                                           \
    X(LABELS_MISSING_TRAIN, "labels_missing_train", 0, "")                                               \
    X(LABELS_MISSING_TEST, "labels_missing_test", 0, "")                                                 \
    X(CUT_TEXTS, "cut_texts", 2, "texts share")                                                          \
    X(DUPLICATES_REMOVED, "duplicates_removed", 2, "rows share_of_train")                                \
    X(DUPLICATES_KEPT, "duplicates_kept", 2, "rows share_of_train")                                      \
    X(CONFLICTING_LABELS, "conflicting_labels", 2, "train_rows test_rows")                               \
    X(DO_TRAIN_PROBE, "do_train_probe", 3, "train_rows low high")                                        \
    X(DO_TRY_SPELLING, "do_try_spelling", 2, "control model")                                            \
    X(DO_CALIBRATE, "do_calibrate", 1, "rows")                                                           \
    X(DO_WATCH_SHIFT, "do_watch_shift", 1, "rows")                                                       \
    X(DO_GATE, "do_gate", 1, "test_rows")                                                                \
    X(DO_TEST_ANEW, "do_test_anew", 1, "rows")                                                           \
    X(DO_READ_EXAMPLES, "do_read_examples", 0, "")                                                       \
    X(DO_PROBE_CURATED, "do_probe_curated", 3, "test_rows low high")                                     \
    X(DO_LABEL_FIELD, "do_label_field", 2, "rows accuracy")                                              \
    X(DO_AUDIT_LABELS, "do_audit_labels", 1, "rows")                                                     \
    X(DO_RESAMPLE_LABELS, "do_resample_labels", 0, "")                                                   \
    X(DO_FIX_LABEL, "do_fix_label", 1, "label")                                                          \
    X(DO_TRY_MODELS, "do_try_models", 1, "accuracy")                                                     \
    X(DO_FINE_TUNE, "do_fine_tune", 2, "train_rows accuracy")                                            \
    X(DO_FINE_TUNE_AS, "do_fine_tune_as", 5, "method trained_on accuracy low high")                      \
    X(DO_MEASURE_CEILING, "do_measure_ceiling", 1, "rows")                                               \
    X(DO_QUESTION_LABELS, "do_question_labels", 1, "rows")                                               \
    X(DO_COLLECT_FIELD, "do_collect_field", 1, "rows")                                                   \
    X(DO_LABEL_TEST, "do_label_test", 2, "rows_needed have")                                             \
    X(DO_LABEL_TRAIN, "do_label_train", 1, "rows")                                                       \
    X(DO_COLLECT_ROWS, "do_collect_rows", 2, "rows_needed have")                                         \
    X(DO_NAME_GROUPS, "do_name_groups", 0, "")                                                           \
    X(DO_RERUN, "do_rerun", 0, "")

typedef enum gn__reason_id {
#define GN__REASON_ENUM(name, id, values, names) GN__REASON_##name,
    GN__REASON_LIST(GN__REASON_ENUM)
#undef GN__REASON_ENUM
        GN__REASON_COUNT
} gn__reason_id;

typedef struct gn__reason_info {
    const char *id;
    int values;
    const char *names; /* separated by blanks */
} gn__reason_info;

const gn__reason_info *gn__reason_get(gn__reason_id id);
/* GN__REASON_COUNT where the id is unknown. */
gn__reason_id gn__reason_find(const char *id);

#endif
