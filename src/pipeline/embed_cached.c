/* gn_model_embed through the cache: what is there is read, the rest is computed and kept, a block at a time.
 */
#include "genchi/embed.h"
#include "model/learn.h"
#include "pipeline/fingerprint.h"
#include "pipeline/sidecar.h"
#include "store/store.h"

#include <stdio.h>

enum { BLOCK = 8192, GRAIN = 256 };

typedef struct job {
    gn_context *ctx;
    gn_cache *cache; /* NULL once it has failed */
    const gn_model *m;
    const char *const *text;
    const uint32_t *length;
    size_t texts, distinct, dim;
    unsigned char (*every)[GN__HASH]; /* [texts] */
    uint32_t *same;                   /* [texts] the distinct text that it is */
    size_t *first;                    /* [distinct] */
    unsigned char (*hash)[GN__HASH];  /* [distinct] */
    gn__cache_note *note;             /* [distinct] */
    unsigned char *found;             /* [distinct] */
    gn__cache_space space;
    float *out;
    gn_error *err;
} job;

static void hash_texts(void *arg, size_t begin, size_t end, unsigned worker)
{
    job *j = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        gn__sha256 h;
        char hex[65];
        if (gn__sha256_begin(&h, NULL) != GN_OK) continue; /* all zero: found out by cached() */
        gn__sha256_update(&h, j->text[i], j->length[i]);
        gn__sha256_end(&h, hex);
        for (size_t b = 0; b < GN__HASH; b++) {
            unsigned high = (unsigned)(hex[2 * b] <= '9' ? hex[2 * b] - '0' : hex[2 * b] - 'a' + 10),
                     low =
                         (unsigned)(hex[2 * b + 1] <= '9' ? hex[2 * b + 1] - '0' : hex[2 * b + 1] - 'a' + 10);
            j->every[i][b] = (unsigned char)(high << 4 | low);
        }
    }
}

static gn_status find_distinct(job *j)
{
    static const unsigned char none[GN__HASH];
    gn__map seen = {0};
    gn_status status = GN_OK;
    for (size_t i = 0; i < j->texts && status == GN_OK; i++) {
        if (memcmp(j->every[i], none, GN__HASH) == 0 ||
            !gn__map_put(&seen, (const char *)j->every[i], GN__HASH, (uint32_t)j->distinct, &j->same[i])) {
            status = gn__no_memory(j->err, GN__HASH);
        } else if (j->same[i] == j->distinct) {
            j->first[j->distinct] = i;
            memcpy(j->hash[j->distinct++], j->every[i], GN__HASH);
        }
    }
    gn__map_free(&seen);
    return status;
}

/* The cache is a help, never a condition. */
static void pass_over(job *j, gn_status status, const gn_error *err)
{
    if (status == GN_OK) return;
    gn__cache_failed(j->cache, err);
    j->cache = NULL;
}

/* Computes a block of texts that were not found, and keeps it. */
static gn_status compute(job *j, const size_t *missing, size_t n)
{
    const char **text = gn__calloc(n, sizeof *text);
    uint32_t *length = gn__calloc(n, sizeof *length), *tokens = gn__calloc(n, sizeof *tokens);
    unsigned char *cut = gn__calloc(n, 1), (*hash)[GN__HASH] = gn__calloc(n, sizeof *hash);
    gn__cache_note *note = gn__calloc(n, sizeof *note);
    gn_matrix x = {0};
    gn_status status = GN_OK;
    if (!text || !length || !tokens || !cut || !hash || !note) {
        status = gn__no_memory(j->err, n * sizeof *text);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        text[i] = j->text[j->first[missing[i]]];
        length[i] = j->length[j->first[missing[i]]];
    }
    GN__TRY_GOTO(gn__model_embed(j->ctx, j->m, NULL, text, length, n, &x, cut, tokens, NULL, j->err), done);
    for (size_t i = 0; i < n; i++) {
        size_t d = missing[i];
        note[i] = j->note[d] = (gn__cache_note){tokens[i], cut[i] != 0};
        memcpy(hash[i], j->hash[d], GN__HASH);
        memcpy(j->out + j->first[d] * j->dim, x.data + i * j->dim, j->dim * sizeof *x.data);
    }
    if (j->cache != NULL) {
        gn_error err = {.lang = j->err != NULL ? j->err->lang : GN_LANG_EN};
        pass_over(
            j,
            gn__cache_add(j->cache, &j->space, (const unsigned char(*)[GN__HASH])hash, n, x.data, note, &err),
            &err);
    }
done:
    gn_matrix_free(&x);
    free(text);
    free(length);
    free(tokens);
    free(cut);
    free(hash);
    free(note);
    return status;
}

static gn_status compute_missing(job *j)
{
    size_t n = 0, done = 0;
    size_t *missing = gn__calloc(j->distinct, sizeof *missing);
    gn_status status = GN_OK;
    if (missing == NULL) return gn__no_memory(j->err, j->distinct * sizeof *missing);
    for (size_t d = 0; d < j->distinct; d++)
        if (!j->found[d]) missing[n++] = d;
    for (; done < n && status == GN_OK; done += BLOCK) {
        gn__progress_within(j->ctx, done, n);
        status = compute(j, missing + done, n - done < BLOCK ? n - done : (size_t)BLOCK);
    }
    gn__progress_within(j->ctx, 0, 0);
    free(missing);
    return status;
}

static gn_status cached(job *j)
{
    const gn_model_info *info = gn_model_get_info(j->m);
    char key[65], detail[160];
    gn_error err = {.lang = j->err != NULL ? j->err->lang : GN_LANG_EN};
    snprintf(detail, sizeof detail, "%s, %s, %zu tokens%s", gn__pooling_text(info),
             gn_dtype_name(info->dtype), info->max_length, info->normalize ? ", unit length" : "");
    j->every = gn__calloc(j->texts, sizeof *j->every);
    j->same = gn__calloc(j->texts, sizeof *j->same);
    j->first = gn__calloc(j->texts, sizeof *j->first);
    j->hash = gn__calloc(j->texts, sizeof *j->hash);
    j->note = gn__calloc(j->texts, sizeof *j->note);
    j->found = gn__calloc(j->texts, 1);
    if (!j->every || !j->same || !j->first || !j->hash || !j->note || !j->found)
        return gn__no_memory(j->err, j->texts * sizeof *j->every);
    GN__TRY(gn__parallel_for(j->ctx, j->texts, GRAIN, hash_texts, j, j->err));
    GN__TRY(find_distinct(j));
    gn_status status = gn__model_fingerprint(info, key, &err);
    j->space = (gn__cache_space){key, info->name, detail, j->dim};
    if (status == GN_OK)
        status = gn__cache_find(j->cache, &j->space, (const unsigned char(*)[GN__HASH])j->hash, j->distinct,
                                j->first, j->out, j->note, j->found, &err);
    pass_over(j, status, &err);
    return compute_missing(j);
}

gn_status gn_model_embed_cached(gn_context *ctx, gn_cache *cache, const gn_model *m, const char *const *text,
                                const uint32_t *length, size_t texts, gn_matrix *out, unsigned char *cut,
                                gn_embed_stats *stats, gn_error *err)
{
    if (cache == NULL || gn__model_learns(m) || texts == 0 || texts >= UINT32_MAX)
        return gn_model_embed(ctx, m, text, length, texts, out, cut, stats, err);
    double start = gn__now();
    gn_embed_stats counted = {.texts = texts};
    gn_matrix x;
    job j = {.ctx = ctx,
             .cache = cache,
             .m = m,
             .text = text,
             .length = length,
             .texts = texts,
             .dim = gn_model_get_info(m)->dim,
             .err = err};
    GN__TRY(gn_matrix_create(texts, j.dim, &x, err));
    j.out = x.data;
    gn_status status = cached(&j);
    if (status == GN_OK) {
        counted.distinct = j.distinct;
        for (size_t d = 0; d < j.distinct; d++) counted.tokens += j.note[d].tokens;
        for (size_t i = 0; i < texts; i++) {
            size_t first = j.first[j.same[i]];
            if (first != i) memcpy(x.data + i * j.dim, x.data + first * j.dim, j.dim * sizeof *x.data);
            counted.cut += j.note[j.same[i]].cut;
            if (cut != NULL) cut[i] = j.note[j.same[i]].cut;
        }
        counted.seconds = gn__now() - start;
        if (stats != NULL) *stats = counted;
        *out = x;
    } else {
        gn_matrix_free(&x);
    }
    free(j.every);
    free(j.same);
    free(j.first);
    free(j.hash);
    free(j.note);
    free(j.found);
    return status;
}
