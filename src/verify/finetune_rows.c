/* Which rows each fit of the comparison is trained on and judged on. */
#include "verify/finetune_parts.h"

static const char NO_TEST_LABELS[] = "no labels in test";
static const char ONE_TEST_CLASS[] = "the labels of test are of one class only";

void gn__rows_free(gn__rows *r)
{
    free(r->row);
    free(r->y);
    free(r->group);
    *r = (gn__rows){0};
}

/* The positions p of the sample with keep[p] == value (keep NULL: all). */
static gn_status rows_of(const gn__sample *s, const uint32_t *keep, uint32_t value, gn__rows *out,
                         gn_error *err)
{
    *out = (gn__rows){0};
    out->row = gn__calloc(s->n, sizeof *out->row);
    out->y = gn__calloc(s->n, sizeof *out->y);
    out->group = s->group ? gn__calloc(s->n, sizeof *out->group) : NULL;
    if (!out->row || !out->y || (s->group && !out->group)) {
        gn__rows_free(out);
        return gn__no_memory(err, s->n * (sizeof *out->row + sizeof *out->y));
    }
    for (size_t p = 0; p < s->n; p++) {
        if (keep != NULL && keep[p] != value) continue;
        out->row[out->n] = s->row[p];
        out->y[out->n] = s->y[p];
        if (s->group) out->group[out->n] = s->group[p];
        out->n++;
    }
    return GN_OK;
}

/* bin[p] = 0 for about `want` rows of the sample: whole groups, or where those give less than half of that,
 * rows; 1 for the others. */
static gn_status draw(gn__finetune *c, const int *y, const uint32_t *group, size_t n, size_t want,
                      uint64_t seed, const char *purpose, uint64_t index, uint32_t *bin)
{
    double share[2] = {(double)want / (double)n, 1 - (double)want / (double)n};
    for (const uint32_t *by = group;; by = NULL) {
        gn__units units = {0};
        gn__rng rng = gn__rng_make(seed, gn__purpose(purpose), index);
        size_t got = 0;
        GN__TRY(gn__units_make(by, n, &units, c->err));
        gn_status status = gn__deal(&units, y, (int)c->classes, share, 2, want, &rng, bin, c->err);
        gn__units_free(&units);
        GN__TRY(status);
        for (size_t p = 0; p < n; p++) got += bin[p] == 0;
        if (by == NULL || 2 * got >= want) return GN_OK;
    }
}

/* Held-out rows, and of the others those that are trained on. */
static gn_status split_train(gn__finetune *c)
{
    enum { MOST_HELD = 2000, SHARE = 5, FEWEST = 10 };
    gn__sample all = {0}, rest = {0};
    gn_status status;
    uint32_t *bin = NULL;
    GN__TRY_GOTO(
        gn__sample_make(c->in->train, c->in->train_label, (int)c->classes, c->in->train_group, &all, c->err),
        done);
    size_t most = c->options.max_train, held = c->options.heldout_rows;
    if (held == 0) held = all.n / SHARE < MOST_HELD ? all.n / SHARE : (size_t)MOST_HELD;
    if (held + FEWEST > all.n) {
        status = gn__fail(c->err, GN_DATA, "%zu labelled train rows are too few to hold %zu of them out",
                          all.n, held);
        goto done;
    }
    bin = gn__calloc(all.n, sizeof *bin);
    if (bin == NULL) {
        status = gn__no_memory(c->err, all.n * sizeof *bin);
        goto done;
    }
    uint64_t seed = gn_context_seed(c->ctx);
    GN__TRY_GOTO(draw(c, all.y, all.group, all.n, held, seed, "finetune/heldout", 0, bin), done);
    GN__TRY_GOTO(rows_of(&all, bin, 0, &c->held, c->err), done);
    GN__TRY_GOTO(gn__sample_part(&all, bin, 1, false, &rest, c->err), done);
    if (most > 0 && most < rest.n) {
        GN__TRY_GOTO(draw(c, rest.y, rest.group, rest.n, most, seed, "finetune/train", 0, bin), done);
        status = rows_of(&rest, bin, 0, &c->fit, c->err);
    } else {
        status = rows_of(&rest, NULL, 0, &c->fit, c->err);
    }
done:
    gn__sample_free(&all);
    gn__sample_free(&rest);
    free(bin);
    return status;
}

static size_t classes_in(const gn__rows *r, size_t classes)
{
    size_t found = 0;
    for (size_t c = 0; c < classes; c++)
        for (size_t p = 0; p < r->n; p++)
            if ((size_t)r->y[p] == c) {
                found++;
                break;
            }
    return found;
}

/* Folds of the labelled test rows, dealt anew for every seed. Where some seed has none, there are none. */
static gn_status deal_folds(gn__finetune *c, int kind)
{
    size_t n = c->test.n, cells = 0, want = c->options.folds ? c->options.folds : 5;
    const uint32_t *group = kind == GN__GROUPED ? c->test.group : NULL;
    if (kind == GN__GROUPED && group == NULL) return GN_OK;
    gn__units units = {0};
    gn_status status;
    GN__TRY(gn__units_make(group, n, &units, c->err));
    bool single = kind == GN__GROUPED && units.count == n;
    c->fold[kind] = gn__mul_size(n, c->seeds, &cells) ? gn__calloc(cells, sizeof *c->fold[kind]) : NULL;
    c->folds[kind] = gn__calloc(c->seeds, sizeof *c->folds[kind]);
    status = c->fold[kind] && c->folds[kind] ? GN_OK : gn__no_memory(c->err, cells * sizeof *c->fold[kind]);
    bool all = !single;
    for (size_t s = 0; s < c->seeds && status == GN_OK && all; s++) {
        status = gn__folds(&units, c->test.y, (int)c->classes, want, gn_context_seed(c->ctx) + s,
                           gn__purpose("finetune/folds"), (uint64_t)kind, c->fold[kind] + s * n,
                           &c->folds[kind][s], c->err);
        all = all && c->folds[kind][s] > 0;
    }
    gn__units_free(&units);
    if (!all) {
        free(c->fold[kind]);
        c->fold[kind] = NULL;
    }
    return status;
}

gn_status gn__finetune_rows(gn__finetune *c, const char **missing_train, const char **missing_test)
{
    *missing_train = GN__NO_TRAIN_LABELS, *missing_test = NO_TEST_LABELS;
    if (c->in->train_label != NULL) {
        size_t labelled = 0;
        for (size_t i = 0; i < c->in->train->rows; i++) labelled += c->in->train_label[i] >= 0;
        if (labelled > 0) {
            GN__TRY(split_train(c));
            *missing_train = classes_in(&c->fit, c->classes) < 2 ? GN__ONE_TRAIN_CLASS : NULL;
        }
    }
    if (c->in->test_label != NULL) {
        gn__sample s = {0};
        GN__TRY(
            gn__sample_make(c->in->test, c->in->test_label, (int)c->classes, c->in->test_group, &s, c->err));
        gn_status status = rows_of(&s, NULL, 0, &c->test, c->err);
        gn__sample_free(&s);
        GN__TRY(status);
        if (c->test.n > 0) *missing_test = classes_in(&c->test, c->classes) < 2 ? ONE_TEST_CLASS : NULL;
        if (*missing_test == NULL)
            for (int kind = 0; kind < GN__KINDS; kind++) GN__TRY(deal_folds(c, kind));
    }
    c->set_rows[GN__HELDOUT] = *missing_train ? 0 : c->held.n;
    c->set_rows[GN__TEST] = *missing_test ? 0 : c->test.n;
    c->set_rows[GN__TEST_GROUPED] = *missing_test || c->test.group == NULL ? 0 : c->test.n;
    return GN_OK;
}

void gn__fit_rows_free(gn__fit_rows *f)
{
    free(f->row);
    free(f->judged);
    free(f->position);
}

size_t gn__mix_wanted(const gn__finetune *c, size_t test_rows)
{
    size_t want = c->options.mix_rows ? c->options.mix_rows : test_rows;
    return want < c->fit.n ? want : c->fit.n;
}

gn_status gn__fit_rows_make(gn__finetune *c, gn_source source, int kind, size_t seed, size_t fold,
                            gn__fit_rows *out)
{
    uint32_t train = (uint32_t)c->in->train->rows;
    size_t n = c->test.n;
    bool cross = source != GN_SOURCE_TRAIN;
    *out = (gn__fit_rows){0};
    out->row = gn__calloc(c->fit.n + n, sizeof *out->row);
    out->judged = gn__calloc(c->held.n + n, sizeof *out->judged);
    out->position = gn__calloc(n, sizeof *out->position);
    uint32_t *bin = gn__calloc(c->fit.n, sizeof *bin);
    gn_status status = GN_OK;
    if (!out->row || !out->judged || !out->position || !bin) {
        status = gn__no_memory(c->err, (c->fit.n + c->held.n + 2 * n) * sizeof *out->row);
        goto done;
    }
    const uint32_t *of = cross ? c->fold[kind] + seed * n : NULL;
    size_t own = 0;
    for (size_t p = 0; cross && p < n; p++) own += of[p] != fold;
    if (source == GN_SOURCE_MIX) {
        size_t want = gn__mix_wanted(c, own);
        if (want < c->fit.n)
            GN__TRY_GOTO(draw(c, c->fit.y, NULL, c->fit.n, want, gn_context_seed(c->ctx) + seed,
                              "finetune/mix", (uint64_t)kind << 32 | fold, bin),
                         done);
    }
    for (size_t p = 0; source != GN_SOURCE_TEST && p < c->fit.n; p++)
        if (bin[p] == 0) out->row[out->rows++] = c->fit.row[p];
    for (size_t p = 0; cross && p < n; p++)
        if (of[p] != fold) out->row[out->rows++] = train + c->test.row[p];
    if (!cross || (kind == GN__ORDINARY && fold == 0))
        for (size_t p = 0; p < c->set_rows[GN__HELDOUT]; p++) out->judged[out->judges++] = c->held.row[p];
    out->held = out->judges;
    for (size_t p = 0; p < c->set_rows[GN__TEST]; p++) {
        if (cross && of[p] != fold) continue;
        out->position[out->judges - out->held] = (uint32_t)p;
        out->judged[out->judges++] = train + c->test.row[p];
    }
done:
    free(bin);
    if (status != GN_OK) {
        gn__fit_rows_free(out);
        *out = (gn__fit_rows){0};
    }
    return status;
}
