/* How often do the intervals that genchi prints hold the truth? Simulations with known truth; the table goes
 * to standard output as Markdown. Usage: coverage [simulations [first words of rows wanted]] */
#include "core/core.h"
#include "genchi/detect.h"
#include "genchi/verify.h"

#include <math.h>
#include <stdio.h>

enum { MAX_ROWS = 5000 };

static gn_context *ctx;
static size_t runs = 1000;
static const char *wanted = "";

/* ---- the table ---------------------------------------------------------------------------------- */

typedef struct tally {
    size_t runs, held, missing;
    double estimate, width;
} tally;

static void count(tally *t, gn_interval i, double truth)
{
    t->runs++;
    t->held += i.low <= truth + 1e-9 && truth <= i.high + 1e-9;
    t->missing += isnan(i.low);
    t->estimate += i.estimate;
    t->width += i.high - i.low;
}

static void print(const char *figure, const char *setting, double truth, const tally *t)
{
    double n = (double)t->runs, share = (double)t->held / n;
    printf("| %s | %s | %.4f | %.4f | %.4f | %.1f %% | %s |\n", figure, setting, truth, t->estimate / n,
           t->width / n, 100 * share,
           share < 0.935   ? "below"
           : share > 0.965 ? "above"
                           : "yes");
    fflush(stdout);
}

static bool is_wanted(const char *figure)
{
    return strncmp(figure, wanted, strlen(wanted)) == 0;
}

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z / M_SQRT2);
}

static double normal_quantile(double p)
{
    double low = -10, high = 10;
    for (int i = 0; i < 100; i++) {
        double mid = 0.5 * (low + high);
        *(normal_cdf(mid) < p ? &low : &high) = mid;
    }
    return low;
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

static void overlap(size_t dims, size_t n_a, size_t n_b, size_t group, shape s, double by,
                    const char *setting)
{
    tally t = {0};
    gn_error err = {0};
    double truth = true_overlap(s, by), *a = gn__calloc(2 * n_a, sizeof *a),
           *b = gn__calloc(2 * n_b, sizeof *b);
    uint32_t *of = gn__calloc(n_a + n_b, sizeof *of);
    for (size_t i = 0; i < n_a + n_b; i++) of[i] = (uint32_t)(i / (group ? group : 1));
    for (size_t k = 0; k < runs; k++) {
        gn__rng r = gn__rng_make(11, gn__purpose("overlap") + n_a * 31 + n_b + dims, k);
        double shared = 0;
        for (size_t i = 0; i < n_a * dims; i++) {
            /* within a group 90 % of the variance is shared */
            if (group && i % (group * dims) == 0) shared = gn__rng_normal(&r);
            double z = draw(&r, SHIFTED, 0);
            a[i] = group ? sqrt(0.9) * shared + sqrt(0.1) * z : z;
        }
        for (size_t i = 0; i < n_b * dims; i++) {
            if (group && i % (group * dims) == 0) shared = gn__rng_normal(&r);
            double z = i % dims ? gn__rng_normal(&r) : draw(&r, s, group ? 0 : by);
            b[i] = group ? sqrt(0.9) * shared + sqrt(0.1) * z + by : z;
        }
        gn_overlap o;
        gn_overlap_options options = {.bandwidth = dims == 1 ? GN_BANDWIDTH_ISJ : GN_BANDWIDTH_SILVERMAN,
                                      .yardstick_draws = 1,
                                      .purpose = k,
                                      .group_a = group ? of : NULL,
                                      .group_b = group ? of : NULL};
        if ((dims == 1 ? gn_overlap1 : gn_overlap2)(ctx, a, n_a, b, n_b, &options, &o, &err) == GN_OK)
            count(&t, o.overlap, truth);
    }
    print(dims == 1 ? "overlap, line" : "overlap, plane", setting, truth, &t);
    free(a), free(b), free(of);
}

static void overlaps(void)
{
    static const double distance[] = {0, 0.02, 0.05, 0.1, 0.2, 0.55, 0.9};
    static const size_t rows[][2] = {{500, 500}, {2000, 100}, {100, 100}, {5000, 500}};
    char text[96];
    for (size_t dims = 1; dims <= 2; dims++)
        for (size_t n = 0; n < 4 && is_wanted(dims == 1 ? "overlap, line" : "overlap, plane"); n++) {
            for (size_t d = 0; d < sizeof distance / sizeof *distance; d++) {
                snprintf(text, sizeof text, "shift, %zu and %zu rows", rows[n][0], rows[n][1]);
                overlap(dims, rows[n][0], rows[n][1], 0, SHIFTED, 2 * normal_quantile(0.5 + distance[d] / 2),
                        text);
            }
            if (dims == 1) {
                snprintf(text, sizeof text, "twice as wide, %zu and %zu rows", rows[n][0], rows[n][1]);
                overlap(dims, rows[n][0], rows[n][1], 0, WIDER, 2, text);
                snprintf(text, sizeof text, "15 %% elsewhere, %zu and %zu rows", rows[n][0], rows[n][1]);
                overlap(dims, rows[n][0], rows[n][1], 0, MIXED, 0.15, text);
            }
        }
    if (is_wanted("overlap, line")) {
        overlap(1, 500, 300, 5, SHIFTED, 0, "groups of 5, 500 and 300 rows");
        overlap(1, 500, 300, 5, SHIFTED, 0.5, "groups of 5, 500 and 300 rows");
    }
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

enum { FIGURES = 6 };
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

/* The truth from a million rows; of the calibration error, whose definition has the bins of the sample in it,
 * from bins of the million. A calibrated world's is 0. */
static void truths(const world *w, double truth[FIGURES])
{
    enum { MANY = 1000000 };
    gn_scores s;
    gn_error err = {0};
    gn_interval all[FIGURES];
    float *p = gn__calloc(MANY * w->classes, sizeof *p);
    int *y = gn__calloc(MANY, sizeof *y);
    gn__rng r = gn__rng_make(5, gn__purpose("truth"), w->classes);
    draw_rows(w, &r, MANY, p, y);
    if (gn_scores_compute(ctx, p, y, MANY, (int)w->classes, NULL, &s, &err) != GN_OK) exit(1);
    figures_of(&s, all);
    for (size_t f = 0; f < FIGURES; f++) truth[f] = all[f].estimate;
    if (w->temperature == 1) truth[FIGURES - 1] = 0;
    free(p), free(y);
}

static void scores(const world *w)
{
    static const size_t rows[] = {100, 200, 1000};
    double truth[FIGURES];
    truths(w, truth);
    for (size_t n = 0; n < 3; n++) {
        tally t[FIGURES] = {{0}};
        gn_error err = {0};
        float *p = gn__calloc(MAX_ROWS * w->classes, sizeof *p);
        int *y = gn__calloc(MAX_ROWS, sizeof *y);
        uint32_t *group = gn__calloc(MAX_ROWS, sizeof *group);
        for (size_t i = 0; i < rows[n]; i++) group[i] = (uint32_t)(i / (w->group ? w->group : 1));
        for (size_t k = 0; k < runs; k++) {
            gn__rng r = gn__rng_make(6, gn__purpose(w->name) + n, k);
            gn_scores s;
            gn_interval all[FIGURES];
            draw_rows(w, &r, rows[n], p, y);
            if (gn_scores_compute(ctx, p, y, rows[n], (int)w->classes, w->group ? group : NULL, &s, &err) !=
                GN_OK)
                continue;
            figures_of(&s, all);
            for (size_t f = 0; f < FIGURES; f++)
                if (!isnan(all[f].estimate)) count(t + f, all[f], truth[f]);
        }
        for (size_t f = 0; f < FIGURES; f++) {
            char text[96];
            snprintf(text, sizeof text, "%s, %zu rows", w->name, rows[n]);
            print(figure_name[f], text, truth[f], t + f);
        }
        free(p), free(y), free(group);
    }
}

static const world worlds[] = {
    {"two classes", 2, 1.0, 1, {0.5, 0.5}, 0},
    {"two classes, nearly separable", 2, 2.5, 1, {0.5, 0.5}, 0},
    {"one of ten", 2, 1.0, 1, {0.9, 0.1}, 0},
    {"overconfident", 2, 1.0, 3, {0.5, 0.5}, 0},
    {"four classes", 4, 1.5, 1, {0.4, 0.3, 0.2, 0.1}, 0},
    {"groups of 5", 2, 1.0, 1, {0.5, 0.5}, 5},
};

int main(int argc, char **argv)
{
    gn_error err = {0};
    if (argc > 1) runs = (size_t)strtoul(argv[1], NULL, 10);
    if (argc > 2) wanted = argv[2];
    if (runs == 0 || gn_context_create(NULL, &ctx, &err) != GN_OK) return 1;
    printf("| figure | setting | truth | mean estimate | mean width | coverage | 93.5–96.5 %% |\n"
           "|---|---|---|---|---|---|---|\n");
    overlaps();
    for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++)
        if (is_wanted("scores") || *wanted == 0) scores(worlds + w);
    gn_context_free(ctx);
    return 0;
}
