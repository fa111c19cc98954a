#include "report/json_fields.h"

#include <stddef.h>

#define AT(type, member) .offset = offsetof(type, member)
#define SIMPLE(type, kind_, member)                                \
    {                                                              \
        .key = #member, .kind = GN__KIND_##kind_, AT(type, member) \
    }
#define NAMED(type, key_, kind_, member, ...)                                \
    {                                                                        \
        .key = key_, .kind = GN__KIND_##kind_, AT(type, member), __VA_ARGS__ \
    }
#define END                  \
    {                        \
        .kind = GN__KIND_END \
    }

const char *const gn__stance_names[] = {[GN_FOR] = "for", [GN_AGAINST] = "against", [GN_NOTE] = "note", NULL};

const char *const gn__step_names[] = {"see", "detect", "verify", "decide", "finetune", NULL};

static const char *const verdict_names[] = {
#define NAME(name, code, gate) code,
    GN_VERDICT_LIST(NAME)
#undef NAME
        NULL};

static const char *const answer_names[] = {[GN_SHIFT_DIFFERENT] = "different",
                                           [GN_SHIFT_EQUIVALENT] = "equivalent",
                                           [GN_SHIFT_NOT_ENOUGH_DATA] = "not_enough_data",
                                           NULL};

static const char *const method_names[] = {
#define NAME(name, method) method,
    GN_TEST_LIST(NAME)
#undef NAME
        "none",
    NULL};

static const char *const tuning_names[] = {
#define NAME(name, text) text,
    GN_METHOD_LIST(NAME)
#undef NAME
        NULL};

static const char *const source_names[] = {
#define NAME(name, text) text,
    GN_SOURCE_LIST(NAME)
#undef NAME
        NULL};

static const char *const difference_names[] = {
#define NAME(name, text) text,
    GN_ANSWER_LIST(NAME)
#undef NAME
        NULL};

static const gn__field shift_fields[] = {NAMED(gn_shift, "answer", ENUM, answer, .names = answer_names),
                                         SIMPLE(gn_shift, DOUBLE, p_value),
                                         SIMPLE(gn_shift, DOUBLE, p_holm),
                                         SIMPLE(gn_shift, DOUBLE, statistic),
                                         SIMPLE(gn_shift, INTERVAL, auc),
                                         NAMED(gn_shift, "auc_curved", INTERVAL, auc_curved, .size = 1),
                                         SIMPLE(gn_shift, DOUBLE, alpha),
                                         SIMPLE(gn_shift, DOUBLE, tolerance),
                                         SIMPLE(gn_shift, SIZE, permutations),
                                         NAMED(gn_shift, "train_rows", SIZE, rows_a),
                                         NAMED(gn_shift, "test_rows", SIZE, rows_b),
                                         NAMED(gn_shift, "train_units", SIZE, units_a),
                                         NAMED(gn_shift, "test_units", SIZE, units_b),
                                         SIMPLE(gn_shift, SIZE, rows_needed),
                                         NAMED(gn_shift, "method", NAME, method, .names = method_names),
                                         END};

static const gn__field shift_and_labels_fields[] = {
    NAMED(gn_model_evidence, NULL, INLINE, shift, .of = shift_fields),
    NAMED(gn_model_evidence, "by_label", BY_CLASS, by_label, .of = shift_fields, .size = sizeof(gn_shift)),
    END};

static const gn__field overlap_fields[] = {NAMED(gn_overlap, "estimate", DOUBLE, overlap.estimate),
                                           NAMED(gn_overlap, "low", DOUBLE, overlap.low),
                                           NAMED(gn_overlap, "high", DOUBLE, overlap.high),
                                           NAMED(gn_overlap, "yardstick", DOUBLE, yardstick.estimate),
                                           NAMED(gn_overlap, "yardstick_low", DOUBLE, yardstick.low),
                                           NAMED(gn_overlap, "yardstick_high", DOUBLE, yardstick.high),
                                           NAMED(gn_overlap, "bandwidth_train", PAIR, bandwidth_a),
                                           NAMED(gn_overlap, "bandwidth_test", PAIR, bandwidth_b),
                                           SIMPLE(gn_overlap, SIZE, chance_draws),
                                           NAMED(gn_overlap, "yardstick_draws", SIZE, draws),
                                           END};

static const gn__field overlaps_fields[] = {NAMED(gn_picture, "pc1", OBJECT, pc1, .of = overlap_fields),
                                            NAMED(gn_picture, "plane", OBJECT, plane, .of = overlap_fields),
                                            NAMED(gn_picture, "probe", OBJECT, probe, .of = overlap_fields),
                                            END};

static const gn__field density_fields[] = {
    SIMPLE(gn_density, BOOL, test),
    SIMPLE(gn_density, LABEL, label),
    SIMPLE(gn_density, SIZE, rows),
    SIMPLE(gn_density, DOUBLE, bandwidth1),
    SIMPLE(gn_density, PAIR, bandwidth2),
    NAMED(gn_density, "pc1", GRID, pc1, .size = GN_GRID1),
    NAMED(gn_density, "probe", GRID, probe, .size = GN_GRID1),
    NAMED(gn_density, "plane", GRID, plane, .size = (size_t)GN_GRID2 * GN_GRID2),
    END};

static const gn__field point_fields[] = {SIMPLE(gn_point, BOOL, test),   SIMPLE(gn_point, LABEL, label),
                                         SIMPLE(gn_point, FLOAT, x),     SIMPLE(gn_point, FLOAT, y),
                                         SIMPLE(gn_point, STRING, text), END};

static const gn__field picture_fields[] = {
    NAMED(gn_picture, "explained", NUMBERS, explained, .count = offsetof(gn_picture, components)),
    NAMED(gn_picture, "pc1_low", DOUBLE, low1),
    NAMED(gn_picture, "pc1_high", DOUBLE, high1),
    NAMED(gn_picture, "probe_low", DOUBLE, low_probe),
    NAMED(gn_picture, "probe_high", DOUBLE, high_probe),
    NAMED(gn_picture, "plane_low", PAIR, low2),
    NAMED(gn_picture, "plane_high", PAIR, high2),
    NAMED(gn_picture, "densities", ARRAY, density, .count = offsetof(gn_picture, densities),
          .of = density_fields, .size = sizeof(gn_density)),
    NAMED(gn_picture, "points", ARRAY, point, .count = offsetof(gn_picture, points), .of = point_fields,
          .size = sizeof(gn_point)),
    END};

static const gn__field evaluation_fields[] = {
    NAMED(gn_evaluation, "available", GUARD, available, .size = 1),
    NAMED(gn_evaluation, "reason", CHARS, reason, .size = sizeof((gn_evaluation *)0)->reason),
    NAMED(gn_evaluation, "rows", SIZE, scores.rows),
    NAMED(gn_evaluation, "units", SIZE, scores.units),
    NAMED(gn_evaluation, "accuracy", INTERVAL, scores.accuracy),
    NAMED(gn_evaluation, "balanced_accuracy", INTERVAL, scores.balanced_accuracy),
    NAMED(gn_evaluation, "macro_f1", INTERVAL, scores.macro_f1),
    NAMED(gn_evaluation, "auc", INTERVAL, scores.auc),
    NAMED(gn_evaluation, "log_loss", INTERVAL, scores.log_loss),
    NAMED(gn_evaluation, "calibration", INTERVAL, scores.calibration),
    SIMPLE(gn_evaluation, DOUBLE, majority),
    SIMPLE(gn_evaluation, DOUBLE, lambda),
    SIMPLE(gn_evaluation, SIZE, fit_rows),
    END};

static const gn__field paired_fields[] = {NAMED(gn_paired, "available", GUARD, available, .size = 0),
                                          SIMPLE(gn_paired, INTERVAL, difference),
                                          SIMPLE(gn_paired, DOUBLE, p_value),
                                          SIMPLE(gn_paired, SIZE, rows),
                                          SIMPLE(gn_paired, SIZE, a_only),
                                          SIMPLE(gn_paired, SIZE, b_only),
                                          END};

#define EVALUATION(name, key_) \
    NAMED(gn_probe_evidence, key_, OBJECT, eval[GN_EVAL_##name], .of = evaluation_fields),
#define PAIRED(member) NAMED(gn_probe_evidence, #member, OBJECT, member, .of = paired_fields)
static const gn__field probe_fields[] = {
    SIMPLE(gn_probe_evidence, BOOL, available),
    NAMED(gn_probe_evidence, "reason", CHARS, reason, .size = sizeof((gn_probe_evidence *)0)->reason),
    SIMPLE(gn_probe_evidence, INT, classes),
    GN_EVAL_LIST(EVALUATION) PAIRED(test_cv_vs_majority),
    PAIRED(test_cv_vs_train_to_test),
    PAIRED(grouped_vs_ungrouped),
    PAIRED(clustered_vs_ungrouped),
    PAIRED(test_cv_vs_control),
    PAIRED(train_to_test_vs_control),
    PAIRED(transfer_gap),
    SIMPLE(gn_probe_evidence, SIZE, clusters),
    SIMPLE(gn_probe_evidence, SIZE, clustered_rows),
    END};

static const gn__field model_fields[] = {SIMPLE(gn_model_evidence_info, STRING, name),
                                         SIMPLE(gn_model_evidence_info, STRING, architecture),
                                         SIMPLE(gn_model_evidence_info, STRING, path),
                                         NAMED(gn_model_evidence_info, "sha256", CHARS, sha256, .size = 65),
                                         SIMPLE(gn_model_evidence_info, SIZE, dim),
                                         SIMPLE(gn_model_evidence_info, STRING, pooling),
                                         SIMPLE(gn_model_evidence_info, STRING, prompt),
                                         SIMPLE(gn_model_evidence_info, BOOL, normalize),
                                         SIMPLE(gn_model_evidence_info, STRING, dtype),
                                         SIMPLE(gn_model_evidence_info, STRING, tokenizer),
                                         SIMPLE(gn_model_evidence_info, SIZE, layers),
                                         SIMPLE(gn_model_evidence_info, SIZE, max_length),
                                         SIMPLE(gn_model_evidence_info, SIZE, parameters),
                                         SIMPLE(gn_model_evidence_info, SIZE, cut_train),
                                         SIMPLE(gn_model_evidence_info, SIZE, cut_test),
                                         SIMPLE(gn_model_evidence_info, SIZE, tokens),
                                         END};

static const gn__field evidence_fields[] = {
    NAMED(gn_model_evidence, "model", OBJECT, model, .of = model_fields),
    {.key = "shift", .kind = GN__KIND_STEP, .of = shift_and_labels_fields, .size = GN_STEP_DETECT},
    NAMED(gn_model_evidence, "overlap", STEP, picture, .of = overlaps_fields, .size = GN_STEP_SEE),
    NAMED(gn_model_evidence, "probe", STEP, probe, .of = probe_fields, .size = GN_STEP_VERIFY),
    NAMED(gn_model_evidence, "picture", STEP, picture, .of = picture_fields, .size = GN_STEP_SEE),
    END};

static const gn__field set_fields[] = {SIMPLE(gn_set_info, STRING, path),
                                       SIMPLE(gn_set_info, STRING, format),
                                       SIMPLE(gn_set_info, STRING, encoding),
                                       NAMED(gn_set_info, "sha256", CHARS, sha256, .size = 65),
                                       SIMPLE(gn_set_info, STRING, text_column),
                                       SIMPLE(gn_set_info, STRING, label_column),
                                       SIMPLE(gn_set_info, STRING, group_column),
                                       SIMPLE(gn_set_info, SIZE, rows),
                                       SIMPLE(gn_set_info, SIZE, rows_read),
                                       SIMPLE(gn_set_info, SIZE, empty),
                                       SIMPLE(gn_set_info, SIZE, dropped_by_label),
                                       SIMPLE(gn_set_info, SIZE, unlabelled),
                                       SIMPLE(gn_set_info, SIZE, groups),
                                       SIMPLE(gn_set_info, CLASS_ROWS, class_rows),
                                       {.key = "malformed", .kind = GN__KIND_MALFORMED},
                                       END};

static const gn__field duplicates_fields[] = {SIMPLE(gn_duplicates, SIZE, within_train),
                                              SIMPLE(gn_duplicates, SIZE, within_test),
                                              SIMPLE(gn_duplicates, SIZE, across),
                                              SIMPLE(gn_duplicates, SIZE, conflicting_train),
                                              SIMPLE(gn_duplicates, SIZE, conflicting_test),
                                              SIMPLE(gn_duplicates, SIZE, removed_from_train),
                                              END};

/* class_names first: the reader checks every label against their number. */
static const gn__field data_fields[] = {
    NAMED(gn_result, "class_names", CLASS_NAMES, class_name, .count = offsetof(gn_result, classes)),
    NAMED(gn_result, "train", OBJECT, train, .of = set_fields),
    NAMED(gn_result, "test", OBJECT, test, .of = set_fields),
    NAMED(gn_result, "duplicates", OBJECT, duplicates, .of = duplicates_fields),
    SIMPLE(gn_result, BOOL, kept_duplicates),
    END};

static const gn__field verdict_fields[] = {
    NAMED(gn_verdict, "code", ENUM, code, .names = verdict_names),
    SIMPLE(gn_verdict, BOOL, gate_passes),
    NAMED(gn_verdict, "rule", CHARS, rule, .size = sizeof((gn_verdict *)0)->rule),
    SIMPLE(gn_verdict, SIZE, rows_needed),
    NAMED(gn_verdict, "reasons", REASONS, reason, .count = offsetof(gn_verdict, reasons),
          .size = GN_MAX_REASONS),
    NAMED(gn_verdict, "actions", REASONS, action, .count = offsetof(gn_verdict, actions),
          .size = GN_MAX_ACTIONS),
    END};

static const gn__field example_fields[] = {
    SIMPLE(gn_example, SIZE, row),     SIMPLE(gn_example, LINE, line),   SIMPLE(gn_example, LABEL, label),
    SIMPLE(gn_example, DOUBLE, score), SIMPLE(gn_example, STRING, text), END};

static const gn__field examples_fields[] = {
    NAMED(gn_result, "train", ARRAY, only_train, .count = offsetof(gn_result, examples_train),
          .of = example_fields, .size = sizeof(gn_example)),
    NAMED(gn_result, "test", ARRAY, only_test, .count = offsetof(gn_result, examples_test),
          .of = example_fields, .size = sizeof(gn_example)),
    END};

static const gn__field kind_part_fields[] = {
    NAMED(gn_kind_part, "answer", ENUM, answer, .names = answer_names),
    SIMPLE(gn_kind_part, DOUBLE, p_value),
    SIMPLE(gn_kind_part, INTERVAL, effect),
    SIMPLE(gn_kind_part, DOUBLE, tolerance),
    SIMPLE(gn_kind_part, LABEL, label),
    END};

#define KIND_PART(name, key_) NAMED(gn_kind, key_, OBJECT, part[GN_KIND_##name], .of = kind_part_fields),
static const gn__field kind_parts_fields[] = {GN_KIND_PART_LIST(KIND_PART) END};

static const gn__field kind_class_fields[] = {SIMPLE(gn_kind_class, SIZE, train_rows),
                                              SIMPLE(gn_kind_class, SIZE, test_rows),
                                              SIMPLE(gn_kind_class, INTERVAL, train_share),
                                              SIMPLE(gn_kind_class, INTERVAL, test_share),
                                              SIMPLE(gn_kind_class, INTERVAL, share_difference),
                                              SIMPLE(gn_kind_class, INTERVAL, concept_difference),
                                              SIMPLE(gn_kind_class, INTERVAL, estimated_share),
                                              SIMPLE(gn_kind_class, INTERVAL, weight),
                                              END};

static const gn__field kind_fields[] = {
    NAMED(gn_kind, "available", GUARD, available, .size = 1),
    NAMED(gn_kind, "reason", CHARS, reason, .size = sizeof((gn_kind *)0)->reason),
    SIMPLE(gn_kind, BOOL, test_labelled),
    SIMPLE(gn_kind, INT, classes),
    {.key = "parts", .kind = GN__KIND_OBJECT, .of = kind_parts_fields},
    NAMED(gn_kind, "by_label", BY_CLASS, by_class, .of = kind_class_fields, .size = sizeof(gn_kind_class)),
    SIMPLE(gn_kind, DOUBLE, effective_dimension),
    NAMED(gn_kind, "concept_reason", CHARS, concept_reason, .size = sizeof((gn_kind *)0)->concept_reason),
    SIMPLE(gn_kind, BOOL, probed),
    NAMED(gn_kind, "probe_reason", CHARS, probe_reason, .size = sizeof((gn_kind *)0)->probe_reason),
    SIMPLE(gn_kind, SIZE, probe_rows),
    SIMPLE(gn_kind, SIZE, heldout_rows),
    SIMPLE(gn_kind, DOUBLE, probe_accuracy),
    SIMPLE(gn_kind, BOOL, weights),
    NAMED(gn_kind, "by_predicted", BY_CLASS, by_predicted, .of = shift_fields, .size = sizeof(gn_shift)),
    END};

static const gn__field word_fields[] = {
    SIMPLE(gn_where_word, STRING, word), SIMPLE(gn_where_word, INTERVAL, log_odds),
    SIMPLE(gn_where_word, SIZE, inside), SIMPLE(gn_where_word, SIZE, outside), END};

static const gn__field where_text_fields[] = {
    SIMPLE(gn_where_text, SIZE, row),    SIMPLE(gn_where_text, LINE, line),
    SIMPLE(gn_where_text, LABEL, label), SIMPLE(gn_where_text, DOUBLE, score),
    SIMPLE(gn_where_text, STRING, text), END};

static const gn__field cluster_fields[] = {
    SIMPLE(gn_where_cluster, BOOL, test),
    SIMPLE(gn_where_cluster, SIZE, rows),
    SIMPLE(gn_where_cluster, INTERVAL, share),
    SIMPLE(gn_where_cluster, INTERVAL, other_share),
    SIMPLE(gn_where_cluster, INTERVAL, difference),
    NAMED(gn_where_cluster, "typical", ARRAY, typical, .count = offsetof(gn_where_cluster, typicals),
          .of = where_text_fields, .size = sizeof(gn_where_text)),
    NAMED(gn_where_cluster, "words", ARRAY, word, .count = offsetof(gn_where_cluster, words),
          .of = word_fields, .size = sizeof(gn_where_word)),
    END};

static const gn__field where_fields[] = {
    NAMED(gn_where, "available", BOOL, available),
    NAMED(gn_where, "reason", CHARS, reason, .size = sizeof((gn_where *)0)->reason),
    NAMED(gn_where, "kinds_of_text", ARRAY, cluster, .count = offsetof(gn_where, clusters),
          .of = cluster_fields, .size = sizeof(gn_where_cluster)),
    SIMPLE(gn_where, BOOL, coverage_available),
    NAMED(gn_where, "coverage_reason", CHARS, coverage_reason,
          .size = sizeof((gn_where *)0)->coverage_reason),
    SIMPLE(gn_where, INTERVAL, coverage),
    NAMED(gn_where, "coverage_expected", INTERVAL, expected),
    SIMPLE(gn_where, SIZE, neighbours),
    SIMPLE(gn_where, SIZE, reference_rows),
    SIMPLE(gn_where, SIZE, calibration_rows),
    SIMPLE(gn_where, SIZE, test_rows),
    SIMPLE(gn_where, DOUBLE, radius),
    SIMPLE(gn_where, SIZE, novel),
    SIMPLE(gn_where, DOUBLE, novel_rate),
    NAMED(gn_where, "uncovered", ARRAY, uncovered, .count = offsetof(gn_where, uncovered_parts),
          .of = cluster_fields, .size = sizeof(gn_where_cluster)),
    END};

static const gn__field seeded_fields[] = {NAMED(gn_seeded, "available", GUARD, available, .size = 0),
                                          NAMED(gn_seeded, "difference", DOUBLE, difference.estimate),
                                          NAMED(gn_seeded, "low", DOUBLE, difference.low),
                                          NAMED(gn_seeded, "high", DOUBLE, difference.high),
                                          NAMED(gn_seeded, "answer", ENUM, answer, .names = difference_names),
                                          SIMPLE(gn_seeded, DOUBLE, p_value),
                                          SIMPLE(gn_seeded, DOUBLE, p_holm),
                                          SIMPLE(gn_seeded, SIZE, rows),
                                          SIMPLE(gn_seeded, SIZE, units),
                                          SIMPLE(gn_seeded, SIZE, seeds),
                                          SIMPLE(gn_seeded, DOUBLE, row_variance),
                                          SIMPLE(gn_seeded, DOUBLE, seed_variance),
                                          SIMPLE(gn_seeded, SIZE, rows_needed),
                                          SIMPLE(gn_seeded, SIZE, seeds_needed),
                                          END};

static const gn__field judged_fields[] = {
    NAMED(gn_finetune_judged, "available", GUARD, available, .size = 0),
    NAMED(gn_finetune_judged, "rows", SIZE, scores.rows),
    NAMED(gn_finetune_judged, "units", SIZE, scores.units),
    NAMED(gn_finetune_judged, "accuracy", INTERVAL, scores.accuracy),
    NAMED(gn_finetune_judged, "balanced_accuracy", INTERVAL, scores.balanced_accuracy),
    NAMED(gn_finetune_judged, "macro_f1", INTERVAL, scores.macro_f1),
    NAMED(gn_finetune_judged, "auc", INTERVAL, scores.auc),
    NAMED(gn_finetune_judged, "log_loss", INTERVAL, scores.log_loss),
    NAMED(gn_finetune_judged, "calibration", INTERVAL, scores.calibration),
    SIMPLE(gn_finetune_judged, DOUBLE, seed_deviation),
    NAMED(gn_finetune_judged, "vs_probe", OBJECT, vs_probe, .of = seeded_fields),
    NAMED(gn_finetune_judged, "vs_test_probe", OBJECT, vs_test_probe, .of = seeded_fields),
    END};

static const gn__field cost_fields[] = {SIMPLE(gn_finetune_cost, SIZE, fits),
                                        SIMPLE(gn_finetune_cost, SIZE, steps),
                                        SIMPLE(gn_finetune_cost, DOUBLE, tokens),
                                        SIMPLE(gn_finetune_cost, DOUBLE, forward_tokens),
                                        SIMPLE(gn_finetune_cost, DOUBLE, seconds),
                                        SIMPLE(gn_finetune_cost, DOUBLE, core_seconds),
                                        SIMPLE(gn_finetune_cost, DOUBLE, memory),
                                        SIMPLE(gn_finetune_cost, SIZE, trained),
                                        SIMPLE(gn_finetune_cost, SIZE, parameters),
                                        SIMPLE(gn_finetune_cost, SIZE, stopped_early),
                                        END};

static const gn__field moved_fields[] = {SIMPLE(gn_moved_point, BOOL, test),
                                         SIMPLE(gn_moved_point, LABEL, label),
                                         SIMPLE(gn_moved_point, FLOAT, x),
                                         SIMPLE(gn_moved_point, FLOAT, y),
                                         SIMPLE(gn_moved_point, FLOAT, x_after),
                                         SIMPLE(gn_moved_point, FLOAT, y_after),
                                         END};

static const gn__field tuning_shift_fields[] = {SIMPLE(gn_finetune_run, INTERVAL, auc_before),
                                                SIMPLE(gn_finetune_run, INTERVAL, auc_after),
                                                SIMPLE(gn_finetune_run, INTERVAL, overlap_before),
                                                SIMPLE(gn_finetune_run, INTERVAL, overlap_after),
                                                NAMED(gn_finetune_run, "points", ARRAY, point,
                                                      .count = offsetof(gn_finetune_run, points),
                                                      .of = moved_fields, .size = sizeof(gn_moved_point)),
                                                END};

static const gn__field tuning_fields[] = {
    NAMED(gn_finetune_run, "name", ENUM, method, .names = tuning_names),
    NAMED(gn_finetune_run, "trained_on", ENUM, source, .names = source_names),
    SIMPLE(gn_finetune_run, SIZE, seeds),
    SIMPLE(gn_finetune_run, SIZE, folds),
    SIMPLE(gn_finetune_run, SIZE, folds_grouped),
    SIMPLE(gn_finetune_run, SIZE, fit_rows),
    NAMED(gn_finetune_run, "heldout", OBJECT, heldout, .of = judged_fields),
    NAMED(gn_finetune_run, "test", OBJECT, test, .of = judged_fields),
    NAMED(gn_finetune_run, "test_grouped", OBJECT, test_grouped, .of = judged_fields),
    NAMED(gn_finetune_run, "vs_probe", OBJECT, vs_probe, .of = seeded_fields),
    SIMPLE(gn_finetune_run, INTERVAL, gap),
    NAMED(gn_finetune_run, "cost", OBJECT, cost, .of = cost_fields),
    NAMED(gn_finetune_run, "layer_change", NUMBERS, layer_change,
          .count = offsetof(gn_finetune_run, layer_changes)),
    SIMPLE(gn_finetune_run, DOUBLE, cka_heldout),
    SIMPLE(gn_finetune_run, DOUBLE, cka_test),
    {.key = "shift",
     .kind = GN__KIND_OPTIONAL,
     .of = tuning_shift_fields,
     .count = offsetof(gn_finetune_run, moved)},
    END};

static const gn__field transfer_fields[] = {SIMPLE(gn_transfer, SIZE, rows),
                                            SIMPLE(gn_transfer, INT, classes),
                                            SIMPLE(gn_transfer, DOUBLE, logme),
                                            SIMPLE(gn_transfer, DOUBLE, hscore),
                                            SIMPLE(gn_transfer, DOUBLE, hscore_shrunk),
                                            SIMPLE(gn_transfer, DOUBLE, shrinkage),
                                            END};

static const gn__field finetune_fields[] = {
    SIMPLE(gn_finetune_evidence, BOOL, available),
    NAMED(gn_finetune_evidence, "reason", CHARS, reason, .size = sizeof((gn_finetune_evidence *)0)->reason),
    SIMPLE(gn_finetune_evidence, SIZE, seeds),
    SIMPLE(gn_finetune_evidence, SIZE, train_rows),
    NAMED(gn_finetune_evidence, "heldout_rows", SIZE, heldout_rows),
    SIMPLE(gn_finetune_evidence, SIZE, test_rows),
    SIMPLE(gn_finetune_evidence, SIZE, test_groups),
    SIMPLE(gn_finetune_evidence, SIZE, mix_rows),
    SIMPLE(gn_finetune_evidence, DOUBLE, worthwhile),
    NAMED(gn_finetune_evidence, "transfer_train", OBJECT, transfer_train, .of = transfer_fields),
    NAMED(gn_finetune_evidence, "transfer_test", OBJECT, transfer_test, .of = transfer_fields),
    NAMED(gn_finetune_evidence, "methods", ARRAY, run, .count = offsetof(gn_finetune_evidence, runs),
          .of = tuning_fields, .size = sizeof(gn_finetune_run)),
    SIMPLE(gn_finetune_evidence, DOUBLE, seconds),
    SIMPLE(gn_finetune_evidence, DOUBLE, peak_memory),
    END};

static const gn__field peak_fields[] = {
    SIMPLE(gn_peak_memory, DOUBLE, read),    SIMPLE(gn_peak_memory, DOUBLE, load),
    SIMPLE(gn_peak_memory, DOUBLE, embed),   SIMPLE(gn_peak_memory, DOUBLE, see),
    SIMPLE(gn_peak_memory, DOUBLE, detect),  SIMPLE(gn_peak_memory, DOUBLE, verify),
    SIMPLE(gn_peak_memory, DOUBLE, control), END};

static const gn__field timing_fields[] = {
    SIMPLE(gn_timing, DOUBLE, read),
    SIMPLE(gn_timing, DOUBLE, load),
    SIMPLE(gn_timing, DOUBLE, embed),
    SIMPLE(gn_timing, DOUBLE, control),
    SIMPLE(gn_timing, DOUBLE, see),
    SIMPLE(gn_timing, DOUBLE, detect),
    SIMPLE(gn_timing, DOUBLE, verify),
    SIMPLE(gn_timing, DOUBLE, total),
    SIMPLE(gn_timing, DOUBLE, peak_memory),
    NAMED(gn_timing, "peak_memory_after", OBJECT, peak_after, .of = peak_fields),
    END};

const gn__field gn__result_fields[] = {
    SIMPLE(gn_result, STRING, created),
    SIMPLE(gn_result, STRING, version),
    SIMPLE(gn_result, STRING, command),
    SIMPLE(gn_result, SEED, seed),
    SIMPLE(gn_result, UNSIGNED, threads),
    NAMED(gn_result, "steps", STEPS, steps), /* before what depends on it */
    NAMED(gn_result, "verdict", STEP, verdict, .of = verdict_fields, .size = GN_STEP_DECIDE),
    {.key = "data", .kind = GN__KIND_OBJECT, .of = data_fields},
    NAMED(gn_result, NULL, INLINE, main, .of = evidence_fields),
    NAMED(gn_result, "control", OPTIONAL, control, .of = evidence_fields,
          .count = offsetof(gn_result, has_control)),
    {.key = "examples", .kind = GN__KIND_OBJECT, .of = examples_fields},
    NAMED(gn_result, "kind", STEP, kind, .of = kind_fields, .size = GN_STEP_DETECT),
    NAMED(gn_result, "where", STEP, where, .of = where_fields, .size = GN_STEP_DETECT),
    NAMED(gn_result, "finetune", STEP, finetune, .of = finetune_fields, .size = GN_STEP_FINETUNE),
    NAMED(gn_result, "timing", OBJECT, timing, .of = timing_fields),
    NAMED(gn_result, "libraries", STRINGS, library, .count = offsetof(gn_result, libraries)),
    END};

bool gn__is_flat(const gn__field *of)
{
    return of == point_fields || of == example_fields || of == where_text_fields || of == word_fields ||
           of == moved_fields;
}
