/* What the judgements of all fits add up to: scores over seeds, and differences from the probe. */
#include "verify/finetune_parts.h"

#include <math.h>

static bool has(const gn__finetune *c, gn_source source, int set)
{
    if (c->set_rows[set] == 0) return false;
    return set != GN__TEST_GROUPED || source == GN_SOURCE_TRAIN || c->fold[GN__GROUPED] != NULL;
}

gn_status gn__tally_make(const gn__finetune *c, gn_source source, gn__tally *t)
{
    for (int set = 0; set < GN__SETS; set++) {
        size_t cells = 0, values = 0;
        if (!has(c, source, set)) continue;
        if (gn__mul_size(c->set_rows[set], c->seeds, &cells) && gn__mul_size(cells, c->classes, &values)) {
            t->right[set] = gn__calloc(cells, sizeof *t->right[set]);
            t->probability[set] = gn__calloc(values, sizeof *t->probability[set]);
        }
        if (t->right[set] == NULL || t->probability[set] == NULL)
            return gn__no_memory(c->err, values * sizeof *t->probability[set]);
    }
    return GN_OK;
}

static gn_finetune_judged *judged_of(gn_finetune_run *run, int set)
{
    return set == GN__HELDOUT ? &run->heldout : set == GN__TEST ? &run->test : &run->test_grouped;
}

static const gn__rows *rows_in(const gn__finetune *c, int set)
{
    return set == GN__HELDOUT ? &c->held : &c->test;
}

gn_status gn__tally_score(gn__finetune *c, gn_finetune_run *run, gn__tally *t, int set)
{
    const gn__rows *r = rows_in(c, set);
    gn_finetune_judged *j = judged_of(run, set);
    size_t n = r->n, all = set == GN__HELDOUT ? c->in->train->rows : c->in->test->rows;
    gn_status status = GN_OK;
    if (t->probability[set] == NULL) return GN_OK;
    const float **table = gn__calloc(c->seeds, sizeof *table);
    gn_scores *each = gn__calloc(c->seeds, sizeof *each);
    j->correct = gn__calloc(all, sizeof *j->correct);
    if (!table || !each || !j->correct) {
        status = gn__no_memory(c->err, all * sizeof *j->correct);
        goto done;
    }
    for (size_t s = 0; s < c->seeds; s++) table[s] = t->probability[set] + s * n * c->classes;
    GN__TRY_GOTO(
        gn__scores_of(c->ctx, table, c->seeds, r->y, n, (int)c->classes, r->group, NULL, &j->scores, c->err),
        done);
    for (size_t s = 0; s < c->seeds; s++)
        GN__TRY_GOTO(
            gn__scores_of(c->ctx, table + s, 1, r->y, n, (int)c->classes, r->group, NULL, &each[s], c->err),
            done);
    gn__widen_by_seeds(&j->scores, each, c->seeds, &j->seed_deviation);
    for (size_t i = 0; i < all; i++) j->correct[i] = NAN;
    for (size_t p = 0; p < n; p++) {
        float sum = 0;
        for (size_t s = 0; s < c->seeds; s++) sum += t->right[set][s * n + p];
        j->correct[r->row[p]] = sum / (float)c->seeds;
    }
    j->available = true;
done:
    free(table);
    free(each);
    free(t->probability[set]);
    t->probability[set] = NULL;
    return status;
}

/* ---- differences --------------------------------------------------------------------------------- */

static const gn__tally *tally_of(const gn__finetune *c, gn_method method, gn_source source)
{
    for (size_t i = 0; i < c->out->runs; i++)
        if (c->out->run[i].method == method && c->out->run[i].source == source) return c->tally + i;
    return NULL;
}

static gn_status difference(const gn__finetune *c, const gn__tally *a, const gn__tally *b, int set,
                            gn_seeded *out)
{
    const gn__rows *r = rows_in(c, set);
    if (a == NULL || b == NULL || a == b || !a->right[set] || !b->right[set]) return GN_OK;
    return gn_seeded_difference(a->right[set], b->right[set], c->seeds, r->n, r->group, c->out->worthwhile,
                                out, c->err);
}

/* Holm 1979 over the differences of one kind. */
static void holm(gn_seeded **d, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && d[j]->p_value < d[j - 1]->p_value; j--) {
            gn_seeded *swap = d[j];
            d[j] = d[j - 1], d[j - 1] = swap;
        }
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fmin(1, (double)(n - i) * d[i]->p_value));
        d[i]->p_holm = worst;
    }
}

gn_status gn__finetune_compare(gn__finetune *c)
{
    gn_finetune_evidence *o = c->out;
    gn_seeded **list = gn__calloc(o->runs, sizeof *list);
    if (list == NULL) return gn__no_memory(c->err, o->runs * sizeof *list);
    gn_status status = GN_OK;
    for (int against = 0; against < 2; against++)
        for (int set = 0; set < GN__SETS; set++) {
            size_t n = 0;
            for (size_t i = 0; i < o->runs; i++) {
                gn_finetune_judged *j = judged_of(o->run + i, set);
                gn_seeded *d = against ? &j->vs_test_probe : &j->vs_probe;
                *d = (gn_seeded){.difference = {NAN, NAN, NAN}, .p_value = NAN, .p_holm = NAN};
                if (against && set == GN__HELDOUT) continue;
                const gn__tally *probe =
                    tally_of(c, GN_METHOD_LP, against ? GN_SOURCE_TEST : o->run[i].source);
                GN__TRY_GOTO(difference(c, c->tally + i, probe, set, d), done);
                if (d->available) list[n++] = d;
            }
            holm(list, n);
        }
    for (size_t i = 0; i < o->runs; i++)
        o->run[i].vs_probe =
            o->run[i].test_grouped.available ? o->run[i].test_grouped.vs_probe : o->run[i].test.vs_probe;
done:
    free(list);
    return status;
}
