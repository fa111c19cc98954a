/* Look, detect, verify: the steps on one embedding space. */
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

/* The rows of one label, copied together; their groups renumbered from 0 in order of appearance. */
typedef struct part {
    gn_matrix x;
    uint32_t *group;
} part;

static void part_free(part *p)
{
    gn_matrix_free(&p->x);
    free(p->group);
    *p = (part){0};
}

static gn_status part_of_label(const gn_matrix *x, const gn_dataset *set, int label, part *out, gn_error *err)
{
    size_t rows = 0;
    for (size_t i = 0; i < set->rows; i++) rows += set->label[i] == label;
    part p = {0};
    GN__TRY(gn_matrix_create(rows, x->cols, &p.x, err));
    uint32_t *renumbered = NULL, groups = 0;
    if (set->group != NULL) {
        p.group = gn__calloc(rows, sizeof *p.group);
        renumbered = gn__calloc(set->groups, sizeof *renumbered); /* 0: not met yet, else number + 1 */
        if (p.group == NULL || renumbered == NULL) {
            part_free(&p);
            free(renumbered);
            return gn__no_memory(err, rows * sizeof *p.group);
        }
    }
    for (size_t i = 0, k = 0; i < set->rows; i++) {
        if (set->label[i] != label) continue;
        memcpy(p.x.data + k * x->cols, x->data + i * x->cols, x->cols * sizeof *x->data);
        if (renumbered != NULL) {
            uint32_t *number = &renumbered[set->group[i]];
            if (*number == 0) *number = ++groups;
            p.group[k] = *number - 1;
        }
        k++;
    }
    free(renumbered);
    *out = p;
    return GN_OK;
}

static gn_status detect_by_label(gn_context *ctx, const gn__space *s, const gn_check_options *options,
                                 gn_model_evidence *out, gn_error *err)
{
    gn_matrix x[2] = {gn__space_train(s), gn__space_test(s)};
    size_t classes = (size_t)s->classes;
    out->by_label = gn__calloc(classes, sizeof *out->by_label);
    double *p = gn__calloc(classes, sizeof *p),
           alpha = options->detect.alpha > 0 ? options->detect.alpha : 0.05;
    /* so many that Holm's smallest p-value, classes / (B + 1), can still fall well below alpha */
    size_t permutations = (size_t)(10 * (double)classes / alpha) - 1;
    gn_status status = out->by_label == NULL || p == NULL ? gn__no_memory(err, classes * sizeof *p) : GN_OK;
    for (size_t k = 0; k < classes && status == GN_OK; k++) {
        part a = {0}, b = {0};
        gn_detect_options o = options->detect;
        o.purpose += 1 + k;
        o.allow_part = true;
        if (o.permutations < permutations && permutations > 999) o.permutations = permutations;
        status = part_of_label(&x[0], s->train, (int)k, &a, err);
        if (status == GN_OK) status = part_of_label(&x[1], s->test, (int)k, &b, err);
        o.group_a = a.group;
        o.group_b = b.group;
        if (status == GN_OK) status = gn_detect(ctx, &a.x, &b.x, &o, &out->by_label[k], NULL, NULL, err);
        p[k] = out->by_label[k].p_value;
        part_free(&a);
        part_free(&b);
    }
    if (status == GN_OK) {
        gn_holm(p, classes);
        for (size_t k = 0; k < classes; k++) gn_shift_adjust(&out->by_label[k], p[k]);
    }
    free(p);
    return status;
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
