/* How often each label occurs: shares with intervals, and the label part: Pearson's statistic with a
 * permutation p-value, which is exact whatever the counts. */
#include "detect/kind.h"
#include "detect/share.h"

/* The root of the 95 % point of chi-squared with k degrees of freedom (Wilson & Hilferty 1931). */
static double scheffe(int k)
{
    double v = 2 / (9.0 * k), c = 1 - v + 1.6448536269514722 * sqrt(v);
    return k <= 1 ? GN__Z95 : sqrt(k * c * c * c);
}

/* ---- the permutation test ---------------------------------------------------------------------- */

typedef struct tally {
    const gn__draws *d;
    int classes;
    size_t *total;     /* [classes] */
    double *statistic; /* [labellings] */
    uint64_t seed, purpose;
    uint32_t *order; /* [workers × n] */
    size_t *count;   /* [workers × classes] */
} tally;

static double pearson(const tally *t, const size_t *in_small, size_t small)
{
    double sum = 0, n = (double)t->d->n, share_small = (double)small / n;
    for (int k = 0; k < t->classes; k++) {
        if (t->total[k] == 0) continue;
        double expected = (double)t->total[k] * share_small, d = (double)in_small[k] - expected;
        sum += d * d / ((double)t->total[k]);
    }
    return sum;
}

/* A labelling is a random choice of the smaller set's rows: the first steps of a shuffle. */
static void permute_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    tally *t = arg;
    size_t n = t->d->n, n_test = n - t->d->n_train, small = n_test < t->d->n_train ? n_test : t->d->n_train;
    uint32_t *order = t->order + worker * n;
    size_t *count = t->count + worker * (size_t)t->classes;
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i; /* once a piece: any order is as good to start from */
    for (size_t l = begin; l < end; l++) {
        gn__rng r = gn__rng_make(t->seed, t->purpose, l + 1);
        memset(count, 0, (size_t)t->classes * sizeof *count);
        for (size_t i = 0; i < small; i++) {
            size_t j = i + gn__rng_below(&r, (uint32_t)(n - i));
            uint32_t chosen = order[j];
            order[j] = order[i];
            order[i] = chosen;
            count[t->d->y[chosen]]++;
        }
        t->statistic[l] = pearson(t, count, small);
    }
}

static gn_status label_test(gn_context *ctx, const gn__draws *d, int classes, const gn_kind_options *o,
                            double *p_value, gn_error *err)
{
    size_t n_test = d->n - d->n_train, small = n_test < d->n_train ? n_test : d->n_train,
           labellings = o->detect.permutations, workers = gn_context_threads(ctx), at_least = 0;
    tally t = {.d = d,
               .classes = classes,
               .total = gn__calloc((size_t)classes, sizeof *t.total),
               .statistic = gn__calloc(labellings, sizeof *t.statistic),
               .order = gn__calloc(workers * d->n, sizeof *t.order),
               .count = gn__calloc(workers * (size_t)classes, sizeof *t.count),
               .seed = gn_context_seed(ctx),
               .purpose = gn__purpose("kind/label") ^ o->detect.purpose};
    gn_status status = GN_OK;
    if (t.total == NULL || t.statistic == NULL || t.order == NULL || t.count == NULL) {
        status = gn__no_memory(err, (labellings + workers * d->n) * sizeof *t.statistic);
        goto done;
    }
    for (size_t i = 0; i < d->n; i++) t.total[d->y[i]]++;
    for (size_t i = n_test < d->n_train ? d->n_train : 0, k = 0; k < small; i++, k++) t.count[d->y[i]]++;
    double observed = pearson(&t, t.count, small);
    GN__TRY_GOTO(gn__parallel_for(ctx, labellings, 16, permute_piece, &t, err), done);
    for (size_t l = 0; l < labellings; l++) at_least += t.statistic[l] >= observed * (1 - 1e-12);
    *p_value = (1 + (double)at_least) / ((double)labellings + 1);
done:
    free(t.total);
    free(t.statistic);
    free(t.order);
    free(t.count);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* Total variation is the difference of shares of those labels that test has more of. */
static void label_effect(const gn__units u[2], const int *const label[2], const gn_kind *k, signed char *pick,
                         gn_kind_part *part)
{
    gn__share s[2];
    int met = 0;
    for (int c = 0; c < k->classes; c++) met += k->by_class[c].train_rows + k->by_class[c].test_rows > 0;
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < u[side].rows; i++)
            pick[i] = label[side][i] < 0 ? -1 : k->by_class[label[side][i]].share_difference.estimate > 0;
        s[side] = gn__share_of(&u[side], pick);
    }
    gn_interval d = gn__share_difference(s[0], s[1], scheffe(met - 1));
    part->effect = (gn_interval){d.estimate, fmax(0, d.low), fmax(d.high, -d.low)};
}

static void class_shares(const gn__units u[2], const int *const label[2], gn_kind *k, signed char *pick)
{
    for (int c = 0; c < k->classes; c++) {
        gn_kind_class *out = &k->by_class[c];
        gn__share s[2];
        for (int side = 0; side < 2; side++) {
            if (label[side] == NULL) continue;
            size_t rows = 0;
            for (size_t i = 0; i < u[side].rows; i++) {
                pick[i] = label[side][i] < 0 ? -1 : label[side][i] == c;
                rows += pick[i] == 1;
            }
            s[side] = gn__share_of(&u[side], pick);
            *(side ? &out->test_rows : &out->train_rows) = rows;
            *(side ? &out->test_share : &out->train_share) = gn__share_interval(s[side], GN__Z95);
        }
        if (label[1] != NULL) out->share_difference = gn__share_difference(s[0], s[1], GN__Z95);
    }
}

gn_status gn__kind_label(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o, gn_kind *out,
                         gn_error *err)
{
    const int *const label[2] = {in->train_label, out->test_labelled ? in->test_label : NULL};
    gn__units u[2] = {{0}};
    gn__draws draws = {0};
    size_t rows = in->train->rows > in->test->rows ? in->train->rows : in->test->rows;
    signed char *pick = gn__calloc(rows, sizeof *pick);
    gn_status status = pick == NULL ? gn__no_memory(err, rows) : GN_OK;
    if (status != GN_OK) return status;
    GN__TRY_GOTO(gn__units_make(in->train_group, in->train->rows, &u[0], err), done);
    GN__TRY_GOTO(gn__units_make(in->test_group, in->test->rows, &u[1], err), done);
    class_shares(u, label, out, pick);
    if (!out->test_labelled) goto done;
    gn_kind_part *part = &out->part[GN_KIND_LABEL];
    label_effect(u, label, out, pick, part);
    GN__TRY_GOTO(gn__draws_make(ctx, in, SIZE_MAX, o->detect.purpose, &draws, err), done);
    size_t n_test = draws.n - draws.n_train;
    if (draws.n_train < o->detect.min_rows || n_test < o->detect.min_rows) goto done;
    GN__TRY_GOTO(label_test(ctx, &draws, in->classes, o, &part->p_value, err), done);
    part->answer = gn__part_answer(part, o->detect.alpha);
done:
    free(pick);
    gn__units_free(&u[0]);
    gn__units_free(&u[1]);
    gn__draws_free(&draws);
    return status;
}
