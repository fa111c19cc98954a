/* The part of kernel.h that logistic regressions need; included by it, inside the same vectors. */
enum { SIDE = 4 };

static void margins(const float *const *row, size_t rows, const float *mean, const float *w, size_t n,
                    float *out)
{
    size_t whole = n / W * W;
    for (size_t first = 0; first < rows; first += SIDE) {
        const float *x[SIDE];
        vf acc[SIDE] = {{0}};
        /* rows past the end repeat the last one */
        for (size_t r = 0; r < SIDE; r++) x[r] = row[first + r < rows ? first + r : rows - 1];
        for (size_t j = 0; j < whole; j += W) {
            vf m = load(mean + j), v = load(w + j);
            for (size_t r = 0; r < SIDE; r++) acc[r] += (load(x[r] + j) - m) * v;
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
