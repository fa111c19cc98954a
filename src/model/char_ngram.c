/* The recipe, spelled out:
 * - A text is its code points as written (case, width and accents are spelling, so nothing is folded),
 *   with U+0002 before and U+0003 behind. Its terms are all runs of 1 to 4 of them but the two marks
 *   alone.
 * - A term's bucket is its 64-bit hash (below) modulo 2^18.
 * - Weight of a bucket in a text: (1 + ln tf) · idf, idf = ln((1 + n) / (1 + df)) + 1 over the n texts of
 *   the call (smoothed, Salton & Buckley 1988 and what scikit-learn calls smooth_idf, sublinear_tf);
 *   then the text's weights are divided by their Euclidean length.
 * - Projection to 512 dimensions: bucket b has 8 entries of ±1/√8, one in each block of 64
 *   dimensions, at a place and with a sign drawn from Philox with a constant seed (very sparse signed
 *   projections: Achlioptas 2003, Li, Hastie & Church 2006; one a block: Kane & Nelson 2014). Inner
 *   products are kept in expectation. The rows are then made unit length.
 * Everything but idf is a constant, so two machines agree. */
#include "model/char_ngram.h"

#include <math.h>

enum {
    BUCKETS = GN__CHAR_NGRAM_BUCKETS,
    LONGEST = 4,
    ENTRIES = 8,
    BLOCK = GN__CHAR_NGRAM_DIM / ENTRIES,
    GRAIN = 64, /* texts a piece */
    SIGN = 0x8000
};

static const char recipe[] = "genchi char-ngram 1: U+0002 text U+0003, 1-4 code points, splitmix64 mod 2^18, "
                             "(1+ln tf)(ln((1+n)/(1+df))+1), L2, 8 signs of 512, L2";

struct gn__char_ngram {
    uint16_t (*entry)[ENTRIES]; /* [BUCKETS] dimension, with SIGN for −1 */
};

gn_status gn__char_ngram_create(gn__char_ngram **out, gn_error *err)
{
    gn__char_ngram *c = gn__calloc(1, sizeof *c);
    if (c != NULL) c->entry = gn__calloc(BUCKETS, sizeof *c->entry);
    if (c == NULL || c->entry == NULL) {
        gn__char_ngram_free(c);
        return gn__no_memory(err, BUCKETS * sizeof *c->entry);
    }
    uint64_t purpose = gn__purpose("model/char-ngram");
    for (uint32_t b = 0; b < BUCKETS; b++) {
        gn__rng r = gn__rng_make(0, purpose, b);
        for (uint32_t k = 0; k < ENTRIES; k++) {
            uint32_t bits = gn__rng_u32(&r);
            c->entry[b][k] = (uint16_t)(k * BLOCK + bits % BLOCK + (bits >> 31 ? SIGN : 0));
        }
    }
    *out = c;
    return GN_OK;
}

void gn__char_ngram_free(gn__char_ngram *c)
{
    if (c == NULL) return;
    free(c->entry);
    free(c);
}

gn_status gn__char_ngram_info(gn_model_info *out, gn_error *err)
{
    gn__sha256 h;
    *out = (gn_model_info){.name = "builtin:char-ngram",
                           .architecture = "char-ngram",
                           .dim = GN__CHAR_NGRAM_DIM,
                           .vocab = BUCKETS,
                           .pooling = GN_POOLING_MEAN,
                           .normalize = true,
                           .builtin = true,
                           .dtype = GN_DTYPE_F32,
                           .weight_types = "",
                           .tokenizer = "characters",
                           .positions = "",
                           .norms = "",
                           .attention = "",
                           .mlp = "",
                           .poolings = "mean",
                           .head = "unit length",
                           .prompt = "",
                           .pipeline = "",
                           .unused = ""};
    GN__TRY(gn__sha256_begin(&h, err));
    gn__sha256_update(&h, recipe, strlen(recipe));
    gn__sha256_end(&h, out->sha256);
    return GN_OK;
}

/* The finaliser of SplitMix64 (Steele, Lea & Flood 2014). */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* A worker's counts; all zero between texts. */
typedef struct counter {
    uint32_t *count;   /* [BUCKETS] of this text */
    uint32_t *touched; /* [BUCKETS] in order of first occurrence */
    size_t distinct;
    uint32_t *df; /* [BUCKETS] texts seen with the bucket */
} counter;

static inline void count_term(counter *c, uint64_t hash)
{
    uint32_t b = (uint32_t)(hash % BUCKETS);
    if (c->count[b]++ == 0) c->touched[c->distinct++] = b;
}

static void count_text(counter *c, const char *s, size_t n)
{
    uint64_t open[LONGEST]; /* hashes of the runs that end at the last code point, by length − 1 */
    size_t runs = 0, at = 0;
    for (bool start = true, end = false; !end; start = false) {
        uint32_t code_point = 2;
        if (!start && at == n) {
            code_point = 3;
            end = true;
        } else if (!start) {
            at += gn__utf8_decode(s + at, n - at, &code_point);
        }
        runs = runs < LONGEST ? runs + 1 : (size_t)LONGEST;
        for (size_t k = runs - 1; k > 0; k--) open[k] = mix(open[k - 1] * 31 + code_point + 1);
        open[0] = mix(code_point + 1);
        for (size_t k = start || end ? 1 : 0; k < runs; k++) count_term(c, open[k]);
    }
}

typedef struct job {
    const gn__char_ngram *model;
    counter *worker;
    const char *const *text;
    const uint32_t *length;
    size_t texts;
    float *idf, *out;
} job;

static void count_df(void *arg, size_t begin, size_t end, unsigned worker)
{
    job *j = arg;
    counter *c = &j->worker[worker];
    for (size_t i = begin; i < end; i++) {
        count_text(c, j->text[i], j->length[i]);
        for (size_t k = 0; k < c->distinct; k++) {
            c->df[c->touched[k]]++;
            c->count[c->touched[k]] = 0;
        }
        c->distinct = 0;
    }
}

static void project(const job *j, counter *c, float *out)
{
    double row[GN__CHAR_NGRAM_DIM] = {0}, square = 0;
    for (size_t k = 0; k < c->distinct; k++) {
        uint32_t b = c->touched[k];
        double weight = (1 + log((double)c->count[b])) * (double)j->idf[b];
        const uint16_t *entry = j->model->entry[b];
        for (size_t e = 0; e < ENTRIES; e++) row[entry[e] & (SIGN - 1)] += entry[e] & SIGN ? -weight : weight;
        c->count[b] = 0;
    }
    c->distinct = 0;
    /* The length before projecting and 1/√8 are common factors, which the last division takes away. */
    for (size_t d = 0; d < GN__CHAR_NGRAM_DIM; d++) square += row[d] * row[d];
    double scale = square > 0 ? 1 / sqrt(square) : 0;
    for (size_t d = 0; d < GN__CHAR_NGRAM_DIM; d++) out[d] = (float)(row[d] * scale);
}

static void embed(void *arg, size_t begin, size_t end, unsigned worker)
{
    job *j = arg;
    counter *c = &j->worker[worker];
    for (size_t i = begin; i < end; i++) {
        count_text(c, j->text[i], j->length[i]);
        project(j, c, j->out + i * GN__CHAR_NGRAM_DIM);
    }
}

static void close_job(job *j, unsigned threads)
{
    for (unsigned i = 0; i < threads && j->worker != NULL; i++) {
        free(j->worker[i].count);
        free(j->worker[i].touched);
        free(j->worker[i].df);
    }
    free(j->worker);
    free(j->idf);
}

/* counting: df instead of idf. */
static gn_status open_job(job *j, unsigned threads, bool counting, gn_error *err)
{
    j->worker = gn__calloc(threads, sizeof *j->worker);
    bool enough = j->worker != NULL;
    if (!counting) {
        j->idf = gn__calloc(BUCKETS, sizeof *j->idf);
        enough = enough && j->idf != NULL;
    }
    for (unsigned i = 0; i < threads && enough; i++) {
        counter *c = &j->worker[i];
        c->count = gn__calloc(BUCKETS, sizeof *c->count);
        c->touched = gn__calloc(BUCKETS, sizeof *c->touched);
        if (counting) c->df = gn__calloc(BUCKETS, sizeof *c->df);
        enough = c->count != NULL && c->touched != NULL && (!counting || c->df != NULL);
    }
    return enough ? GN_OK : gn__no_memory(err, threads * 3 * BUCKETS * sizeof(uint32_t));
}

gn_status gn__char_ngram_learn(gn_context *ctx, const gn__char_ngram *model, const char *const *text,
                               const uint32_t *length, size_t texts, gn__idf *idf, gn_error *err)
{
    unsigned threads = gn_context_threads(ctx);
    job j = {.model = model, .text = text, .length = length, .texts = texts};
    gn_status status;
    if (idf->df == NULL) idf->df = gn__calloc(BUCKETS, sizeof *idf->df);
    if (idf->df == NULL) return gn__no_memory(err, BUCKETS * sizeof *idf->df);
    if (texts > UINT32_MAX - idf->texts)
        return gn__fail(err, GN_INVALID_ARGUMENT, "more than %u texts in one call", UINT32_MAX - 1);
    GN__TRY_GOTO(open_job(&j, threads, true, err), done);
    GN__TRY_GOTO(gn__parallel_for(ctx, texts, GRAIN, count_df, &j, err), done);
    for (unsigned i = 0; i < threads; i++)
        for (size_t b = 0; b < BUCKETS; b++) idf->df[b] += j.worker[i].df[b];
    idf->texts += texts;
done:
    close_job(&j, threads);
    return status;
}

gn_status gn__char_ngram_embed(gn_context *ctx, const gn__char_ngram *model, const gn__idf *idf,
                               const char *const *text, const uint32_t *length, size_t texts, float *out,
                               gn_error *err)
{
    unsigned threads = gn_context_threads(ctx);
    job j = {.model = model, .text = text, .length = length, .texts = texts, .out = out};
    gn_status status;
    GN__TRY_GOTO(open_job(&j, threads, false, err), done);
    for (size_t b = 0; b < BUCKETS; b++)
        j.idf[b] = (float)(log((1 + (double)idf->texts) / (1 + (double)idf->df[b])) + 1);
    GN__TRY_GOTO(gn__parallel_for(ctx, texts, GRAIN, embed, &j, err), done);
done:
    close_job(&j, threads);
    return status;
}
