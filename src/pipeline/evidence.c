/* Look, detect, verify: the steps on one embedding space. */
#include "detect/kind.h"
#include "pipeline/pipeline.h"

#include <math.h>
#include <sys/resource.h>

gn_matrix gn__space_train(const gn__space *s)
{
    if (s->apart[0] != NULL) return *s->apart[0];
    return (gn_matrix){s->pooled->data, s->train->rows, s->pooled->cols};
}

gn_matrix gn__space_test(const gn__space *s)
{
    if (s->apart[1] != NULL) return *s->apart[1];
    return (gn_matrix){s->pooled->data + s->train->rows * s->pooled->cols, s->test->rows, s->pooled->cols};
}

static gn_status detect_by_label(gn_context *ctx, const gn__space *s, const gn_check_options *options,
                                 gn_model_evidence *out, gn_error *err)
{
    const gn_matrix x[2] = {gn__space_train(s), gn__space_test(s)};
    const uint32_t *const group[2] = {s->train->group, s->test->group};
    const int *const label[2] = {s->train->label, s->test->label};
    out->by_label = gn__calloc((size_t)s->classes, sizeof *out->by_label);
    if (out->by_label == NULL) return gn__no_memory(err, (size_t)s->classes * sizeof *out->by_label);
    return gn__detect_each(ctx, x, group, label, s->classes, &options->detect, out->by_label, err);
}

static gn_status detect(gn_context *ctx, const gn__space *s, const gn_check_options *options,
                        gn_model_evidence *out, float *score_train, float *score_test, gn_error *err)
{
    gn_matrix train = gn__space_train(s), test = gn__space_test(s);
    gn_detect_options o = options->detect;
    o.group_a = s->train->group;
    o.group_b = s->test->group;
    GN__TRY(gn_detect(ctx, &train, &test, &o, &out->shift, score_train, score_test, err));
    return s->labels ? detect_by_label(ctx, s, options, out, err) : GN_OK;
}

static gn_status verify(gn_context *ctx, const gn__space *s, const gn_check_options *options,
                        gn_model_evidence *out, gn_error *err)
{
    gn_matrix train = gn__space_train(s), test = gn__space_test(s);
    gn_verify_input in = {.train = &train,
                          .test = &test,
                          .train_label = s->train->label,
                          .test_label = s->test->label,
                          .classes = s->classes,
                          .train_group = s->train->group,
                          .test_group = s->test->group};
    return gn_verify(ctx, &in, &options->probe, &out->probe, err);
}

double gn__peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024.0 * (double)usage.ru_maxrss : NAN;
}

gn_status gn__evidence_run(gn_context *ctx, const gn__space *space, const gn_check_options *options,
                           unsigned steps, bool picture, gn_model_evidence *out, float *score_train,
                           float *score_test, gn_timing *timing, gn_error *err)
{
    double t0 = gn__now();
    if (steps & GN_STEP_VERIFY) GN__TRY(verify(ctx, space, options, out, err));
    double t1 = gn__now();
    timing->peak_after.verify = gn__peak_memory();
    if (steps & GN_STEP_SEE)
        GN__TRY(gn__picture_make(ctx, space, options, picture, out->probe.train_margin,
                                 out->probe.test_margin, &out->picture, err));
    double t2 = gn__now();
    timing->peak_after.see = gn__peak_memory();
    if (steps & GN_STEP_DETECT) GN__TRY(detect(ctx, space, options, out, score_train, score_test, err));
    timing->peak_after.detect = gn__peak_memory();
    timing->verify += t1 - t0;
    timing->see += t2 - t1;
    timing->detect += gn__now() - t2;
    return GN_OK;
}
