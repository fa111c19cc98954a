/* The part of kernel.h that logistic regressions need; included by it, inside the same vectors. */
enum { SIDE = 4 };

/* The next rows are fetched on the way, a line for each that is used: the processor alone follows no row into
 * the next page, and waited for three quarters of the time. */
static void margins(const float *const *row, size_t rows, const float *const *next, const float *mean,
                    const float *w, size_t n, float *out)
{
    size_t whole = n / W * W;
    for (size_t first = 0; first < rows; first += SIDE) {
        const float *x[SIDE], *ahead[SIDE];
        vf acc[SIDE] = {{0}};
        for (size_t r = 0; r < SIDE; r++) { /* rows past the end repeat the last one */
            size_t k = first + r < rows ? first + r : rows - 1;
            x[r] = row[k];
            ahead[r] = next[k];
        }
        for (size_t j = 0; j < whole; j += W) {
            vf m = load(mean + j), v = load(w + j);
            for (size_t r = 0; r < SIDE; r++) {
                __builtin_prefetch(ahead[r] + j, 0, 2);
                acc[r] += (load(x[r] + j) - m) * v;
            }
        }
        for (size_t r = 0; r < SIDE && first + r < rows; r++) {
            float s = sum(acc[r]);
            for (size_t j = whole; j < n; j++) s += (x[r][j] - mean[j]) * w[j];
            out[first + r] = s;
        }
    }
}

static void add_rows(const float *const *row, size_t rows, const float *mean, const float *factor, size_t n,
                     float *sum_of)
{
    size_t whole = n / W * W, r = 0;
    for (; r + SIDE <= rows; r += SIDE) {
        const float *const *x = row + r;
        const float *f = factor + r;
        for (size_t j = 0; j < whole; j += W) {
            vf m = load(mean + j), s = load(sum_of + j);
            for (size_t i = 0; i < SIDE; i++) s += (load(x[i] + j) - m) * f[i];
            store(sum_of + j, s);
        }
        for (size_t j = whole; j < n; j++)
            for (size_t i = 0; i < SIDE; i++) sum_of[j] += (x[i][j] - mean[j]) * f[i];
    }
    for (; r < rows; r++)
        for (size_t j = 0; j < n; j++) sum_of[j] += (row[r][j] - mean[j]) * factor[r];
}

/* Several fits at once: SOME of them beside each other, so that a row that was loaded serves them all. */
enum { SOME = 5, ROWS_BESIDE = W == 16 ? 4 : 2 };

static void margins_of_fits(const float *rows, size_t count, size_t dim, const float *w, size_t fits,
                            float *out)
{
    size_t whole = dim / W * W;
    for (size_t f = 0; f < fits; f += SOME)
        for (size_t r = 0; r < count; r += ROWS_BESIDE) {
            const float *x[ROWS_BESIDE], *v[SOME];
            vf acc[ROWS_BESIDE][SOME] = {{{0}}};
            for (size_t i = 0; i < ROWS_BESIDE; i++) x[i] = rows + (r + i < count ? r + i : count - 1) * dim;
            for (size_t k = 0; k < SOME; k++) v[k] = w + (f + k < fits ? f + k : fits - 1) * dim;
            for (size_t j = 0; j < whole; j += W) {
                vf at[ROWS_BESIDE];
                for (size_t i = 0; i < ROWS_BESIDE; i++) at[i] = load(x[i] + j);
                for (size_t k = 0; k < SOME; k++) {
                    vf by = load(v[k] + j);
                    for (size_t i = 0; i < ROWS_BESIDE; i++) acc[i][k] += at[i] * by;
                }
            }
            for (size_t k = 0; k < SOME && f + k < fits; k++)
                for (size_t i = 0; i < ROWS_BESIDE && r + i < count; i++) {
                    float s = sum(acc[i][k]);
                    for (size_t j = whole; j < dim; j++) s += x[i][j] * v[k][j];
                    out[(f + k) * GN__LANES + r + i] = s;
                }
        }
}

/* some: a constant where this is inlined, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void add_rows_of_some(const float *rows, size_t count,
                                                                   size_t dim, const float *factor,
                                                                   size_t some, float *sum_of)
{
    size_t whole = dim / STEP * STEP;
    for (size_t j = 0; j < whole; j += STEP) {
        vf acc[SOME][2];
        for (size_t k = 0; k < some; k++)
            acc[k][0] = load(sum_of + k * dim + j), acc[k][1] = load(sum_of + k * dim + j + W);
        for (size_t i = 0; i < count; i++) {
            vf x0 = load(rows + i * dim + j), x1 = load(rows + i * dim + j + W);
            for (size_t k = 0; k < some; k++) {
                float by = factor[k * GN__LANES + i];
                acc[k][0] += x0 * by;
                acc[k][1] += x1 * by;
            }
        }
        for (size_t k = 0; k < some; k++)
            store(sum_of + k * dim + j, acc[k][0]), store(sum_of + k * dim + j + W, acc[k][1]);
    }
    for (size_t k = 0; k < some; k++)
        for (size_t i = 0; i < count; i++)
            for (size_t j = whole; j < dim; j++)
                sum_of[k * dim + j] += rows[i * dim + j] * factor[k * GN__LANES + i];
}

static void add_rows_of_fits(const float *rows, size_t count, size_t dim, const float *factor, size_t fits,
                             float *sum_of)
{
    for (; fits >= SOME; fits -= SOME, sum_of += SOME * dim, factor += SOME * GN__LANES)
        add_rows_of_some(rows, count, dim, factor, SOME, sum_of);
    switch (fits) {
    case 4:
        add_rows_of_some(rows, count, dim, factor, 4, sum_of);
        break;
    case 3:
        add_rows_of_some(rows, count, dim, factor, 3, sum_of);
        break;
    case 2:
        add_rows_of_some(rows, count, dim, factor, 2, sum_of);
        break;
    case 1:
        add_rows_of_some(rows, count, dim, factor, 1, sum_of);
        break;
    default:
        break;
    }
}

/* e^x of any x <= 0: exponential() itself is good down to -87 only. */
static inline vf shrink(vf x)
{
    return exponential(choose(x < -87.0f, all(-87.0f), x));
}

/* ln(1 + e) for e in [0, 1]: 2 artanh(s), s = e / (2 + e) <= 1/3, whose series ends below 1e-8. */
static inline vf log_one_plus(vf e)
{
    vf s = e / (2.0f + e), q = s * s;
    vf p = q * (1.0f / 15) + 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    return 2.0f * s * (p * q + 1.0f);
}

static double binomial_loss(float *margin, const float *y, const float *weight, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i += W) {
        vf m = load(margin + i), t = load(y + i), s = load(weight + i);
        vi negative = m < 0.0f;
        vf e = shrink(choose(negative, m, -m)), inverse = 1.0f / (1.0f + e);
        vf probability = choose(negative, e * inverse, inverse);
        vf wrong = choose(t > 0.5f, -m, m); /* the margin of the class that the row is not of */
        vf l = log_one_plus(e) + choose(wrong > 0.0f, wrong, all(0.0f));
        loss += (double)sum(s * l);
        store(margin + i, s * (probability - t));
    }
    return loss;
}

static double softmax_loss(float *logit, size_t stride, size_t classes, const float *bias, const int *y,
                           const float *weight, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i += W) {
        vf top = load(logit + i) + bias[0], total = {0};
        float own[W], totals[W];
        for (size_t c = 0; c < classes; c++) {
            vf m = load(logit + c * stride + i) + bias[c];
            top = choose(m > top, m, top);
        }
        store(totals, top);
        for (size_t k = 0; k < W; k++) {
            size_t c = (size_t)y[i + k];
            own[k] = logit[c * stride + i + k] + bias[c] - totals[k];
        }
        for (size_t c = 0; c < classes; c++) {
            float *at = logit + c * stride + i;
            vf e = shrink(load(at) + bias[c] - top);
            total += e;
            store(at, e);
        }
        vf s = load(weight + i) / total;
        for (size_t c = 0; c < classes; c++) {
            float *at = logit + c * stride + i;
            store(at, load(at) * s);
        }
        store(totals, total);
        for (size_t k = 0; k < W; k++) {
            logit[(size_t)y[i + k] * stride + i + k] -= weight[i + k];
            loss += (double)weight[i + k] * (__builtin_log((double)totals[k]) - (double)own[k]);
        }
    }
    return loss;
}
