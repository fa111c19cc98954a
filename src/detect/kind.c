/* The parts of a shift put together: what kind it is. */
#include "detect/kind.h"

#include <stdio.h>

const char *gn_kind_part_name(gn_kind_part_id part)
{
    static const char *const names[] = {
#define NAME(name, key) key,
        GN_KIND_PART_LIST(NAME)
#undef NAME
    };
    return part < GN_KIND_PARTS ? names[part] : NULL;
}

void gn_kind_free(gn_kind *k)
{
    free(k->by_class);
    free(k->by_predicted);
    *k = (gn_kind){0};
}

/* ---- rows of one label ------------------------------------------------------------------------- */

void gn__part_free(gn__part *p)
{
    gn_matrix_free(&p->x);
    free(p->group);
    *p = (gn__part){0};
}

gn_status gn__part_make(const gn_matrix *x, const uint32_t *group, const int *pick, int which, gn__part *out,
                        gn_error *err)
{
    size_t rows = 0;
    for (size_t i = 0; i < x->rows; i++) rows += pick[i] == which;
    gn__part p = {0};
    GN__TRY(gn_matrix_create(rows, x->cols, &p.x, err));
    p.group = group != NULL ? gn__calloc(rows, sizeof *p.group) : NULL;
    if (group != NULL && p.group == NULL) {
        gn__part_free(&p);
        return gn__no_memory(err, rows * sizeof *group);
    }
    for (size_t i = 0, k = 0; i < x->rows; i++) {
        if (pick[i] != which) continue;
        memcpy(p.x.data + k * x->cols, x->data + i * x->cols, x->cols * sizeof *x->data);
        if (group != NULL) p.group[k] = group[i];
        k++;
    }
    *out = p;
    return GN_OK;
}

gn_status gn__detect_each(gn_context *ctx, const gn_matrix x[2], const uint32_t *const group[2],
                          const int *const label[2], int classes, const gn_detect_options *options,
                          gn_shift *out, gn_error *err)
{
    double *p = gn__calloc((size_t)classes, sizeof *p), alpha = options->alpha > 0 ? options->alpha : 0.05;
    /* so many that Holm's smallest p-value, classes / (B + 1), can still fall well below alpha */
    size_t least = (size_t)(10 * (double)classes / alpha) - 1;
    gn_status status = p == NULL ? gn__no_memory(err, (size_t)classes * sizeof *p) : GN_OK;
    for (int k = 0; k < classes && status == GN_OK; k++) {
        gn__part a = {0}, b = {0};
        gn_detect_options o = *options;
        o.purpose += 1 + (uint64_t)k;
        o.allow_part = true;
        if (o.permutations < least && least > 999) o.permutations = least;
        status = gn__part_make(&x[0], group[0], label[0], k, &a, err);
        if (status == GN_OK) status = gn__part_make(&x[1], group[1], label[1], k, &b, err);
        o.group_a = a.group;
        o.group_b = b.group;
        if (status == GN_OK) status = gn_detect(ctx, &a.x, &b.x, &o, &out[k], NULL, NULL, err);
        p[k] = out[k].p_value;
        gn__part_free(&a);
        gn__part_free(&b);
    }
    if (status == GN_OK) {
        gn_holm(p, (size_t)classes);
        for (int k = 0; k < classes; k++) gn_shift_adjust(&out[k], p[k]);
    }
    free(p);
    return status;
}

/* ---- one random labelled row of each unit ------------------------------------------------------ */

void gn__draws_free(gn__draws *d)
{
    free(d->x);
    free(d->y);
    *d = (gn__draws){0};
}

static gn_status draw_side(gn_context *ctx, const gn_matrix *x, const int *label, const uint32_t *group,
                           size_t limit, uint64_t purpose, uint64_t side, gn__draws *d, gn_error *err)
{
    gn__units u = {0};
    GN__TRY(gn__units_make(group, x->rows, &u, err));
    gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("kind/draws") ^ purpose, side);
    uint32_t *order = gn__calloc(u.count, sizeof *order);
    if (order == NULL) {
        gn__units_free(&u);
        return gn__no_memory(err, x->rows * sizeof *order);
    }
    for (size_t k = 0; k < u.count; k++) order[k] = (uint32_t)k;
    gn__rng_shuffle(&r, order, u.count);
    size_t drawn = 0;
    for (size_t k = 0; k < u.count && drawn < limit; k++) {
        size_t labelled = 0;
        for (size_t i = u.start[order[k]]; i < u.start[order[k] + 1]; i++) labelled += label[u.row[i]] >= 0;
        if (labelled == 0) continue;
        size_t skip = labelled > 1 ? gn__rng_below(&r, (uint32_t)labelled) : 0;
        for (size_t i = u.start[order[k]]; i < u.start[order[k] + 1]; i++) {
            size_t row = u.row[i];
            if (label[row] < 0 || skip-- > 0) continue;
            d->x[d->n] = x->data + row * x->cols;
            d->y[d->n++] = label[row];
            drawn++;
            break;
        }
    }
    free(order);
    gn__units_free(&u);
    return GN_OK;
}

gn_status gn__draws_make(gn_context *ctx, const gn_kind_input *in, size_t limit, uint64_t purpose,
                         gn__draws *out, gn_error *err)
{
    size_t rows = in->train->rows + in->test->rows;
    gn__draws d = {.x = gn__calloc(rows, sizeof *d.x), .y = gn__calloc(rows, sizeof *d.y)};
    gn_status status = GN_OK;
    if (d.x == NULL || d.y == NULL) {
        status = gn__no_memory(err, rows * (sizeof *d.x + sizeof *d.y));
        goto done;
    }
    GN__TRY_GOTO(draw_side(ctx, in->train, in->train_label, in->train_group, limit, purpose, 0, &d, err),
                 done);
    d.n_train = d.n;
    GN__TRY_GOTO(draw_side(ctx, in->test, in->test_label, in->test_group, limit, purpose, 1, &d, err), done);
    *out = d;
    return GN_OK;
done:
    gn__draws_free(&d);
    return status;
}

/* ---- the parts that gn_detect tells ------------------------------------------------------------ */

gn_shift_answer gn__part_answer(const gn_kind_part *p, double alpha)
{
    if (p->p_value <= alpha && p->effect.low > p->tolerance) return GN_SHIFT_DIFFERENT;
    return p->effect.high < p->tolerance ? GN_SHIFT_EQUIVALENT : GN_SHIFT_NOT_ENOUGH_DATA;
}

static gn_kind_part of_shift(const gn_shift *s, int label)
{
    return (gn_kind_part){.answer = s->answer,
                          .p_value = s->p_holm,
                          .effect = s->auc,
                          .tolerance = s->tolerance,
                          .label = label};
}

/* A view of x in which every labelled row is followed by its label's indicator, as long as a typical row is
 * away from the mean: the kernel then is a product of one on texts and one on labels. */
static gn_status with_labels(const gn_matrix *x, const int *label, int classes, const uint32_t *group,
                             double scale, gn__part *out, gn_error *err)
{
    size_t rows = 0, cols = x->cols + (size_t)classes;
    gn__part p = {0};
    for (size_t i = 0; i < x->rows; i++) rows += label[i] >= 0;
    GN__TRY(gn_matrix_create(rows, cols, &p.x, err));
    p.group = group != NULL ? gn__calloc(rows, sizeof *p.group) : NULL;
    if (group != NULL && p.group == NULL) {
        gn__part_free(&p);
        return gn__no_memory(err, rows * sizeof *group);
    }
    for (size_t i = 0, k = 0; i < x->rows; i++) {
        if (label[i] < 0) continue;
        memcpy(p.x.data + k * cols, x->data + i * x->cols, x->cols * sizeof *x->data);
        p.x.data[k * cols + x->cols + (size_t)label[i]] = (float)scale;
        if (group != NULL) p.group[k] = group[i];
        k++;
    }
    *out = p;
    return GN_OK;
}

/* Root mean square distance of a row from the mean, over a part of the rows of both sides alike. */
static gn_status typical_length(const gn_kind_input *in, double *out, gn_error *err)
{
    size_t cols = in->train->cols, count = 0;
    double *mean = gn__calloc(cols, sizeof *mean), square = 0;
    if (mean == NULL) return gn__no_memory(err, cols * sizeof *mean);
    for (int pass = 0; pass < 2; pass++) {
        count = 0;
        for (int side = 0; side < 2; side++) {
            const gn_matrix *x = side ? in->test : in->train;
            for (size_t i = 0; i < x->rows; i += 1 + x->rows / 4096, count++)
                for (size_t j = 0; j < cols; j++) {
                    double v = (double)x->data[i * cols + j];
                    if (pass == 0)
                        mean[j] += v;
                    else
                        square += (v - mean[j]) * (v - mean[j]);
                }
        }
        if (pass == 0)
            for (size_t j = 0; j < cols; j++) mean[j] /= (double)count;
    }
    free(mean);
    *out = sqrt(square / (double)count);
    if (!(*out > 0)) *out = 1;
    return GN_OK;
}

static gn_status total_part(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o, gn_kind *out,
                            gn_error *err)
{
    gn__part a = {0}, b = {0};
    gn_shift s;
    double length = 1;
    gn_status status;
    GN__TRY(typical_length(in, &length, err));
    GN__TRY_GOTO(with_labels(in->train, in->train_label, in->classes, in->train_group, length, &a, err),
                 done);
    GN__TRY_GOTO(with_labels(in->test, in->test_label, in->classes, in->test_group, length, &b, err), done);
    gn_detect_options d = o->detect;
    d.purpose ^= gn__purpose("kind/total");
    d.allow_part = true;
    d.group_a = a.group;
    d.group_b = b.group;
    GN__TRY_GOTO(gn_detect(ctx, &a.x, &b.x, &d, &s, NULL, NULL, err), done);
    out->part[GN_KIND_TOTAL] = of_shift(&s, -1);
done:
    gn__part_free(&a);
    gn__part_free(&b);
    return status;
}

static gn_status covariate_part(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o,
                                gn_kind *out, gn_error *err)
{
    gn_shift s;
    gn_detect_options d = o->detect;
    d.group_a = in->train_group;
    d.group_b = in->test_group;
    if (in->shift != NULL)
        s = *in->shift;
    else
        GN__TRY(gn_detect(ctx, in->train, in->test, &d, &s, NULL, NULL, err));
    out->part[GN_KIND_COVARIATE] = of_shift(&s, -1);
    out->part[GN_KIND_COVARIATE].p_value = s.p_value;
    return GN_OK;
}

/* The texts of a label differ: Holm's smallest p-value holds whatever the dependence between labels, which
 * may share groups. Different if one label is, equivalent if all are. */
static gn_status conditional_part(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o,
                                  gn_kind *out, gn_error *err)
{
    const gn_shift *each = in->by_label;
    gn_shift *made = NULL;
    gn_kind_part p = out->part[GN_KIND_CONDITIONAL];
    gn_status status = GN_OK;
    if (each == NULL) {
        const gn_matrix x[2] = {*in->train, *in->test};
        made = gn__calloc((size_t)in->classes, sizeof *made);
        if (made == NULL) return gn__no_memory(err, (size_t)in->classes * sizeof *made);
        GN__TRY_GOTO(gn__detect_each(ctx, x, (const uint32_t *const[]){in->train_group, in->test_group},
                                     (const int *const[]){in->train_label, in->test_label}, in->classes,
                                     &o->detect, made, err),
                     done);
        each = made;
    }
    int equivalent = 0, different = -1;
    for (int k = 0; k < in->classes; k++) {
        const gn_shift *s = &each[k];
        equivalent += s->answer == GN_SHIFT_EQUIVALENT;
        if (isnan(s->p_holm)) continue;
        if (!(p.p_value <= s->p_holm)) p.p_value = s->p_holm;
        if (p.label < 0 || s->auc.estimate > p.effect.estimate) p.effect = s->auc, p.label = k;
        if (s->answer == GN_SHIFT_DIFFERENT &&
            (different < 0 || s->auc.estimate > each[different].auc.estimate))
            different = k;
    }
    if (different >= 0) {
        p.answer = GN_SHIFT_DIFFERENT;
        p.effect = each[different].auc;
        p.label = different;
    } else if (equivalent == in->classes) {
        p.answer = GN_SHIFT_EQUIVALENT;
    }
    out->part[GN_KIND_CONDITIONAL] = p;
done:
    free(made);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------- */

static gn_status check_input(const gn_kind_input *in, gn_error *err)
{
    if (in->train->cols != in->test->cols || in->train->cols == 0)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "the two sets must have the same number of columns; they have %zu and %zu",
                        in->train->cols, in->test->cols);
    for (int side = 0; side < 2; side++) {
        const int *label = side ? in->test_label : in->train_label;
        const gn_matrix *x = side ? in->test : in->train;
        for (size_t i = 0; label != NULL && i < x->rows; i++)
            if (label[i] < -1 || label[i] >= in->classes)
                return gn__fail(err, GN_INVALID_ARGUMENT, "row %zu has the label %d; there are %d classes", i,
                                label[i], in->classes);
    }
    return GN_OK;
}

/* Labels that at least `rows` rows carry. */
static int classes_met(const int *label, size_t n, int classes, size_t rows)
{
    int met = 0;
    for (int k = 0; k < classes; k++) {
        size_t count = 0;
        for (size_t i = 0; i < n && count < rows; i++) count += label[i] == k;
        met += count >= rows;
    }
    return met;
}

static void start(const gn_kind_input *in, const gn_kind_options *o, gn_kind *k)
{
    const gn_interval none = {NAN, NAN, NAN};
    k->classes = in->classes;
    k->available = true;
    k->probe_accuracy = k->effective_dimension = NAN;
    k->test_labelled =
        in->test_label != NULL && classes_met(in->test_label, in->test->rows, in->classes, 1) > 0;
    for (int i = 0; i < GN_KIND_PARTS; i++) {
        bool share = i == GN_KIND_LABEL || i == GN_KIND_CONCEPT;
        k->part[i] = (gn_kind_part){.answer = GN_SHIFT_NOT_ENOUGH_DATA,
                                    .p_value = NAN,
                                    .effect = none,
                                    .tolerance = share ? o->share_tolerance : o->detect.tolerance,
                                    .label = -1};
    }
    for (int c = 0; c < in->classes; c++)
        k->by_class[c] = (gn_kind_class){.train_share = none,
                                         .test_share = none,
                                         .share_difference = none,
                                         .concept_difference = none,
                                         .estimated_share = none,
                                         .weight = none};
}

gn_status gn_kind_run(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *options, gn_kind *out,
                      gn_error *err)
{
    gn_kind_options o = options != NULL ? *options : (gn_kind_options){0};
    gn_kind k = {0};
    gn_status status;
    if (!(o.detect.alpha > 0)) o.detect.alpha = 0.05;
    if (!(o.detect.tolerance > 0)) o.detect.tolerance = 0.60;
    if (o.detect.permutations == 0) o.detect.permutations = 999;
    if (o.detect.min_rows == 0) o.detect.min_rows = 20;
    if (!(o.share_tolerance > 0)) o.share_tolerance = 0.05;
    if (o.bootstrap == 0) o.bootstrap = 500;
    GN__TRY(check_input(in, err));
    if (in->train_label == NULL || classes_met(in->train_label, in->train->rows, in->classes, 2) < 2) {
        snprintf(k.reason, sizeof k.reason, "train has no two labels with two rows each");
        *out = k;
        return GN_OK;
    }
    k.by_class = gn__calloc((size_t)in->classes, sizeof *k.by_class);
    if (k.by_class == NULL) return gn__no_memory(err, (size_t)in->classes * sizeof *k.by_class);
    start(in, &o, &k);
    GN__TRY_GOTO(gn__kind_label(ctx, in, &o, &k, err), done);
    GN__TRY_GOTO(covariate_part(ctx, in, &o, &k, err), done);
    if (!k.test_labelled) snprintf(k.concept_reason, sizeof k.concept_reason, "test has no labels");
    if (k.test_labelled) {
        GN__TRY_GOTO(total_part(ctx, in, &o, &k, err), done);
        GN__TRY_GOTO(conditional_part(ctx, in, &o, &k, err), done);
        GN__TRY_GOTO(gn__kind_concept(ctx, in, &o, &k, err), done);
    }
    GN__TRY_GOTO(gn__kind_probe(ctx, in, &o, &k, err), done);
    *out = k;
    return GN_OK;
done:
    gn_kind_free(&k);
    return status;
}
