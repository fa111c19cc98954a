/* gn_tune: checks what it is given, lays everything out, and runs steps, evaluations and checkpoints. */
#include "model/tuned.h"

#include <math.h>
#include <time.h>

/* ---- options ------------------------------------------------------------------------------------------ */

void gn_tune_defaults(gn_tune_options *o)
{
    static const double rates[] = {
        [GN_TUNE_HEAD] = 1e-3, [GN_TUNE_FULL] = 2e-5, [GN_TUNE_LORA] = 2e-4, [GN_TUNE_LAST_K] = 2e-5};
    if (o->lora_rank == 0) o->lora_rank = 8;
    if (o->lora_alpha == 0) o->lora_alpha = 2 * (double)o->lora_rank;
    if (o->lora_target == 0) o->lora_target = GN_LORA_QUERY | GN_LORA_VALUE;
    if (o->last_k == 0) o->last_k = 2;
    if (o->epochs == 0) o->epochs = 3;
    if (o->batch == 0) o->batch = 32;
    if (o->budget == 0) o->budget = 4096;
    if (o->rate == 0 && (unsigned)o->what < GN_TUNE_COUNT) o->rate = rates[o->what];
    if (o->head_rate == 0) o->head_rate = o->head_weight != NULL || o->rate > 1e-3 ? o->rate : 1e-3;
    if (o->decay < 0) o->decay = 0.01;
    if (o->beta1 == 0) o->beta1 = 0.9;
    if (o->beta2 == 0) o->beta2 = 0.999;
    if (o->eps == 0) o->eps = 1e-8;
    if (o->warmup < 0) o->warmup = 0.1;
    if (o->clip < 0) o->clip = 1;
    if (o->heldout < 0) o->heldout = 0.1;
    if (o->checkpoint_every == 0) o->checkpoint_every = 100;
}

static gn_status check_range(const char *name, double x, double from, double below, gn_error *err)
{
    if (x >= from && x < below) return GN_OK;
    return gn__fail(err, GN_INVALID_ARGUMENT, "fine-tuning: %s is %g, but should be from %g to less than %g",
                    name, x, from, below);
}

static gn_status check_options(const gn_tune_options *o, int classes, gn_error *err)
{
    enum { ALL = GN_LORA_QUERY | GN_LORA_KEY | GN_LORA_VALUE | GN_LORA_OUT | GN_LORA_MLP };
    const struct {
        const char *name;
        double x, from, below;
    } ranges[] = {{"rate", o->rate, 0, INFINITY},
                  {"head_rate", o->head_rate, 0, INFINITY},
                  {"lora_rank", (double)o->lora_rank, 1, 1 << 14},
                  {"lora_alpha", o->lora_alpha, 0, INFINITY},
                  {"decay", o->decay, 0, INFINITY},
                  {"beta1", o->beta1, 0, 1},
                  {"beta2", o->beta2, 0, 1},
                  {"eps", o->eps, 0, INFINITY},
                  {"warmup", o->warmup, 0, 1},
                  {"clip", o->clip, 0, INFINITY},
                  {"dropout", o->dropout < 0 ? 0 : o->dropout, 0, 1},
                  {"heldout", o->heldout, 0, 0.9},
                  {"epochs", (double)o->epochs, 1, 1e6},
                  {"batch", (double)o->batch, 1, 1e6},
                  {"budget", (double)o->budget, 1, GN__MOST_ROWS},
                  {"what", (double)o->what, 0, GN_TUNE_COUNT},
                  {"schedule", (double)o->schedule, 0, GN_SCHEDULE_CONSTANT + 1},
                  {"lora_target", (double)o->lora_target, 0, ALL + 1},
                  {"dtype", (double)o->dtype, 0, GN_DTYPE_INT8}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        GN__TRY(check_range(ranges[i].name, ranges[i].x, ranges[i].from, ranges[i].below, err));
    for (int k = 0; k < classes && o->class_weight != NULL; k++)
        if (!(o->class_weight[k] > 0 && isfinite(o->class_weight[k])))
            return gn__fail(err, GN_INVALID_ARGUMENT, "the weight of class %d is %g; it should be above 0", k,
                            o->class_weight[k]);
    return GN_OK;
}

static gn_status check_rows(const gn_tune_rows *rows, gn_error *err)
{
    bool several = false;
    if (rows->classes < 2)
        return gn__fail(err, GN_INVALID_ARGUMENT, "fine-tuning needs two classes or more, not %d",
                        rows->classes);
    if (rows->rows >= UINT32_MAX)
        return gn__fail(err, GN_INVALID_ARGUMENT, "more than %u texts in one call", UINT32_MAX - 1);
    for (size_t i = 0; i < rows->rows; i++) {
        if (rows->label[i] < 0 || rows->label[i] >= rows->classes)
            return gn__fail(err, GN_INVALID_ARGUMENT, "row %zu has the label %d; there are %d classes", i + 1,
                            rows->label[i], rows->classes);
        several = several || rows->label[i] != rows->label[0];
    }
    if (!several) return gn__fail(err, GN_INVALID_ARGUMENT, "fine-tuning needs rows of two classes or more");
    return GN_OK;
}

/* ---- layout ---------------------------------------------------------------------------------------------
 */

static gn_status choose_rows(gn__tune_run *r, gn_error *err)
{
    size_t n = r->rows->rows;
    unsigned char *held = gn__calloc(n, 1);
    r->train = gn__calloc(n, sizeof *r->train);
    r->order = gn__calloc(n, sizeof *r->order);
    r->held = gn__calloc(n, sizeof *r->held);
    gn_status status = held && r->train && r->order && r->held ? GN_OK : gn__no_memory(err, n * 12);
    if (status == GN_OK) status = gn__tune_split(r->rows, r->options->heldout, r->options->seed, held, err);
    for (size_t i = 0; i < n && status == GN_OK; i++) {
        if (held[i])
            r->held[r->helds++] = (uint32_t)i;
        else
            r->train[r->trains++] = (uint32_t)i;
    }
    free(held);
    return status;
}

/* The faster type, or the one asked for; float32 where the processor lacks it. */
static gn_dtype choose_dtype(const gn_model *m, gn_dtype wish)
{
    const float one = 1;
    gn__linear *probe = NULL;
    gn_dtype dtype = wish == GN_DTYPE_AUTO ? gn__best_dtype() : wish;
    if (dtype == GN_DTYPE_F32) return dtype;
    gn_status status = gn__linear_create(m->engine, &one, NULL, 1, 1, false, dtype, &probe, NULL);
    gn__linear_free(probe);
    return status == GN_OK ? dtype : GN_DTYPE_F32;
}

/* Steps are known once the rows are. */
static void count_steps(gn__tune_run *r)
{
    gn_tune_options *o = &r->t->options;
    r->steps_an_epoch = (r->trains + o->batch - 1) / o->batch;
    r->planned = r->steps_an_epoch * o->epochs;
    if (o->max_steps > 0 && o->max_steps < r->planned) r->planned = o->max_steps;
    r->warmup = gn__schedule_warmup(o->warmup, r->planned);
    if (o->evaluate_every == 0) o->evaluate_every = r->steps_an_epoch < 8 ? 1 : r->steps_an_epoch / 4;
    r->most_points = r->planned / o->evaluate_every + 2;
    r->epoch = SIZE_MAX;
}

static int longer(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* No pass has more tokens than the longest texts of a step together. */
static gn_status most_in_a_step(const gn__tune_run *r, size_t *out, gn_error *err)
{
    size_t n = r->texts.count, *tokens = gn__calloc(n, sizeof *tokens);
    if (tokens == NULL) return gn__no_memory(err, n * sizeof *tokens);
    for (size_t i = 0; i < n; i++) tokens[i] = r->texts.sequence[i].count;
    qsort(tokens, n, sizeof *tokens, longer);
    *out = 0;
    for (size_t i = 0; i < n && i < r->options->batch; i++) *out += tokens[i];
    if (*out > r->options->budget) *out = r->options->budget;
    free(tokens);
    return GN_OK;
}

static gn_status create_learner(gn__tune_run *r, gn_error *err)
{
    gn_tuned *t = r->t;
    gn__learner_options o = {.tune = r->options,
                             .classes = t->classes,
                             .most_tokens = t->plan.most_tokens,
                             .most_texts = t->plan.most_texts,
                             .recompute = t->plan.recompute};
    return gn__learner_create(r->ctx, t->m, &o, &t->learner, err);
}

static gn_status plan(gn__tune_run *r, gn_error *err)
{
    gn_tuned *t = r->t;
    gn__tune_needs needs = {.m = t->m,
                            .tune = r->options,
                            .classes = t->classes,
                            .longest = r->texts.longest,
                            .texts = r->options->batch,
                            .best = r->helds > 0};
    GN__TRY(most_in_a_step(r, &needs.tokens, err));
    GN__TRY(gn__tune_plan_make(&needs, &t->plan, err));
    return create_learner(r, err);
}

/* Where the head starts; and its bias, which stays at 0 where transformers' classifier has none. */
static gn_status start_head(gn__tune_run *r, gn_error *err)
{
    const gn_tune_options *o = r->options;
    size_t count;
    const gn__parameter *p = gn__learner_parameters(r->t->learner, &count);
    float *value = gn__learner_values(r->t->learner);
    for (size_t i = 0; i < count; i++) {
        if (p[i].place != GN__PLACE_HEAD) continue;
        bool bias = strcmp(p[i].name, "head.bias") == 0;
        const float *given = bias ? o->head_bias : o->head_weight;
        if (given != NULL) memcpy(value + p[i].offset, given, p[i].rows * p[i].cols * sizeof *value);
        if (bias && given == NULL && gn__tuned_plain_classifier(r->t->m)) {
            r->frozen = p[i].offset;
            r->frozen_end = p[i].offset + p[i].rows * p[i].cols;
        }
    }
    return gn__learner_refresh(r->ctx, r->t->learner, err);
}

static gn_status create_optimiser(gn__tune_run *r, gn_error *err)
{
    size_t count, used = 0;
    const gn__parameter *p = gn__learner_parameters(r->t->learner, &count);
    gn__stretch *s = gn__calloc(count, sizeof *s);
    if (s == NULL) return gn__no_memory(err, count * sizeof *s);
    for (size_t i = 0; i < count; i++)
        if (r->frozen_end == r->frozen || p[i].offset != r->frozen)
            s[used++] =
                (gn__stretch){p[i].offset, p[i].rows * p[i].cols, p[i].decays, p[i].place == GN__PLACE_HEAD};
    gn_status status = gn__optimiser_create(gn__learner_trained(r->t->learner), s, used, &r->optimiser, err);
    free(s);
    r->optimiser.beta1 = r->options->beta1;
    r->optimiser.beta2 = r->options->beta2;
    r->optimiser.eps = r->options->eps;
    r->optimiser.decay = r->options->decay;
    return status;
}

static gn_status allocate(gn__tune_run *r, gn_error *err)
{
    size_t trained = gn__learner_trained(r->t->learner), texts = r->t->plan.most_texts, logits;
    if (!gn__mul_size(texts, (size_t)r->t->classes, &logits)) return gn__no_memory(err, SIZE_MAX);
    r->gradient = gn__calloc(trained, sizeof *r->gradient);
    r->best = r->helds > 0 ? gn__calloc(trained, sizeof *r->best) : NULL;
    r->state.step_loss = gn__calloc(r->planned, sizeof *r->state.step_loss);
    r->state.point = gn__calloc(r->most_points, sizeof *r->state.point);
    r->sequence = gn__calloc(texts, sizeof *r->sequence);
    r->row_number = gn__calloc(texts, sizeof *r->row_number);
    r->logits = gn__calloc(logits, sizeof *r->logits);
    r->by_logit = gn__calloc(logits, sizeof *r->by_logit);
    bool good = r->gradient && (r->best || r->helds == 0) && r->state.step_loss && r->state.point &&
                r->sequence && r->row_number && r->logits && r->by_logit;
    return good ? create_optimiser(r, err) : gn__no_memory(err, trained * sizeof *r->gradient);
}

static gn_status prepare(gn__tune_run *r, gn_error *err)
{
    GN__TRY(gn__tune_dropout(r->t->m, r->options->dropout, &r->dropout, err));
    r->dropout.seed = r->options->seed;
    GN__TRY(gn__texts_make(r->ctx, r->t->m, r->rows->text, r->rows->length, r->rows->rows, &r->texts, err));
    GN__TRY(choose_rows(r, err));
    count_steps(r);
    GN__TRY(plan(r, err));
    GN__TRY(start_head(r, err));
    GN__TRY(allocate(r, err));
    r->state.evaluated = UINT64_MAX;
    r->state.best_loss = INFINITY;
    if (r->options->checkpoint == NULL) return GN_OK;
    GN__TRY(gn__tune_identify(r, err));
    return gn__checkpoint_resume(r, err);
}

/* ---- the run
 * ----------------------------------------------------------------------------------------------- */

static double core_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop_clock(gn__tune_run *r)
{
    r->state.seconds = gn__now() - r->began;
    r->state.core_seconds = core_now() - r->core_began;
}

static gn_status save_checkpoint(gn__tune_run *r, gn_error *err)
{
    if (r->options->checkpoint == NULL) return GN_OK;
    stop_clock(r);
    return gn__checkpoint_write(r, err);
}

static double rate_now(const gn__tune_run *r)
{
    return r->options->rate * gn__schedule_factor(r->options->schedule, r->state.step, r->warmup, r->planned);
}

static gn_status evaluate(gn__tune_run *r, gn_error *err)
{
    gn__tune_state *s = &r->state;
    size_t since = s->points > 0 ? s->point[s->points - 1].step : 0;
    double loss = NAN, sum = 0;
    if (r->helds > 0) GN__TRY(gn__tune_heldout(r, &loss, err));
    for (size_t i = since; i < s->step; i++) sum += s->step_loss[i];
    s->point[s->points++] = (gn_tune_point){.step = s->step,
                                            .loss = s->step > since ? sum / (double)(s->step - since) : NAN,
                                            .heldout_loss = loss,
                                            .rate = rate_now(r)};
    s->evaluated = s->step;
    if (r->helds == 0) return GN_OK;
    if (!(loss < s->best_loss)) {
        s->worse++;
        return GN_OK;
    }
    s->best_loss = loss;
    s->best_step = s->step;
    s->worse = 0;
    memcpy(r->best, gn__learner_values(r->t->learner), gn__learner_trained(r->t->learner) * sizeof *r->best);
    return GN_OK;
}

static bool due(const gn__tune_run *r)
{
    const gn__tune_state *s = &r->state;
    return s->evaluated != s->step && (s->step % r->options->evaluate_every == 0 || s->step == r->planned);
}

/* What a progress line shows: the mean of the last losses, and the rate. */
static void report(const gn__tune_run *r)
{
    enum { LATELY = 20 };
    const gn__tune_state *s = &r->state;
    double sum = 0;
    size_t n = s->step < LATELY ? s->step : (size_t)LATELY;
    for (size_t i = s->step - n; i < s->step; i++) sum += s->step_loss[i];
    gn__progress_learning(r->ctx, n > 0 ? sum / (double)n : NAN, rate_now(r));
    gn__progress(r->ctx, GN_STAGE_TUNE, s->step, r->planned);
}

static gn_status run(gn__tune_run *r, gn_error *err)
{
    gn__tune_state *s = &r->state;
    size_t patience = r->options->patience;
    for (;;) {
        if (due(r)) GN__TRY(evaluate(r, err));
        report(r);
        r->t->stats.stopped_early = r->helds > 0 && patience > 0 && s->worse >= patience;
        if (s->step == r->planned || r->t->stats.stopped_early) return GN_OK;
        GN__TRY(gn__tune_step(r, err));
        if (s->step % r->options->checkpoint_every == 0) GN__TRY(save_checkpoint(r, err));
    }
}

/* The best weights into the learner; figures into the stats. */
static gn_status finish(gn__tune_run *r, gn_error *err)
{
    gn_tuned *t = r->t;
    gn_tune_stats *stats = &t->stats;
    gn__tune_state *s = &r->state;
    if (r->best != NULL && s->best_step != s->step)
        memcpy(gn__learner_values(t->learner), r->best, gn__learner_trained(t->learner) * sizeof *r->best);
    GN__TRY(gn__learner_refresh(r->ctx, t->learner, err));
    stop_clock(r);
    stats->rows = r->trains;
    stats->heldout_rows = r->helds;
    stats->steps = s->step;
    stats->best_step = r->best != NULL ? s->best_step : s->step;
    stats->planned_steps = r->planned;
    stats->trained = gn__learner_trained(t->learner) - (r->frozen_end - r->frozen);
    stats->parameters = t->m->info.parameters + (size_t)t->classes * (t->m->info.dim + 1);
    stats->tokens = s->tokens;
    stats->heldout_tokens = s->heldout_tokens;
    stats->seconds = s->seconds;
    stats->core_seconds = s->core_seconds;
    stats->memory = (double)t->plan.bytes;
    stats->recomputed = t->plan.recompute;
    stats->step_loss = s->step_loss;
    stats->point = s->point;
    stats->points = s->points;
    s->step_loss = NULL;
    s->point = NULL;
    gn__optimiser_free(&r->optimiser); /* measuring takes room for the largest tensor */
    free(r->gradient);
    free(r->best);
    r->gradient = r->best = NULL;
    return gn__tuned_measure(r->ctx, t, err);
}

static void free_run(gn__tune_run *r)
{
    gn__texts_free(&r->texts);
    gn__optimiser_free(&r->optimiser);
    free(r->train);
    free(r->held);
    free(r->order);
    free(r->gradient);
    free(r->best);
    free(r->state.step_loss);
    free(r->state.point);
    free(r->sequence);
    free(r->row_number);
    free(r->logits);
    free(r->by_logit);
}

static gn_status run_all(gn__tune_run *r, gn_error *err)
{
    double began = gn__now(), core_began = core_now();
    GN__TRY(prepare(r, err));
    r->began = began - r->state.seconds; /* a run that goes on has these behind it */
    r->core_began = core_began - r->state.core_seconds;
    gn_status status = run(r, err);
    if (status == GN_CANCELLED || status == GN_OK) {
        gn_status saved = save_checkpoint(r, err);
        if (saved != GN_OK) status = saved;
    }
    return status == GN_OK ? finish(r, err) : status;
}

gn_status gn_tune(gn_context *ctx, const gn_model *m, const gn_tune_rows *rows,
                  const gn_tune_options *options, gn_tuned **out, gn_error *err)
{
    if (m->control != NULL || m->endpoint != NULL)
        return gn__fail(err, GN_UNSUPPORTED, "%s has no weights here that could be trained", m->info.name);
    GN__TRY(check_rows(rows, err));
    gn_tuned *t = gn__calloc(1, sizeof *t);
    if (t == NULL) return gn__no_memory(err, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->m = m;
    t->classes = rows->classes;
    t->options = *options;
    gn_tune_defaults(&t->options);
    gn__tune_run r = {.ctx = ctx, .t = t, .rows = rows, .options = &t->options};
    gn_status status = check_options(&t->options, rows->classes, err);
    t->options.dtype = choose_dtype(m, t->options.dtype);
    if (status == GN_OK) status = run_all(&r, err);
    free_run(&r);
    t->options.class_weight = NULL;
    t->options.head_weight = t->options.head_bias = NULL;
    t->options.checkpoint = NULL;
    if (status != GN_OK) {
        gn_tuned_free(t);
        return status;
    }
    *out = t;
    return GN_OK;
}
