/* Numbers and single words as the reports write them, shared by terminal and HTML. Nothing here depends on
 * the process's locale. */
#ifndef GENCHI_REPORT_STRINGS_H
#define GENCHI_REPORT_STRINGS_H

#include "core/core.h"
#include "genchi/report.h"

/* X(NAME, English, Japanese) */
#define GN__WORD_LIST(X)                                                             \
    X(TRAIN, "train", "学習データ")                                                  \
    X(TEST, "test", "評価データ")                                                    \
    X(VERDICT, "Verdict", "判定")                                                    \
    X(DO, "What to do on Monday", "次に行うこと")                                    \
    X(EVIDENCE, "Evidence", "根拠となる数値")                                        \
    X(DATA, "Data", "データ")                                                        \
    X(MODEL, "Model", "モデル")                                                      \
    X(CONTROL, "Spelling only", "文字のみ")                                          \
    X(ANSWER, "Answer", "結論")                                                      \
    X(SHIFT, "Shift", "分布シフト")                                                  \
    X(SHIFT_AUC, "Telling the sets apart (AUC)", "二つのデータの見分けやすさ (AUC)") \
    X(SHIFT_AUC_CURVED, "  with a curved boundary", "  曲がった境界で見分ける場合")  \
    X(P_VALUE, "p-value", "p 値")                                                    \
    X(TOLERANCE, "tolerance", "許容値")                                              \
    X(OVERLAP, "Overlap", "重なり")                                                  \
    X(OVERLAP_PC1, "Overlap on PC1", "PC1 上の重なり")                               \
    X(OVERLAP_PLANE, "Overlap on PC1–PC2", "PC1–PC2 上の重なり")                     \
    X(OVERLAP_PROBE, "Overlap along the probe", "プローブ方向の重なり")              \
    X(YARDSTICK, "two halves of train", "学習データの二分割どうし")                  \
    X(ACCURACY, "Accuracy", "正解率")                                                \
    X(BALANCED_ACCURACY, "Balanced accuracy", "均衡正解率")                          \
    X(MACRO_F1, "Macro-F1", "マクロ F1")                                             \
    X(AUC, "AUC", "AUC")                                                             \
    X(LOG_LOSS, "Log-loss", "対数損失")                                              \
    X(CALIBRATION, "Calibration error", "較正誤差")                                  \
    X(MAJORITY, "Majority", "多数派")                                                \
    X(INTERVAL95, "95 % interval", "95 % 区間")                                      \
    X(ROWS, "rows", "行")                                                            \
    X(ROWS_READ, "read", "読み込み")                                                 \
    X(MALFORMED, "malformed", "不正な行")                                            \
    X(EMPTY, "empty", "空の本文")                                                    \
    X(DROPPED_BY_LABEL, "dropped by label", "ラベル指定で除外")                      \
    X(UNLABELLED, "without a label", "ラベルなし")                                   \
    X(GROUPS, "groups", "グループ")                                                  \
    X(DUPLICATES, "duplicates", "重複")                                              \
    X(NOT_AVAILABLE, "not available", "なし")                                        \
    X(KIND, "Kind of shift", "シフトの種類")                                         \
    X(KIND_TEXTS, "the texts themselves", "文そのもの")                              \
    X(KIND_LABELS, "how often each label occurs", "ラベルの比率")                    \
    X(KIND_WITHIN, "the texts within one label", "同じラベルの文どうし")             \
    X(KIND_CONCEPT, "the label of one and the same text", "同じ文に付くラベル")      \
    X(WHERE_TEST, "Kinds of text that mark test", "評価データを特徴づける文")        \
    X(WHERE_TRAIN, "Kinds of text that mark train", "学習データを特徴づける文")      \
    X(TUNING, "Fine-tuning", "微調整")                                               \
    X(TUNING_TEST, "Right on test", "正解率（評価）")                                \
    X(TUNING_DIFFERENCE, "Points over the probe", "プローブとの差")                  \
    X(COVERAGE, "Share of test that train covers", "評価データのうち学習データが覆う割合")

typedef enum gn__word_id {
#define GN__WORD_ENUM(name, en, ja) GN__WORD_##name,
    GN__WORD_LIST(GN__WORD_ENUM)
#undef GN__WORD_ENUM
        GN__WORD_COUNT
} gn__word_id;

const char *gn__word(gn__word_id id, gn_lang lang); /* static storage */

/* Each appends; a value that is not finite is written as an en dash. */
void gn__put_count(gn__buf *b, double n);               /* "12,345" */
void gn__put_fixed(gn__buf *b, double x, int decimals); /* "0.83", "-1.5"; decimals 0 to 9; never "-0.00" */
/* 0.836: "84%"; one decimal below 1% and above 99%. Both languages write it alike. */
void gn__put_percent(gn__buf *b, double x, gn_lang lang);
void gn__put_points(gn__buf *b, double x, gn_lang lang); /* 0.05: "5 points" / "5 ポイント"; magnitude only */
void gn__put_p(gn__buf *b, double p);                    /* "0.012", "0.001" */
void gn__put_bytes(gn__buf *b, double bytes);            /* "512 MB" */

#endif
