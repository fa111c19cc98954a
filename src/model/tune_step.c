/* One optimiser step: passes forward and backward, their gradients added up, clipped, applied; and the loss
 * of the held-out rows. */
#include "model/tuned.h"

#include <math.h>
#include <stdio.h>

double gn__softmax_loss(const float *logit, int classes, int label, double scale, float *by_logit)
{
    double most = -INFINITY, sum = 0;
    for (int k = 0; k < classes; k++)
        if (!((double)logit[k] <= most)) most = (double)logit[k]; /* lets NaN through */
    for (int k = 0; k < classes; k++) sum += exp((double)logit[k] - most);
    for (int k = 0; k < classes && by_logit != NULL; k++)
        by_logit[k] = (float)(scale * (exp((double)logit[k] - most) / sum - (k == label)));
    return log(sum) + most - (double)logit[label];
}

static double weight_of(const gn__tune_run *r, uint32_t row)
{
    const double *w = r->options->class_weight;
    return w != NULL ? w[r->rows->label[row]] : 1;
}

/* The rows of the epoch that `step` belongs to, in its order. */
static void open_epoch(gn__tune_run *r, size_t epoch)
{
    if (r->epoch == epoch) return;
    memcpy(r->order, r->train, r->trains * sizeof *r->order);
    gn__rng g = gn__rng_make(r->options->seed, gn__purpose("order of fine-tuning"), epoch);
    gn__rng_shuffle(&g, r->order, r->trains);
    r->epoch = epoch;
}

/* Numbers of rows, ascending, a dozen at the most, for a message. */
static void name_rows(const uint32_t *row, size_t n, char *out, size_t size)
{
    enum { MOST = 12 };
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && i < MOST && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, i ? ", %zu" : "%zu", (size_t)row[i] + 1);
    if (n > MOST && used < size) snprintf(out + used, size - used, ", …");
}

static gn_status not_finite(const gn__tune_run *r, const char *what, const uint32_t *row, size_t n,
                            gn_error *err)
{
    char text[200];
    name_rows(row, n, text, sizeof text);
    return gn__fail(err, GN_NUMERIC, "step %zu: %s is not finite (rows %s); a lower rate may help",
                    (size_t)r->state.step + 1, gn__translate(err ? err->lang : GN_LANG_EN, what), text);
}

/* Runs rows[0..n) forward: r->logits. */
static gn_status forward(gn__tune_run *r, const uint32_t *row, size_t n, bool training, gn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        r->sequence[i] = r->texts.sequence[row[i]];
        r->row_number[i] = row[i];
    }
    r->dropout.step = r->state.step;
    r->dropout.row = r->row_number;
    return gn__learner_forward(r->ctx, r->t->learner, r->sequence, n, training ? &r->dropout : NULL,
                               r->logits, NULL, err);
}

/* A pass of a step whose texts weigh `total`. */
static gn_status run_pass(gn__tune_run *r, const uint32_t *row, size_t n, double total, double *loss,
                          gn_error *err)
{
    int classes = r->t->classes;
    size_t bad = 0;
    uint32_t *wrong = NULL;
    GN__TRY(forward(r, row, n, true, err));
    for (size_t i = 0; i < n; i++) {
        size_t at = i * (size_t)classes;
        double w = weight_of(r, row[i]) / total;
        double x = gn__softmax_loss(r->logits + at, classes, r->rows->label[row[i]], w, r->by_logit + at);
        *loss += w * x;
        bad += !isfinite(x);
    }
    if (bad == 0) return gn__learner_backward(r->ctx, r->t->learner, r->by_logit, r->gradient, err);
    wrong = gn__calloc(bad, sizeof *wrong);
    if (wrong == NULL) return gn__no_memory(err, bad * sizeof *wrong);
    bad = 0;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(
                gn__softmax_loss(r->logits + i * (size_t)classes, classes, r->rows->label[row[i]], 1, NULL)))
            wrong[bad++] = row[i];
    gn_status status = not_finite(r, "the loss", wrong, bad, err);
    free(wrong);
    return status;
}

/* Clips and applies the gradient of a whole step. */
static gn_status apply(gn__tune_run *r, const uint32_t *row, size_t n, gn_error *err)
{
    const gn_tune_options *o = r->options;
    double norm, factor = gn__schedule_factor(o->schedule, r->state.step, r->warmup, r->planned), scale = 1;
    if (r->frozen_end > r->frozen)
        memset(r->gradient + r->frozen, 0, (r->frozen_end - r->frozen) * sizeof *r->gradient);
    GN__TRY(gn__norm_of(r->ctx, r->gradient, gn__learner_trained(r->t->learner), &norm, err));
    if (!isfinite(norm)) return not_finite(r, "the gradient", row, n, err);
    if (o->clip > 0) scale = o->clip / (norm + 1e-6); /* as torch's clip_grad_norm_ */
    gn__optimiser_step(r->ctx, &r->optimiser, gn__learner_values(r->t->learner), r->gradient,
                       scale < 1 ? scale : 1, (double[]){o->rate * factor, o->head_rate * factor});
    return GN_OK;
}

gn_status gn__tune_step(gn__tune_run *r, gn_error *err)
{
    size_t step = r->state.step, at = step % r->steps_an_epoch * r->options->batch, tokens = 0;
    open_epoch(r, step / r->steps_an_epoch);
    const uint32_t *row = r->order + at;
    size_t n = r->trains - at < r->options->batch ? r->trains - at : r->options->batch;
    double loss = 0, total = 0;
    for (size_t i = 0; i < n; i++) total += weight_of(r, row[i]);
    gn_status status = gn__check_cancel(r->ctx, err);
    for (size_t done = 0, some, more; done < n && status == GN_OK; done += some, tokens += more) {
        some = gn__pass_rows(&r->texts, row + done, n - done, r->t->plan.most_tokens, r->t->plan.most_texts,
                             &more);
        status = run_pass(r, row + done, some, total, &loss, err);
    }
    if (status == GN_OK) status = apply(r, row, n, err);
    if (status != GN_OK) { /* what has been added up is of no use to anybody */
        memset(r->gradient, 0, gn__learner_trained(r->t->learner) * sizeof *r->gradient);
        return status;
    }
    r->state.step_loss[step] = loss;
    r->state.step++;
    r->state.tokens += tokens;
    return gn__learner_refresh(r->ctx, r->t->learner, err);
}

gn_status gn__tune_heldout(gn__tune_run *r, double *loss, gn_error *err)
{
    double sum = 0, total = 0;
    size_t tokens = 0;
    for (size_t done = 0, some, more; done < r->helds; done += some, tokens += more) {
        const uint32_t *row = r->held + done;
        some = gn__pass_rows(&r->texts, row, r->helds - done, r->t->plan.most_tokens, r->t->plan.most_texts,
                             &more);
        GN__TRY(forward(r, row, some, false, err));
        for (size_t i = 0; i < some; i++) {
            double w = weight_of(r, row[i]);
            sum += w * gn__softmax_loss(r->logits + i * (size_t)r->t->classes, r->t->classes,
                                        r->rows->label[row[i]], 0, NULL);
            total += w;
        }
    }
    r->state.heldout_tokens += tokens;
    *loss = sum / total;
    return GN_OK;
}
