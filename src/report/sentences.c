#include "report/sentences.h"

#include "decide/reasons.h"
#include "report/strings.h"

typedef struct text2 {
    const char *text[2]; /* by gn_lang */
} text2;

static const text2 sentences[GN__REASON_COUNT] = {
#define S(name, en, ja) [GN__REASON_##name] = {{en, ja}},
#include "report/sentences.def"
#undef S
};

static const text2 titles[GN_VERDICT_COUNT] = {
#define V(name, en, ja, en_meaning, ja_meaning) [GN_VERDICT_##name] = {{en, ja}},
#include "report/verdicts.def"
#undef V
};

static const text2 summaries[GN_VERDICT_COUNT] = {
#define V(name, en, ja, en_meaning, ja_meaning) [GN_VERDICT_##name] = {{en_meaning, ja_meaning}},
#include "report/verdicts.def"
#undef V
};

static const text2 stances[] = {
    [GN_FOR] = {{"What speaks for it", "この判定を支える根拠"}},
    [GN_AGAINST] = {{"What speaks against it or calls for care", "反対の根拠と注意点"}},
    [GN_NOTE] = {{"Also worth knowing", "そのほかの参考情報"}},
};

static const text2 answers[] = {
    [GN_SHIFT_DIFFERENT] = {{"different", "異なる"}},
    [GN_SHIFT_EQUIVALENT] = {{"equivalent within the tolerance", "許容範囲内で同等"}},
    [GN_SHIFT_NOT_ENOUGH_DATA] = {{"not enough data", "データ不足"}},
};

static const text2 evals[GN_EVAL_COUNT] = {
    [GN_EVAL_TEST_CV] = {{"within test", "評価データ内"}},
    [GN_EVAL_TEST_CV_GROUPED] = {{"within test, by group", "評価データ内（グループごと）"}},
    [GN_EVAL_TEST_CV_CLUSTERED] = {{"within test, by cluster", "評価データ内（クラスターごと）"}},
    [GN_EVAL_TRAIN_HELDOUT] = {{"within train, held out", "学習データ内（取り分け）"}},
    [GN_EVAL_TRAIN_TO_TEST] = {{"train to test", "学習データ→評価データ"}},
    [GN_EVAL_TRAIN_TO_TEST_MATCHED] = {{"train to test, same size", "学習データ→評価データ（同じ行数）"}},
};

const char *gn__verdict_title(gn_verdict_code code, gn_lang lang)
{
    return titles[code].text[lang];
}

const char *gn__verdict_summary(gn_verdict_code code, gn_lang lang)
{
    return summaries[code].text[lang];
}

const char *gn__stance_title(gn_stance stance, gn_lang lang)
{
    return stances[stance].text[lang];
}

const char *gn__shift_answer_text(gn_shift_answer answer, gn_lang lang)
{
    return answers[answer].text[lang];
}

const char *gn__method_text(gn_method method, gn_lang lang)
{
    static const text2 names[GN_METHOD_COUNT] = {
        [GN_METHOD_LP] = {{"linear probe", "線形プローブ"}},
        [GN_METHOD_FULL] = {{"full", "全体"}},
        [GN_METHOD_LORA] = {{"LoRA", "LoRA"}},
        [GN_METHOD_LP_FT] = {{"probe then full", "プローブ後に全体"}},
        [GN_METHOD_LAST_K] = {{"last layers", "最後の層のみ"}},
    };
    return names[method].text[lang];
}

const char *gn__source_text(gn_source source, gn_lang lang)
{
    static const text2 names[GN_SOURCE_COUNT] = {
        [GN_SOURCE_TRAIN] = {{"train", "学習データ"}},
        [GN_SOURCE_TEST] = {{"test", "評価データ"}},
        [GN_SOURCE_MIX] = {{"both", "両方"}},
    };
    return names[source].text[lang];
}

const char *gn__tuning_answer_text(gn_finetune_answer answer, gn_lang lang)
{
    static const text2 names[] = {
        [GN_FINETUNE_CANNOT_TELL] = {{"cannot tell", "判断できない"}},
        [GN_FINETUNE_HELPS] = {{"helps", "良くなる"}},
        [GN_FINETUNE_HURTS] = {{"hurts", "悪くなる"}},
    };
    return names[answer].text[lang];
}

const char *gn__eval_text(gn_eval_kind kind, gn_lang lang)
{
    return evals[kind].text[lang];
}

static void put_label(const gn_result *r, double value, gn__buf *out)
{
    if (r != NULL && r->class_name != NULL && value >= 0 && value < r->classes)
        gn__buf_puts(out, r->class_name[(int)value]);
    else
        gn__put_count(out, value);
}

static void put_value(const gn_result *r, double value, char kind, gn_lang lang, gn__buf *out)
{
    switch (kind) {
    case '%':
        gn__put_percent(out, value, lang);
        break;
    case 'n':
        gn__put_count(out, value);
        break;
    case 't':
        gn__put_points(out, value, lang);
        break;
    case 'd':
        gn__put_fixed(out, 100 * value, 0);
        break;
    case 'p':
        gn__put_p(out, value);
        break;
    case 'l':
        put_label(r, value, out);
        break;
    case 'm':
        if (value >= 0 && value < GN_METHOD_COUNT) gn__buf_puts(out, gn__method_text((gn_method)value, lang));
        break;
    case 's':
        if (value >= 0 && value < GN_SOURCE_COUNT) gn__buf_puts(out, gn__source_text((gn_source)value, lang));
        break;
    default:
        gn__put_fixed(out, value, 2);
        break;
    }
}

void gn__reason_text(const gn_result *r, const gn_reason *reason, gn_lang lang, gn__buf *out)
{
    gn__reason_id id = gn__reason_find(reason->id);
    if (id == GN__REASON_COUNT) {
        gn__buf_puts(out, reason->id);
        return;
    }
    for (const char *s = sentences[id].text[lang]; *s != '\0';) {
        const char *close = *s == '{' ? strchr(s, '}') : NULL;
        if (close == NULL) {
            gn__buf_putc(out, *s++);
            continue;
        }
        put_value(r, reason->value[s[1] - '0'], s[2], lang, out);
        s = close + 1;
    }
}
