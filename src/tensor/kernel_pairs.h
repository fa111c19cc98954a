/* The part of kernel.h that statistics of all pairs of rows need; included by it, inside the same vectors. */

enum { TABLE = 1 << GN__CODE_BITS, PARTS = GN__STRIP / W };

/* The sums of all subsets of a code's columns, each column with `inside` where its bit is set, else
 * `outside`: entry e at table + e * GN__STRIP. */
static inline void subset_sums(const float *k, float inside, float outside, float *table)
{
    vf *entry = (vf *)table;
    for (int p = 0; p < PARTS; p++) {
        vf none = {0};
        for (int b = 0; b < GN__CODE_BITS; b++) none += load(k + b * GN__STRIP + p * W) * outside;
        entry[p] = none;
    }
    for (int b = 0; b < GN__CODE_BITS; b++)
        for (int p = 0; p < PARTS; p++) {
            vf more = load(k + b * GN__STRIP + p * W) * (inside - outside);
            for (int e = 0; e < 1 << b; e++) entry[(e + (1 << b)) * PARTS + p] = entry[e * PARTS + p] + more;
        }
}

static inline __attribute__((always_inline)) void signed_sums_as(const gn__signed *s, bool linear)
{
    vi bit[PARTS];
    for (int p = 0; p < PARTS; p++)
        for (int i = 0; i < W; i++) bit[p][i] = (int32_t)(1U << (p * W + i));
    const float *k = s->k;
    const uint16_t *code = s->code;
    for (size_t chunk = 0; chunk < s->chunks; chunk++) {
        for (int c = 0; c < GN__CODES; c++, k += GN__CODE_BITS * GN__STRIP)
            subset_sums(k, s->inside, s->outside, s->table + c * TABLE * GN__STRIP);
        for (size_t l = 0; l < s->labels; l++, code += GN__CODES) {
            vf sum[PARTS];
            const char *table = (const char *)s->table;
            for (int p = 0; p < PARTS; p++) sum[p] = *(const vf *)(table + code[0] + p * (int)sizeof(vf));
            for (int c = 1; c < GN__CODES; c++) {
                const char *at = table + c * TABLE * GN__STRIP * (int)sizeof(float) + code[c];
                for (int p = 0; p < PARTS; p++) sum[p] += *(const vf *)(at + p * (int)sizeof(vf));
            }
            vi mask = (vi){0} + (int32_t)s->mask[l];
            for (int p = 0; p < PARTS; p++) {
                float *lane = s->quadratic + l * GN__SUM_LANES + p * W % GN__SUM_LANES;
                vf own = choose((mask & bit[p]) != 0, all(s->inside), all(s->outside));
                store(lane, load(lane) + own * sum[p]);
                if (!linear) continue;
                lane = s->linear + l * GN__SUM_LANES + p * W % GN__SUM_LANES;
                store(lane, load(lane) + sum[p]);
            }
        }
    }
}

static void signed_sums(const gn__signed *s)
{
    if (s->linear != NULL)
        signed_sums_as(s, true);
    else
        signed_sums_as(s, false);
}

/* So many rows share what is loaded of the strip. */
enum { BESIDE = W == 16 ? 4 : 2 };

static inline __attribute__((always_inline)) void distances_as(const float *strip, const float *x,
                                                               size_t rows, size_t dim, bool city_block,
                                                               float *out, size_t stride)
{
    const vi size = all_int(0x7FFFFFFF);
    for (size_t first = 0; first < rows; first += BESIDE) {
        const float *row[BESIDE];
        vf sum[BESIDE][PARTS] = {{{0}}};
        /* rows past the end repeat the last one */
        for (size_t r = 0; r < BESIDE; r++) row[r] = x + (first + r < rows ? first + r : rows - 1) * dim;
        for (size_t j = 0; j < dim; j++)
            for (int p = 0; p < PARTS; p++) {
                vf own = load(strip + j * GN__STRIP + p * W);
                for (size_t r = 0; r < BESIDE; r++) {
                    vf d = own - row[r][j];
                    sum[r][p] += city_block ? (vf)((vi)d & size) : d * d;
                }
            }
        for (size_t r = 0; r < BESIDE && first + r < rows; r++)
            for (int p = 0; p < PARTS; p++) store(out + (first + r) * stride + p * W, sum[r][p]);
    }
}

static void strip_distances(const float *strip, const float *x, size_t rows, size_t dim, bool city_block,
                            float *out, size_t stride)
{
    if (city_block)
        distances_as(strip, x, rows, dim, true, out, stride);
    else
        distances_as(strip, x, rows, dim, false, out, stride);
}
