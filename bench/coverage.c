/* How often do the intervals that genchi prints hold the truth? Simulations with known truth:
 *
 *     coverage line|plane|scores|domain|probe|all SIMULATIONS FILE
 *
 * FILE keeps what has been simulated (study.h); SIMULATIONS 0 prints what is there, as docs/coverage.md. */
#include "study.h"
#include "tensor/statistics.h"

#include <math.h>
#include <stdio.h>

enum { MOST_SETTINGS = 64, FIGURES = 6, EACH = 5 };

/* Of one figure: how often held, sums of estimates, of their squares and of widths, how often it had an
 * interval at all. */
enum { HELD, ESTIMATE, SQUARE, WIDTH, COUNTED };

static study_row rows[MOST_SETTINGS];
static size_t count;
static const char *figure_of[MOST_SETTINGS][FIGURES];
static const char *setting_of[MOST_SETTINGS];

static void tally(double *sum, size_t figure, gn_interval i, double truth)
{
    double *t = sum + EACH * figure;
    if (isnan(i.low)) return;
    t[HELD] += i.low <= truth + 1e-9 && truth <= i.high + 1e-9;
    t[ESTIMATE] += i.estimate;
    t[SQUARE] += i.estimate * i.estimate;
    t[WIDTH] += i.high - i.low;
    t[COUNTED]++;
}

static study_row *add_row(const char *kind, const char *setting)
{
    study_row *row = &rows[count];
    if (count == MOST_SETTINGS) exit(1);
    snprintf(row->key, sizeof row->key, "%s, %s", kind, setting);
    setting_of[count++] = row->key + strlen(kind) + 2;
    return row;
}

static void print(const study_row *row, size_t figure, double truth)
{
    const double *t = row->sum + EACH * figure;
    double n = t[COUNTED], share = t[HELD] / n;
    if (!(n > 0)) return;
    /* within, or not told from within by two standard errors of the simulation */
    double error = sqrt(0.95 * 0.05 / n);
    double mean = t[ESTIMATE] / n, spread = sqrt(fmax(0, t[SQUARE] / n - mean * mean));
    printf("| %s | %s | %.0f | %.4f | %.4f | %.4f | %.4f | %.1f %% | %s |\n", figure_of[row - rows][figure],
           setting_of[row - rows], n, truth, mean, spread, t[WIDTH] / n, 100 * share,
           share >= 0.935 && share <= 0.965 ? "yes"
           : share < 0.935                  ? share < 0.935 - 2 * error ? "**below**" : "below, by chance?"
           : share > 0.965 + 2 * error      ? "above"
                                            : "above, by chance?");
}

static void heading(const char *title)
{
    printf("\n## %s\n| figure | setting | simulations | truth | mean estimate | its spread | mean width | "
           "coverage | "
           "93.5–96.5 %% "
           "|\n|---|---|---|---|---|---|---|---|---|\n",
           title);
}

/* ---- overlap ------------------------------------------------------------------------------------ */

typedef enum shape { SHIFTED, WIDER, MIXED } shape;

static double draw(gn__rng *r, shape s, double by)
{
    double z = gn__rng_normal(r);
    switch (s) {
    case SHIFTED:
        return z + by;
    case WIDER:
        return z * by;
    case MIXED:
        break;
    }
    return gn__rng_double(r) < by ? 4 + 0.5 * z : z;
}

/* By midpoints, for the shapes without a closed form. */
static double true_overlap(shape s, double by)
{
    double sum = 0;
    for (double x = -12; x < 12; x += 1e-3) {
        double p = exp(-0.5 * x * x), q = p;
        if (s == SHIFTED) q = exp(-0.5 * (x - by) * (x - by));
        if (s == WIDER) q = exp(-0.5 * x * x / (by * by)) / by;
        if (s == MIXED) q = (1 - by) * p + by * 2 * exp(-2 * (x - 4) * (x - 4));
        sum += fmin(p, q) * 1e-3 / sqrt(2 * M_PI);
    }
    return fmin(sum, 1);
}

typedef struct overlap_setting {
    size_t dims, n_a, n_b, group;
    shape shape;
    double by, truth;
} overlap_setting;
static overlap_setting overlap_settings[MOST_SETTINGS];

static void simulate_overlap(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    const overlap_setting *s = row->setting;
    size_t n_a = s->n_a, n_b = s->n_b, dims = s->dims, group = s->group;
    gn_error err = {0};
    double *a = calloc(2 * n_a, sizeof *a), *b = calloc(2 * n_b, sizeof *b), shared = 0;
    uint32_t *of = calloc(n_a + n_b, sizeof *of);
    gn__rng r = gn__rng_make(11, gn__purpose(row->key), k);
    if (a == NULL || b == NULL || of == NULL) exit(1);
    for (size_t i = 0; i < n_a + n_b; i++) of[i] = (uint32_t)(i / (group ? group : 1));
    for (size_t i = 0; i < n_a * dims; i++) {
        /* within a group 90 % of the variance is shared */
        if (group && i % (group * dims) == 0) shared = gn__rng_normal(&r);
        double z = draw(&r, SHIFTED, 0);
        a[i] = group ? sqrt(0.9) * shared + sqrt(0.1) * z : z;
    }
    for (size_t i = 0; i < n_b * dims; i++) {
        if (group && i % (group * dims) == 0) shared = gn__rng_normal(&r);
        double z = i % dims ? gn__rng_normal(&r) : draw(&r, s->shape, group ? 0 : s->by);
        b[i] = group ? sqrt(0.9) * shared + sqrt(0.1) * z + s->by : z;
    }
    gn_overlap o;
    gn_overlap_options options = {.bandwidth = dims == 1 ? GN_BANDWIDTH_ISJ : GN_BANDWIDTH_SILVERMAN,
                                  .yardstick_draws = 1,
                                  .purpose = k,
                                  .group_a = group ? of : NULL,
                                  .group_b = group ? of : NULL};
    study_must((dims == 1 ? gn_overlap1 : gn_overlap2)(ctx, a, n_a, b, n_b, &options, &o, &err), &err);
    tally(sum, 0, o.overlap, s->truth);
    free(a), free(b), free(of);
}

static void add_overlap(size_t dims, size_t n_a, size_t n_b, size_t group, shape s, double by,
                        const char *what)
{
    char text[100];
    double truth = true_overlap(s, by);
    snprintf(text, sizeof text, "%s, %zu and %zu rows, overlap %.2f", what, n_a, n_b, truth);
    overlap_settings[count] = (overlap_setting){dims, n_a, n_b, group, s, by, truth};
    figure_of[count][0] = dims == 1 ? "overlap, line" : "overlap, plane";
    study_row *row = add_row(dims == 1 ? "line" : "plane", text);
    row->setting = &overlap_settings[count - 1];
    row->simulate = simulate_overlap;
    row->batch = 10;
}

static void overlaps(size_t dims, size_t simulations, const char *path)
{
    static const double distance[] = {0, 0.02, 0.05, 0.1, 0.2, 0.55, 0.9};
    static const size_t size[][2] = {{500, 500}, {2000, 100}, {100, 100}, {5000, 500}};
    for (size_t n = 0; n < 4; n++) {
        for (size_t d = 0; d < sizeof distance / sizeof *distance; d++)
            add_overlap(dims, size[n][0], size[n][1], 0, SHIFTED,
                        2 * gn__normal_quantile(0.5 + distance[d] / 2), "shift");
        if (dims == 2) continue;
        add_overlap(1, size[n][0], size[n][1], 0, WIDER, 2, "twice as wide");
        add_overlap(1, size[n][0], size[n][1], 0, MIXED, 0.15, "15 % elsewhere");
    }
    if (dims == 1) {
        add_overlap(1, 500, 300, 5, SHIFTED, 0, "groups of 5");
        add_overlap(1, 500, 300, 5, SHIFTED, 0.5, "groups of 5");
    }
    study_run(rows, count, simulations, path, 0, 1);
    heading(dims == 1 ? "Overlap, one dimension" : "Overlap, two dimensions");
    for (size_t k = 0; k < count; k++) print(&rows[k], 0, overlap_settings[k].truth);
}

/* ---- scores -------------------------------------------------------------------------------------- */

/* A classifier whose truth is known: K classes with given shares, a row's logits are normal about `signal`
 * for its own class, and the probabilities are softmax(temperature × logits). */
typedef struct world {
    const char *name;
    size_t classes;
    double signal, temperature;
    double share[4];
    size_t group; /* rows of a group share 60 % of the noise's variance */
} world;

static const char *const figure_name[FIGURES] = {"accuracy", "balanced accuracy", "macro-F1",
                                                 "AUC",      "log-loss",          "calibration error"};

static void draw_rows(const world *w, gn__rng *r, size_t n, float *probability, int *y)
{
    double shared[4] = {0};
    int own = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = w->classes;
        bool fresh = w->group == 0 || i % w->group == 0;
        if (fresh) {
            double u = gn__rng_double(r);
            for (own = 0; own + 1 < (int)k && u >= w->share[own]; own++) u -= w->share[own];
            for (size_t c = 0; c < k; c++) shared[c] = gn__rng_normal(r);
        }
        double logit[4], top = -INFINITY, sum = 0;
        for (size_t c = 0; c < k; c++) {
            double z = gn__rng_normal(r);
            if (w->group) z = sqrt(0.6) * shared[c] + sqrt(0.4) * z;
            /* for unit normal noise, signal × (logit − signal / 2) is the log-likelihood */
            logit[c] =
                w->temperature * (w->signal * (z + (c == (size_t)own ? w->signal : 0)) + log(w->share[c]));
            top = fmax(top, logit[c]);
        }
        for (size_t c = 0; c < k; c++) sum += exp(logit[c] - top);
        for (size_t c = 0; c < k; c++) probability[i * k + c] = (float)(exp(logit[c] - top) / sum);
        y[i] = own;
    }
}

static void figures_of(const gn_scores *s, gn_interval out[FIGURES])
{
    const gn_interval all[FIGURES] = {s->accuracy, s->balanced_accuracy, s->macro_f1,
                                      s->auc,      s->log_loss,          s->calibration};
    memcpy(out, all, sizeof all);
}

enum { WORLDS = 6, SIZES = 3 };
static double truth_of[WORLDS][FIGURES];

/* The truth from a million rows; of the calibration error, whose definition has the bins of the sample in it,
 * from bins of the million. A calibrated world's is 0. */
static void truths(const world *w, double truth[FIGURES])
{
    enum { MANY = 1000000 };
    gn_scores s;
    gn_error err = {0};
    gn_context *ctx;
    gn_interval all[FIGURES];
    float *p = calloc(MANY * w->classes, sizeof *p);
    int *y = calloc(MANY, sizeof *y);
    gn__rng r = gn__rng_make(5, gn__purpose("truth"), w->classes);
    if (p == NULL || y == NULL) exit(1);
    draw_rows(w, &r, MANY, p, y);
    study_must(gn_context_create(NULL, &ctx, &err), &err);
    study_must(gn_scores_compute(ctx, p, y, MANY, (int)w->classes, NULL, &s, &err), &err);
    figures_of(&s, all);
    for (size_t f = 0; f < FIGURES; f++) truth[f] = all[f].estimate;
    if (w->temperature == 1) truth[FIGURES - 1] = 0;
    gn_context_free(ctx);
    free(p), free(y);
}

static void simulate_scores(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    const world *w = row->setting;
    size_t n = row->number[0];
    gn_scores s;
    gn_error err = {0};
    gn_interval all[FIGURES];
    float *p = calloc(n * w->classes, sizeof *p);
    int *y = calloc(n, sizeof *y);
    uint32_t *group = calloc(n, sizeof *group);
    gn__rng r = gn__rng_make(6, gn__purpose(row->key), k);
    if (p == NULL || y == NULL || group == NULL) exit(1);
    for (size_t i = 0; i < n; i++) group[i] = (uint32_t)(i / (w->group ? w->group : 1));
    draw_rows(w, &r, n, p, y);
    study_must(gn_scores_compute(ctx, p, y, n, (int)w->classes, w->group ? group : NULL, &s, &err), &err);
    figures_of(&s, all);
    for (size_t f = 0; f < FIGURES; f++)
        if (!isnan(all[f].estimate)) tally(sum, f, all[f], truth_of[row->number[1]][f]);
    free(p), free(y), free(group);
}

static const world worlds[] = {
    {"two classes", 2, 1.0, 1, {0.5, 0.5}, 0},
    {"two classes, nearly separable", 2, 2.5, 1, {0.5, 0.5}, 0},
    {"one of ten", 2, 1.0, 1, {0.9, 0.1}, 0},
    {"overconfident", 2, 1.0, 3, {0.5, 0.5}, 0},
    {"four classes", 4, 1.5, 1, {0.4, 0.3, 0.2, 0.1}, 0},
    {"groups of 5", 2, 1.0, 1, {0.5, 0.5}, 5},
};

static void scores(size_t simulations, const char *path)
{
    static const size_t size[SIZES] = {100, 200, 1000};
    char text[100];
    for (size_t w = 0; w < WORLDS; w++)
        for (size_t n = 0; n < SIZES; n++) {
            snprintf(text, sizeof text, "%s, %zu rows", worlds[w].name, size[n]);
            memcpy(figure_of[count], figure_name, sizeof figure_name);
            study_row *row = add_row("scores", text);
            row->simulate = simulate_scores;
            row->setting = &worlds[w];
            row->number[0] = size[n], row->number[1] = w;
            row->batch = 100;
        }
    for (size_t w = 0; w < WORLDS; w++) truths(&worlds[w], truth_of[w]);
    study_run(rows, count, simulations, path, 0, 1);
    heading("Scores of given probabilities");
    for (size_t k = 0; k < count; k++)
        for (size_t f = 0; f < FIGURES; f++) print(&rows[k], f, truth_of[rows[k].number[1]][f]);
}

/* ---- what is fitted ------------------------------------------------------------------------------- */

/* Of a classifier that is fitted on the data itself the truth is what such fits give on average: the mean
 * estimate of as many other simulations of the same setting (cross-validation estimates that without bias),
 * or 1/2 where nothing differs. finders[k] finds the truth for rows[k]. */
static study_row finders[MOST_SETTINGS];

static double fitted_truth(const study_row *row, size_t figure)
{
    const double *t = finders[row->number[0]].sum + EACH * figure;
    return t[ESTIMATE] / t[COUNTED];
}

static bool finds_truth(const study_row *row)
{
    return row->number[1] == 1;
}

static void add_fitted(const char *kind, const char *setting, const void *of, const char *const *figure,
                       size_t figures, void (*simulate)(const study_row *, size_t, gn_context *, double *))
{
    memcpy(figure_of[count], figure, figures * sizeof *figure);
    study_row *row = add_row(kind, setting);
    row->setting = of;
    row->simulate = simulate;
    row->number[0] = count - 1;
    row->batch = 10;
    finders[count - 1] = *row;
    finders[count - 1].number[1] = 1;
    snprintf(finders[count - 1].key, sizeof row->key, "truth of %.100s", row->key);
}

static void run_fitted(size_t simulations, const char *path)
{
    study_run(finders, count, simulations, path, 0, 1);
    study_run(rows, count, simulations, path, 0, 1);
}

typedef struct domain_setting {
    const char *name;
    size_t n_a, n_b, dim, group;
    double move, spread;
} domain_setting;

static const domain_setting domains[] = {
    {"nothing differs", 100, 100, 16, 0, 0, 1},    {"means 0.5 apart", 100, 100, 16, 0, 0.5, 1},
    {"means 1 apart", 100, 100, 16, 0, 1, 1},      {"means 2.5 apart", 100, 100, 16, 0, 2.5, 1},
    {"nothing differs", 500, 100, 64, 0, 0, 1},    {"means 0.7 apart", 500, 100, 64, 0, 0.7, 1},
    {"means 0.5 apart", 400, 400, 64, 0, 0.5, 1},  {"spread 1.3", 200, 200, 8, 0, 0, 1.3},
    {"groups of 4, as one", 200, 200, 8, 4, 0, 1}, {"groups of 4, 0.7 apart", 200, 200, 8, 4, 0.7, 1},
    {"means 0.5 apart", 2000, 60, 16, 0, 0.5, 1},  {"nothing differs", 40, 40, 4, 0, 0, 1},
    {"means 0.8 apart", 40, 40, 4, 0, 0.8, 1}};

static void simulate_domain(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    const domain_setting *d = row->setting;
    size_t n[2] = {d->n_a, d->n_b};
    gn_matrix x[2] = {study_matrix(n[0], d->dim), study_matrix(n[1], d->dim)};
    uint32_t *group[2] = {NULL, NULL};
    gn_error err = {0};
    gn_shift shift;
    gn__rng r = gn__rng_make(7, gn__purpose(row->key), k);
    bool no_shift = d->move == 0 && d->spread == 1;
    for (int side = 0; side < 2; side++) {
        study_normals(&r, x[side].data, n[side] * d->dim);
        if (d->group > 0) group[side] = calloc(n[side], sizeof **group);
        for (size_t i = 0; i < n[side]; i++) {
            float *at = x[side].data + i * d->dim;
            if (d->group > 0) { /* near copies of the group's first row */
                group[side][i] = (uint32_t)(i / d->group);
                if (i % d->group)
                    for (size_t j = 0; j < d->dim; j++)
                        at[j] = 0.3F * at[j] + (at - i % d->group * d->dim)[j];
            } else if (side) {
                for (size_t j = 0; j < d->dim; j++) at[j] *= (float)d->spread;
            }
        }
        for (size_t i = 0; i < n[side] && side; i++) x[side].data[i * d->dim] += (float)d->move;
    }
    gn_detect_options o = {.permutations = 19, .purpose = k, .group_a = group[0], .group_b = group[1]};
    study_must(gn_detect(ctx, &x[0], &x[1], &o, &shift, NULL, NULL, &err), &err);
    tally(sum, 0, shift.auc, no_shift || finds_truth(row) ? 0.5 : fitted_truth(row, 0));
    tally(sum, 1, shift.auc_curved, no_shift || finds_truth(row) ? 0.5 : fitted_truth(row, 1));
    for (int side = 0; side < 2; side++) gn_matrix_free(&x[side]), free(group[side]);
}

typedef struct probe_setting {
    const char *name;
    size_t n, dim, group;
    double signal; /* distance between the two labels' means */
} probe_setting;

static const probe_setting probes[] = {
    {"signal 1", 60, 8, 0, 1},    {"signal 1", 100, 16, 0, 1}, {"signal 2.5", 100, 16, 0, 2.5},
    {"no signal", 100, 16, 0, 0}, {"signal 1", 400, 64, 0, 1}, {"groups of 4, signal 1", 240, 8, 4, 1}};

/* Cross-validation within test, five times repeated as gn_verify does. */
static void simulate_probe(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    const probe_setting *p = row->setting;
    gn_matrix x = study_matrix(p->n, p->dim), none = study_matrix(1, p->dim);
    int *y = calloc(p->n, sizeof *y);
    uint32_t *group = p->group ? calloc(p->n, sizeof *group) : NULL;
    gn_error err = {0};
    gn_probe_evidence e;
    gn__rng r = gn__rng_make(8, gn__purpose(row->key), k);
    if (y == NULL) exit(1);
    study_normals(&r, x.data, p->n * p->dim);
    memset(none.data, 0, p->dim * sizeof *none.data);
    for (size_t i = 0; i < p->n; i++) {
        bool copy = p->group && i % p->group;
        y[i] = copy ? y[i - 1] : (int)(gn__rng_u32(&r) & 1);
        if (group) group[i] = (uint32_t)(i / p->group);
        for (size_t j = 0; copy && j < p->dim; j++)
            x.data[i * p->dim + j] = 0.3F * x.data[i * p->dim + j] + x.data[(i - i % p->group) * p->dim + j];
        if (!copy) x.data[i * p->dim] += (float)(y[i] ? p->signal / 2 : -p->signal / 2);
    }
    gn_verify_input in = {&none, &x, NULL, y, 2, NULL, group};
    study_must(gn_verify(ctx, &in, &(gn_probe_options){.bootstrap = 20}, &e, &err), &err);
    const gn_scores *s = &e.eval[group ? GN_EVAL_TEST_CV_GROUPED : GN_EVAL_TEST_CV].scores;
    const gn_interval figure[] = {s->accuracy, s->balanced_accuracy, s->macro_f1, s->auc, s->log_loss};
    for (size_t f = 0; f < 5; f++) tally(sum, f, figure[f], finds_truth(row) ? 0 : fitted_truth(row, f));
    gn_probe_evidence_free(&e);
    gn_matrix_free(&x), gn_matrix_free(&none);
    free(y), free(group);
}

static void domain(size_t simulations, const char *path)
{
    static const char *const figure[] = {"domain AUC, linear", "domain AUC, curved"};
    char text[100];
    for (size_t k = 0; k < sizeof domains / sizeof *domains; k++) {
        const domain_setting *d = &domains[k];
        snprintf(text, sizeof text, "%s, %zu and %zu rows, %zu columns", d->name, d->n_a, d->n_b, d->dim);
        add_fitted("domain", text, d, figure, 2, simulate_domain);
    }
    run_fitted(simulations, path);
    heading("The domain classifier's AUC");
    for (size_t k = 0; k < count; k++)
        for (size_t f = 0; f < 2; f++)
            print(&rows[k], f,
                  domains[k].move == 0 && domains[k].spread == 1 ? 0.5 : fitted_truth(&rows[k], f));
}

static void probe(size_t simulations, const char *path)
{
    static const char *const figure[] = {"accuracy, cross-validated", "balanced accuracy, cross-validated",
                                         "macro-F1, cross-validated", "AUC, cross-validated",
                                         "log-loss, cross-validated"};
    char text[100];
    for (size_t k = 0; k < sizeof probes / sizeof *probes; k++) {
        snprintf(text, sizeof text, "%s, %zu rows, %zu columns", probes[k].name, probes[k].n, probes[k].dim);
        add_fitted("probe", text, &probes[k], figure, 5, simulate_probe);
    }
    run_fitted(simulations, path);
    heading("Probes, cross-validated five times");
    for (size_t k = 0; k < count; k++)
        for (size_t f = 0; f < 5; f++) print(&rows[k], f, fitted_truth(&rows[k], f));
}

static void line(size_t simulations, const char *path)
{
    overlaps(1, simulations, path);
}

static void plane(size_t simulations, const char *path)
{
    overlaps(2, simulations, path);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(size_t simulations, const char *path);
    } part[] = {{"line", line}, {"plane", plane}, {"scores", scores}, {"domain", domain}, {"probe", probe}};
    size_t ran = 0;
    for (size_t p = 0; p < sizeof part / sizeof *part && argc == 4; p++) {
        if (strcmp(argv[1], part[p].name) != 0 && strcmp(argv[1], "all") != 0) continue;
        count = 0;
        memset(rows, 0, sizeof rows);
        part[p].run(strtoul(argv[2], NULL, 10), argv[3]);
        ran++;
    }
    if (ran == 0) fprintf(stderr, "usage: coverage line|plane|scores|domain|probe|all SIMULATIONS FILE\n");
    return ran > 0 ? 0 : 2;
}
