/* What kind of shift, and where it is. */
#include "pipeline/pipeline.h"

enum { SHOWN = 280 }; /* code points of a text */

static gn_status kind(gn_context *ctx, const gn__space *s, const gn_check_options *options, gn_result *result,
                      gn_error *err)
{
    gn_matrix train = gn__space_train(s), test = gn__space_test(s);
    const gn_kind_input in = {.train = &train,
                              .test = &test,
                              .train_label = s->train->label,
                              .test_label = s->test->label,
                              .classes = s->classes,
                              .train_group = s->train->group,
                              .test_group = s->test->group,
                              .shift = &result->main.shift,
                              .by_label = result->main.by_label};
    const gn_kind_options o = {.detect = options->detect};
    return gn_kind_run(ctx, &in, &o, &result->kind, err);
}

static gn_status add_texts(const gn_dataset *set, bool hide, gn_where_text *t, size_t n, gn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t row = t[i].row;
        t[i].line = set->line != NULL ? set->line[row] : 0;
        t[i].label = set->label != NULL ? set->label[row] : -1;
        if (set->text == NULL || hide) continue;
        t[i].text = gn__shorten(set->text[row], set->length[row], SHOWN);
        if (t[i].text == NULL) return gn__no_memory(err, SHOWN);
    }
    return GN_OK;
}

static gn_status where(gn_context *ctx, const gn__space *s, const gn_check_options *options,
                       const float *score_train, const float *score_test, gn_where *out, gn_error *err)
{
    gn_matrix train = gn__space_train(s), test = gn__space_test(s);
    const gn_where_input in = {.train = &train,
                               .test = &test,
                               .train_group = s->train->group,
                               .test_group = s->test->group,
                               .train_score = score_train,
                               .test_score = score_test,
                               /* words are texts too */
                               .train_text = options->hide_texts ? NULL : (const char *const *)s->train->text,
                               .test_text = options->hide_texts ? NULL : (const char *const *)s->test->text,
                               .train_length = s->train->length,
                               .test_length = s->test->length};
    GN__TRY(gn_where_run(ctx, &in, NULL, out, err));
    for (size_t i = 0; i < out->clusters; i++)
        GN__TRY(add_texts(out->cluster[i].test ? s->test : s->train, options->hide_texts,
                          out->cluster[i].typical, out->cluster[i].typicals, err));
    for (size_t i = 0; i < out->uncovered_parts; i++)
        GN__TRY(add_texts(s->test, options->hide_texts, out->uncovered[i].typical, out->uncovered[i].typicals,
                          err));
    return GN_OK;
}

gn_status gn__explain(gn_context *ctx, const gn__space *space, const gn_check_options *options,
                      const float *score_train, const float *score_test, gn_result *result, gn_error *err)
{
    double t0 = gn__now();
    GN__TRY(kind(ctx, space, options, result, err));
    GN__TRY(where(ctx, space, options, score_train, score_test, &result->where, err));
    result->timing.detect += gn__now() - t0;
    return GN_OK;
}
