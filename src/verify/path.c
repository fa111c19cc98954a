/* Fits along the path of strengths, from strong to weak, each started from the one before. The fits of all
 * jobs and inner folds run side by side at one strength, then the next; those of a large job's folds share
 * their passes over its rows (shared.c). */
#include "verify/parts.h"

#include "tensor/logistic.h"

#include <math.h>

/* Choosing a strength needs less precision than the fit that is kept. */
static const double CHOOSING_TOLERANCE = 1e-3, FINAL_TOLERANCE = 1e-5;
enum { CHOOSING_ITERATIONS = 200, FINAL_ITERATIONS = 1000, ROWS_WORTH_SHARING = 4096 };
static const double LEAST = 1e-15; /* probability at which the log-loss is cut */

/* A fit on some positions of a job, judged on the others. */
typedef struct task {
    const gn__job *job;
    gn__sample fit;
    size_t held;
    uint32_t *held_at;  /* [held] positions in the job */
    size_t present;     /* classes among the fitting rows; the solver knows these only */
    int *class_of;      /* [present] */
    float *mean;        /* [dim] */
    double scale;       /* root mean square over all centred entries */
    double *weight;     /* the solver's, also the next start */
    float *loss, *best; /* [held] at this strength and at the job's best so far */
    float *logits;      /* [held × classes] */
    gn_probe probe;
    double lambda, tolerance, reference; /* see gn__logistic_problem */
    int iterations;
    bool active;
    gn_status status;
    gn_error err;
} task;

typedef struct path_run {
    gn_context *ctx;
    task *task;
} path_run;

gn_status gn__plan_make(const gn_probe_options *options, gn__plan *out, gn_error *err)
{
    static const double usual[] = {1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6};
    gn_probe_options none = {0}, o = options ? *options : none;
    const double *from = o.lambdas ? o.lambdas : usual;
    *out = (gn__plan){.folds = o.folds ? o.folds : 5,
                      .inner_folds = o.inner_folds ? o.inner_folds : 5,
                      .repeats = o.repeats,
                      .bootstrap = o.bootstrap ? o.bootstrap : 1000,
                      .max_rows = o.max_rows ? o.max_rows : 20000,
                      .lambda_count = o.lambdas ? o.lambda_count : sizeof usual / sizeof *usual};
    if (out->folds < 2 || out->inner_folds < 2)
        return gn__fail(err, GN_INVALID_ARGUMENT, "cross-validation needs at least two folds");
    if (out->lambda_count == 0) return gn__fail(err, GN_INVALID_ARGUMENT, "the path of strengths is empty");
    for (size_t l = 0; l < out->lambda_count; l++)
        if (!(from[l] > 0 && isfinite(from[l])))
            return gn__fail(err, GN_INVALID_ARGUMENT, "a strength must be above 0 and finite, found %g",
                            from[l]);
    out->lambda = gn__calloc(out->lambda_count, sizeof *out->lambda);
    if (out->lambda == NULL) return gn__no_memory(err, out->lambda_count * sizeof *out->lambda);
    for (size_t l = 0; l < out->lambda_count; l++) {
        size_t at = l;
        for (; at > 0 && out->lambda[at - 1] < from[l]; at--) out->lambda[at] = out->lambda[at - 1];
        out->lambda[at] = from[l];
    }
    return GN_OK;
}

void gn__plan_free(gn__plan *plan)
{
    free(plan->lambda);
    plan->lambda = NULL;
}

GN__CLONES static void add_row(double *sum, const float *x, size_t dim)
{
    for (size_t j = 0; j < dim; j++) sum[j] += (double)x[j];
}

/* sum_j holds the squares about the mean by column. */
GN__CLONES static void add_squares(double *sum, const float *x, const float *mean, size_t dim)
{
    for (size_t j = 0; j < dim; j++) {
        double d = (double)x[j] - (double)mean[j];
        sum[j] += d * d;
    }
}

static gn_status learn_scale(task *t, gn_error *err)
{
    const gn_matrix *x = t->fit.x;
    size_t dim = x->cols, n = t->fit.n;
    double *sum = gn__calloc(dim, sizeof *sum), all = 0;
    if (sum == NULL) return gn__no_memory(err, dim * sizeof *sum);
    for (size_t p = 0; p < n; p++) add_row(sum, x->data + t->fit.row[p] * dim, dim);
    for (size_t j = 0; j < dim; j++) t->mean[j] = (float)(sum[j] / (double)n);
    memset(sum, 0, dim * sizeof *sum);
    for (size_t p = 0; p < n; p++) add_squares(sum, x->data + t->fit.row[p] * dim, t->mean, dim);
    for (size_t j = 0; j < dim; j++) all += sum[j];
    free(sum);
    t->scale = sqrt(all / ((double)n * (double)dim));
    if (!(t->scale > 0)) t->scale = 1; /* constant columns only: the intercepts are the fit */
    return GN_OK;
}

/* Numbers the classes that occur among the fitting rows 0, 1, … */
static gn_status number_classes(task *t, gn_error *err)
{
    size_t k = (size_t)t->fit.classes;
    int *number = gn__calloc(k, sizeof *number);
    t->class_of = gn__calloc(k, sizeof *t->class_of);
    if (number == NULL || t->class_of == NULL) {
        free(number);
        return gn__no_memory(err, k * sizeof *number);
    }
    for (size_t p = 0; p < t->fit.n; p++) number[t->fit.y[p]] = 1;
    for (size_t c = 0; c < k; c++)
        if (number[c]) {
            number[c] = (int)t->present;
            t->class_of[t->present++] = (int)c;
        }
    for (size_t p = 0; p < t->fit.n; p++) t->fit.y[p] = number[t->fit.y[p]];
    free(number);
    return GN_OK;
}

static size_t solver_size(const task *t)
{
    return (t->present == 2 ? 1 : t->present) * (t->fit.x->cols + 1);
}

/* index UINT32_MAX: a fit on every row of the job. shared: of the job, or NULL; then a fold's fit has no rows
 * of its own, and the last has its units. */
static gn_status task_make(task *t, const gn__job *job, const uint32_t *fold, uint32_t index,
                           const gn__shared_fits *shared, gn_error *err)
{
    size_t dim = job->sample.x->cols, k = (size_t)job->sample.classes, n = job->sample.n;
    *t = (task){.job = job,
                .active = true,
                .lambda = 1,
                .tolerance = CHOOSING_TOLERANCE,
                .iterations = CHOOSING_ITERATIONS};
    for (size_t p = 0; p < n; p++) t->held += fold[p] == index;
    t->held_at = gn__calloc(t->held, sizeof *t->held_at);
    t->loss = gn__calloc(t->held, sizeof *t->loss);
    t->best = gn__calloc(t->held, sizeof *t->best);
    t->logits = gn__calloc(t->held * k, sizeof *t->logits);
    if (!t->held_at || !t->loss || !t->best || !t->logits)
        return gn__no_memory(err, t->held * k * sizeof(float));
    for (size_t p = 0, h = 0; p < n; p++)
        if (fold[p] == index) t->held_at[h++] = (uint32_t)p;
    if (shared != NULL && index != UINT32_MAX) return GN_OK;
    GN__TRY(gn__sample_part(&job->sample, fold, index, true, &t->fit, err));
    GN__TRY(number_classes(t, err));
    t->mean = gn__calloc(dim, sizeof *t->mean);
    t->weight = gn__calloc(solver_size(t), sizeof *t->weight);
    t->probe = (gn_probe){.dim = dim, .classes = (int)k};
    t->probe.weight = gn__calloc(dim * k, sizeof *t->probe.weight);
    t->probe.intercept = gn__calloc(k, sizeof *t->probe.intercept);
    if (!t->mean || !t->weight || !t->probe.weight || !t->probe.intercept)
        return gn__no_memory(err, dim * k * sizeof(float));
    if (shared == NULL) return learn_scale(t, err);
    memcpy(t->mean, gn__shared_mean(shared), dim * sizeof *t->mean);
    t->scale = gn__shared_scale(shared);
    return GN_OK;
}

static void task_free(task *t)
{
    gn__sample_free(&t->fit);
    free(t->held_at);
    free(t->class_of);
    free(t->mean);
    free(t->weight);
    free(t->loss);
    free(t->best);
    free(t->logits);
    gn_probe_free(&t->probe);
}

/* From the solver's units to the input's. */
static void fill_probe(task *t)
{
    gn_probe *p = &t->probe;
    size_t dim = p->dim, width = dim + 1;
    p->lambda = t->lambda;
    for (int c = 0; c < p->classes; c++) p->intercept[c] = -INFINITY;
    for (size_t s = 0; s < t->present; s++) {
        size_t c = (size_t)t->class_of[s];
        /* Two classes: the solver has the log-odds alone; each class takes half, with its sign. */
        const double *w = t->weight + (t->present == 2 ? 0 : s * width);
        double part = t->present == 2 ? (s == 1 ? 0.5 : -0.5) : 1, intercept = w[dim];
        for (size_t j = 0; j < dim; j++) {
            p->weight[c * dim + j] = (float)(part * w[j] / t->scale);
            intercept -= w[j] * (double)t->mean[j] / t->scale;
        }
        p->intercept[c] = (float)(part * intercept);
    }
}

static double log_loss(const float *logits, int classes, int y)
{
    double top = -INFINITY, sum = 0;
    for (int c = 0; c < classes; c++) top = fmax(top, (double)logits[c]);
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - top);
    return fmin(log(sum) + top - (double)logits[y], -log(LEAST));
}

static void task_fit(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    path_run *r = arg;
    for (size_t i = begin; i < end; i++) {
        task *t = r->task + i;
        if (!t->active) continue;
        const gn__sample *s = &t->job->sample;
        gn__logistic_problem p = {.x = s->x->data,
                                  .n = t->fit.n,
                                  .dim = s->x->cols,
                                  .ld = s->x->cols,
                                  .row = t->fit.row,
                                  .y = t->fit.y,
                                  .classes = (int)t->present,
                                  .lambda = t->lambda,
                                  .mean = t->mean,
                                  .scale = t->scale,
                                  .tolerance = t->tolerance,
                                  .reference = t->reference,
                                  .max_iterations = t->iterations};
        gn__logistic_report rep;
        t->status = gn__logistic_fit(r->ctx, &p, t->weight, &rep, &t->err);
        if (t->status != GN_OK) continue;
        t->reference = rep.reference;
        fill_probe(t);
        for (size_t h = 0; h < t->held; h++) {
            float *logits = t->logits + h * (size_t)s->classes;
            uint32_t at = t->held_at[h];
            gn__probe_logits(&t->probe, s->x->data + (size_t)s->row[at] * s->x->cols, logits);
            t->loss[h] = (float)log_loss(logits, s->classes, s->y[at]);
        }
    }
}

/* Side by side when there are tasks enough for the threads, else one after another with the threads inside
 * each fit; the solver's bits are the same either way. */
static gn_status fit_tasks(path_run *r, size_t tasks, gn_error *err)
{
    size_t active = 0, rows = 0, threads = gn_context_threads(r->ctx);
    for (size_t i = 0; i < tasks; i++) {
        r->task[i].err.lang = err ? err->lang : GN_LANG_EN;
        active += r->task[i].active;
        if (r->task[i].active && r->task[i].fit.n > rows) rows = r->task[i].fit.n;
    }
    if (active == 1 || (active < threads && rows >= ROWS_WORTH_SHARING))
        task_fit(r, 0, tasks, 0);
    else
        GN__TRY(gn__parallel_for(r->ctx, tasks, 1, task_fit, r, err));
    for (size_t i = 0; i < tasks; i++) {
        if (r->task[i].status == GN_OK) continue;
        if (err != NULL) *err = r->task[i].err;
        return r->task[i].status;
    }
    return GN_OK;
}

/* A job's way along the path. */
typedef struct choice {
    task *inner, *final;
    size_t folds, best;
    uint32_t *fold;
    gn__shared_fits *shared; /* NULL: every fold's fit has its own passes */
    double *fold_loss;       /* [strengths × folds]; NaN: not reached */
    float *held;             /* [strengths × n × classes] where the job keeps them */
    float *loss;             /* [strengths × n] likewise; NaN: not reached; the job's in the end */
    double least;
    bool done;
} choice;

/* Whether this strength is worse than the best by three standard errors of the paired difference. */
static bool clearly_worse(const choice *c, size_t n)
{
    double sum = 0, square = 0;
    for (size_t f = 0; f < c->folds; f++)
        for (size_t h = 0; h < c->inner[f].held; h++) {
            double d = (double)c->inner[f].loss[h] - (double)c->inner[f].best[h];
            sum += d;
            square += d * d;
        }
    double mean = sum / (double)n, variance = fmax(0, square / (double)n - mean * mean);
    return mean > 3 * sqrt(variance / (double)n);
}

static void note_strength(choice *c, const gn__job *job, size_t l, size_t lambda_count)
{
    size_t n = job->sample.n, k = (size_t)job->sample.classes;
    double total = 0;
    for (size_t f = 0; f < c->folds; f++) {
        const task *t = c->inner + f;
        double sum = 0;
        for (size_t h = 0; h < t->held; h++) {
            sum += (double)t->loss[h];
            if (c->loss != NULL) c->loss[l * n + t->held_at[h]] = t->loss[h];
            if (c->held != NULL)
                memcpy(c->held + (l * n + t->held_at[h]) * k, t->logits + h * k, k * sizeof(float));
        }
        c->fold_loss[l * c->folds + f] = sum;
        total += sum;
    }
    if (l == 0 || total < c->least) {
        c->least = total;
        c->best = l;
        for (size_t f = 0; f < c->folds; f++)
            memcpy(c->inner[f].best, c->inner[f].loss, c->inner[f].held * sizeof(float));
        const task *t = c->inner;
        if (c->shared != NULL)
            memcpy(c->final->weight, gn__shared_weight(c->shared, 0),
                   solver_size(c->final) * sizeof *c->final->weight);
        else if (t->present == c->final->present &&
                 memcmp(t->class_of, c->final->class_of, t->present * sizeof *t->class_of) == 0)
            memcpy(c->final->weight, t->weight, solver_size(t) * sizeof *t->weight);
    } else if (l >= c->best + 2 && clearly_worse(c, n)) {
        c->done = true;
    }
    if (l + 1 == lambda_count) c->done = true;
}

/* For each fold the strength with the least loss over the other folds, so that a row's own loss has no part
 * in choosing the strength that it is judged at. */
static gn_status keep_held(const choice *c, gn__job *job, const gn__plan *plan, gn_error *err)
{
    size_t n = job->sample.n, k = (size_t)job->sample.classes;
    job->folds = c->folds;
    job->held = gn__calloc(n * k, sizeof *job->held);
    job->fold = gn__calloc(n, sizeof *job->fold);
    job->fold_lambda = gn__calloc(c->folds, sizeof *job->fold_lambda);
    if (!job->held || !job->fold || !job->fold_lambda) return gn__no_memory(err, n * k * sizeof *job->held);
    memcpy(job->fold, c->fold, n * sizeof *job->fold);
    for (size_t f = 0; f < c->folds; f++) {
        size_t best = 0;
        double least = INFINITY;
        for (size_t l = 0; l < plan->lambda_count; l++) {
            double sum = 0;
            for (size_t g = 0; g < c->folds; g++) sum += g == f ? 0 : c->fold_loss[l * c->folds + g];
            if (sum < least) least = sum, best = l;
        }
        job->fold_lambda[f] = plan->lambda[best];
        for (size_t h = 0; h < c->inner[f].held; h++) {
            size_t at = c->inner[f].held_at[h];
            memcpy(job->held + at * k, c->held + (best * n + at) * k, k * sizeof(float));
        }
    }
    return GN_OK;
}

static gn_status choice_make(gn_context *ctx, const gn__plan *plan, const gn__job *job, choice *c,
                             gn_error *err)
{
    const gn__sample *s = &job->sample;
    gn__units units = {0};
    size_t cells = 0;
    c->fold = gn__calloc(s->n, sizeof *c->fold);
    if (c->fold == NULL) return gn__no_memory(err, s->n * sizeof *c->fold);
    c->done = job->lambda > 0;
    if (c->done) return GN_OK;
    GN__TRY(gn__units_make(s->group, s->n, &units, err));
    gn_status status = gn__folds(&units, s->y, s->classes, plan->inner_folds, gn_context_seed(ctx),
                                 job->purpose, job->index, c->fold, &c->folds, err);
    gn__units_free(&units);
    if (status != GN_OK) return status;
    c->fold_loss = gn__calloc(plan->lambda_count * (c->folds + 1), sizeof *c->fold_loss);
    if (c->fold_loss == NULL) return gn__no_memory(err, plan->lambda_count * c->folds * sizeof *c->fold_loss);
    for (size_t i = 0; i < plan->lambda_count * c->folds; i++) c->fold_loss[i] = NAN;
    c->best = plan->lambda_count / 2;
    c->done = c->folds == 0;
    if (job->keep_losses) {
        c->loss = gn__calloc(plan->lambda_count * s->n, sizeof *c->loss);
        if (c->loss == NULL) return gn__no_memory(err, plan->lambda_count * s->n * sizeof *c->loss);
        for (size_t i = 0; i < plan->lambda_count * s->n; i++) c->loss[i] = NAN;
    }
    if (gn__shared_worth(s, c->folds)) GN__TRY(gn__shared_make(ctx, s, c->fold, c->folds, &c->shared, err));
    if (!job->keep_held) return GN_OK;
    if (gn__mul_size(plan->lambda_count * (size_t)s->classes, s->n, &cells))
        c->held = gn__aligned(cells, sizeof *c->held);
    return c->held != NULL ? GN_OK : gn__no_memory(err, cells * sizeof *c->held);
}

/* A strength of a job whose folds' fits share their passes. */
static gn_status run_shared(choice *c, double lambda, gn_error *err)
{
    GN__TRY(gn__shared_run(c->shared, lambda, CHOOSING_TOLERANCE, CHOOSING_ITERATIONS, err));
    for (size_t f = 0; f < c->folds; f++) {
        task *t = c->inner + f;
        const gn__sample *s = &t->job->sample;
        for (size_t h = 0; h < t->held; h++) {
            float *logits = t->logits + h * (size_t)s->classes;
            gn__shared_logits(c->shared, t->held_at[h], logits);
            t->loss[h] = (float)log_loss(logits, s->classes, s->y[t->held_at[h]]);
        }
    }
    return GN_OK;
}

static void step(gn_context *ctx, gn__steps *steps, size_t by)
{
    if (steps == NULL) return;
    steps->done += by;
    gn__progress(ctx, GN_STAGE_VERIFY, steps->done, steps->total);
}

static gn_status walk_path(path_run *r, const gn__plan *plan, gn__job *job, choice *c, size_t jobs,
                           size_t tasks, gn__steps *steps, gn_error *err)
{
    for (size_t l = 0; l < plan->lambda_count; l++) {
        bool any = false;
        for (size_t j = 0; j < jobs; j++) {
            bool alone = !c[j].done && c[j].shared == NULL;
            if (!c[j].done && !alone) GN__TRY(run_shared(c + j, plan->lambda[l], err));
            for (size_t f = 0; f < c[j].folds; f++) {
                c[j].inner[f].active = alone;
                c[j].inner[f].lambda = plan->lambda[l];
                any = any || alone;
            }
        }
        if (any) GN__TRY(fit_tasks(r, tasks, err));
        for (size_t j = 0; j < jobs; j++)
            if (!c[j].done) note_strength(c + j, job + j, l, plan->lambda_count);
        step(r->ctx, steps, 1);
    }
    return GN_OK;
}

static gn_status fit_chosen(path_run *r, const gn__plan *plan, gn__job *job, choice *c, size_t jobs,
                            size_t tasks, gn__steps *steps, gn_error *err)
{
    for (size_t i = 0; i < tasks; i++) r->task[i].active = false;
    for (size_t j = 0; j < jobs; j++) {
        if (job[j].keep_held && c[j].folds > 0) GN__TRY(keep_held(c + j, job + j, plan, err));
        c[j].final->active = true;
        bool given = job[j].lambda > 0;
        c[j].final->lambda = given ? job[j].lambda : plan->lambda[c[j].best];
        c[j].final->tolerance = given ? CHOOSING_TOLERANCE : FINAL_TOLERANCE;
        c[j].final->iterations = given ? CHOOSING_ITERATIONS : FINAL_ITERATIONS;
    }
    GN__TRY(fit_tasks(r, tasks, err));
    for (size_t j = 0; j < jobs; j++) {
        job[j].probe = c[j].final->probe;
        c[j].final->probe = (gn_probe){0};
        job[j].losses = c[j].loss;
        c[j].loss = NULL;
    }
    step(r->ctx, steps, 1);
    return GN_OK;
}

gn_status gn__fit_jobs(gn_context *ctx, const gn__plan *plan, gn__job *job, size_t jobs, gn__steps *steps,
                       gn_error *err)
{
    gn_status status = GN_OK;
    size_t tasks = 0, made = 0;
    path_run r = {ctx, NULL};
    choice *c = gn__calloc(jobs, sizeof *c);
    if (c == NULL) return gn__no_memory(err, jobs * sizeof *c);
    for (size_t j = 0; j < jobs; j++) {
        GN__TRY_GOTO(choice_make(ctx, plan, job + j, c + j, err), done);
        tasks += c[j].folds + 1;
    }
    r.task = gn__calloc(tasks, sizeof *r.task);
    if (r.task == NULL) {
        status = gn__no_memory(err, tasks * sizeof *r.task);
        goto done;
    }
    for (size_t j = 0; j < jobs; j++) {
        c[j].inner = r.task + made;
        for (uint32_t f = 0; f < c[j].folds; f++)
            GN__TRY_GOTO(task_make(r.task + made++, job + j, c[j].fold, f, c[j].shared, err), done);
        c[j].final = r.task + made;
        GN__TRY_GOTO(task_make(r.task + made++, job + j, c[j].fold, UINT32_MAX, c[j].shared, err), done);
        c[j].final->active = false;
    }
    GN__TRY_GOTO(walk_path(&r, plan, job, c, jobs, tasks, steps, err), done);
    GN__TRY_GOTO(fit_chosen(&r, plan, job, c, jobs, tasks, steps, err), done);
done:
    for (size_t i = 0; i < made; i++) task_free(r.task + i);
    for (size_t j = 0; j < jobs; j++) {
        gn__shared_free(c[j].shared);
        free(c[j].fold);
        free(c[j].fold_loss);
        free(c[j].held);
        free(c[j].loss);
    }
    free(r.task);
    free(c);
    return status;
}

void gn__job_free(gn__job *job)
{
    gn__sample_free(&job->sample);
    gn_probe_free(&job->probe);
    free(job->fold);
    free(job->held);
    free(job->fold_lambda);
    free(job->losses);
    job->fold = NULL, job->held = NULL, job->fold_lambda = NULL, job->losses = NULL;
}
