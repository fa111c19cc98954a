/* Texts through a model: tokens, then chunks of whole texts sorted by length and packed end to end
 * (no padding), a chunk at a time on each thread, so that its activations stay in that core's cache. The last
 * chunks, as many as there are threads at most, are open to all: a thread that finds nothing else to do joins
 * one of them (gn__team), so that a single text is the work of all threads and no core idles at the end. */
#include "model/internal.h"
#include "model/learn.h"

#include <math.h>
#include <stdatomic.h>

/* Seconds that a thread may take to notice that it has nothing to do; more, and half of the whole: others
 * need its processor. */
#define SLOW 500e-6

enum {
    CHUNK = 6 * GN__ROWS, /* tokens a chunk holds, unless one text is longer */
    TOKENIZE_GRAIN = 32
};

/* A distinct text. */
typedef struct item {
    size_t text; /* its first occurrence */
    const int32_t *id;
    uint32_t count;
    bool cut;
} item;

/* What a chunk is worked on with. */
typedef struct bench {
    gn__workspace workspace;
    gn__sequence *sequence; /* [most_texts] */
} bench;

/* One thread's things. */
typedef struct hand {
    gn__encoder encoder;
    bench own; /* made for this thread's first chunk of its own */
    gn__scratch scratch;
    float *spare;   /* for the head */
    gn_error error; /* of the lowest text that failed on this thread */
    size_t failed;  /* that text; SIZE_MAX: none */
} hand;

/* A chunk that several threads may work on. */
typedef struct open_chunk {
    bench bench;
    gn__team team;
} open_chunk;

typedef struct job {
    gn_context *ctx;
    const gn_model *m;
    const char *const *text;
    const uint32_t *length;
    item *items; /* [distinct] */
    size_t distinct;
    size_t *chunk; /* [chunks + 1] first item of each */
    size_t chunks;
    size_t most_tokens, most_texts; /* of a chunk */
    atomic_size_t next;             /* chunk that nobody has taken, of those for one thread each */
    open_chunk *open;               /* [opened] the last ones, for several threads each */
    size_t opened;
    double ended; /* when the caller's thread had nothing left to do */
    hand *hands;  /* [threads] */
    unsigned threads;
    float *out;         /* [texts × dim] */
    unsigned char *cut; /* [texts] or NULL */
    uint32_t *tokens;   /* [texts] or NULL */
    atomic_size_t done;
} job;

/* Remembers a failure of a thread; the lowest text wins, whatever the threads' order. */
static void note(hand *h, size_t text, const gn_error *error)
{
    if (text >= h->failed) return;
    gn_lang lang = h->error.lang;
    h->error = *error;
    h->error.lang = lang;
    h->failed = text;
}

static gn_status failure(const job *j, gn_error *err)
{
    const hand *worst = &j->hands[0];
    for (unsigned i = 1; i < j->threads; i++)
        if (j->hands[i].failed < worst->failed) worst = &j->hands[i];
    if (worst->failed == SIZE_MAX) return GN_OK;
    if (err != NULL) *err = worst->error;
    return worst->error.code;
}

/* ---- tokens ------------------------------------------------------------------------------------- */

gn_status gn__model_ids(const gn_model *m, gn__encoder *e, const char *text, size_t length, size_t number,
                        gn__sequence *out, bool *cut, gn_error *err)
{
    if (m->prompt[0] != '\0') {
        e->prompted.length = 0;
        gn__buf_puts(&e->prompted, m->prompt);
        gn__buf_append(&e->prompted, text, length);
        if (e->prompted.failed) return gn__no_memory(err, length);
        text = e->prompted.data;
        length = e->prompted.length;
    }
    GN__TRY(gn_tokenizer_encode(m->tokenizer, text, length, true, m->info.max_length, &e->tokens, err));
    size_t n = e->tokens.count;
    int32_t *id = gn__arena_alloc(&e->ids, (n ? n : 1) * sizeof *id);
    if (id == NULL) return gn__no_memory(err, n * sizeof *id);
    if (n == 0)
        id[n++] = m->recipe.empty_token;
    else
        memcpy(id, e->tokens.id, n * sizeof *id);
    for (size_t i = 0; i < n; i++)
        if (id[i] < 0 || (size_t)id[i] >= m->recipe.vocab)
            return gn__fail(err, GN_DATA,
                            "text %zu has the token %d, but the embeddings of %s have only %zu rows",
                            number + 1, (int)id[i], m->info.name, m->recipe.vocab);
    *out = (gn__sequence){id, n};
    *cut = e->tokens.cut;
    return GN_OK;
}

void gn__encoder_free(gn__encoder *e)
{
    gn_tokens_free(&e->tokens);
    gn__arena_free(&e->ids);
    gn__buf_free(&e->prompted);
}

static gn_status tokenize_one(const job *j, hand *h, item *x, gn_error *err)
{
    gn__sequence s;
    bool cut;
    GN__TRY(gn__model_ids(j->m, &h->encoder, j->text[x->text], j->length[x->text], x->text, &s, &cut, err));
    *x = (item){x->text, s.id, (uint32_t)s.count, cut};
    return GN_OK;
}

static void tokenize(void *arg, size_t begin, size_t end, unsigned worker)
{
    job *j = arg;
    hand *h = &j->hands[worker];
    for (size_t i = begin; i < end; i++) {
        gn_error err = {.lang = h->error.lang};
        if (tokenize_one(j, h, &j->items[i], &err) != GN_OK) note(h, j->items[i].text, &err);
    }
}

/* ---- chunks ------------------------------------------------------------------------------------- */

/* Longest first: the chunks that are open to all are then the last to be begun. */
static int by_count(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->text < y->text ? -1 : 1;
}

/* Cuts the sorted items into chunks. */
static gn_status cut_chunks(job *j, gn_error *err)
{
    size_t tokens = 0;
    j->chunk = gn__calloc(j->distinct + 1, sizeof *j->chunk);
    if (j->chunk == NULL) return gn__no_memory(err, (j->distinct + 1) * sizeof *j->chunk);
    for (size_t i = 0; i < j->distinct; i++) {
        if (i > 0 && tokens + j->items[i].count > CHUNK) {
            j->chunk[++j->chunks] = i;
            tokens = 0;
        }
        tokens += j->items[i].count;
        size_t texts = i + 1 - j->chunk[j->chunks];
        if (tokens > j->most_tokens) j->most_tokens = tokens;
        if (texts > j->most_texts) j->most_texts = texts;
    }
    j->chunk[++j->chunks] = j->distinct;
    return GN_OK;
}

static void free_bench(bench *b)
{
    gn__workspace_free(&b->workspace);
    free(b->sequence);
}

static gn_status prepare_bench(const job *j, size_t tokens, size_t texts, bench *b, gn_error *err)
{
    if (b->workspace.hidden == NULL) GN__TRY(gn__workspace_create(j->m, tokens, &b->workspace, err));
    if (b->sequence == NULL) b->sequence = gn__calloc(texts, sizeof *b->sequence);
    return b->sequence != NULL ? GN_OK : gn__no_memory(err, texts * sizeof *b->sequence);
}

static gn_status prepare_hand(const job *j, hand *h, gn_error *err)
{
    if (h->scratch.lane == NULL) GN__TRY(gn__scratch_create(j->m, j->most_tokens, &h->scratch, err));
    if (h->spare == NULL) h->spare = gn__calloc(2 * j->m->head.widest, sizeof *h->spare);
    return h->spare != NULL ? GN_OK : gn__no_memory(err, 2 * j->m->head.widest * sizeof *h->spare);
}

static gn_status check_finite(const gn_model *m, size_t text, const float *row, gn_error *err)
{
    for (size_t d = 0; d < m->info.dim; d++)
        if (!isfinite(row[d]))
            return gn__fail(err, GN_NUMERIC,
                            "the embedding of text %zu by %s is not finite (are its weights damaged?)",
                            text + 1, m->info.name);
    return GN_OK;
}

/* The embeddings of texts that `items` names; hidden: the first one's states. */
static void pool(const job *j, hand *h, const item *items, size_t count, const float *hidden)
{
    const gn_model *m = j->m;
    size_t dim = m->recipe.output;
    for (size_t i = 0; i < count; hidden += items[i].count * dim, i++) {
        gn_error err = {.lang = h->error.lang};
        float *row = j->out + items[i].text * m->info.dim;
        gn__head_run(&m->head, hidden, items[i].count, dim, h->spare, row);
        if (check_finite(m, items[i].text, row, &err) != GN_OK) note(h, items[i].text, &err);
    }
}

/* What one member does of a chunk. */
static void embed_chunk(job *j, hand *h, bench *b, gn__member *member, size_t chunk)
{
    const item *items = j->items + j->chunk[chunk];
    size_t count = j->chunk[chunk + 1] - j->chunk[chunk], first, end;
    gn_error err = {.lang = h->error.lang};
    gn_status status = prepare_hand(j, h, &err);
    if (status == GN_OK)
        status =
            gn__model_forward(j->ctx, j->m, &b->workspace, &h->scratch, member, b->sequence, count, &err);
    if (status != GN_OK) {
        note(h, items[0].text, &err);
        return;
    }
    while (gn__take_piece(member, count, 1, &first, &end)) {
        const float *hidden = b->workspace.hidden;
        for (size_t i = 0; i < first; i++) hidden += items[i].count * j->m->recipe.output;
        pool(j, h, items + first, end - first, hidden);
        gn__progress(j->ctx, GN_STAGE_EMBED, atomic_fetch_add(&j->done, end - first) + end - first,
                     j->distinct);
    }
}

static void name_sequences(const job *j, size_t chunk, bench *b)
{
    const item *items = j->items + j->chunk[chunk];
    for (size_t i = 0; i < j->chunk[chunk + 1] - j->chunk[chunk]; i++)
        b->sequence[i] = (gn__sequence){items[i].id, items[i].count};
}

static void embed_alone(job *j, hand *h, size_t chunk)
{
    gn_error err = {.lang = h->error.lang};
    if (prepare_bench(j, j->most_tokens, j->most_texts, &h->own, &err) != GN_OK) {
        note(h, j->items[j->chunk[chunk]].text, &err);
        return;
    }
    name_sequences(j, chunk, &h->own);
    embed_chunk(j, h, &h->own, &(gn__member){0}, chunk);
}

/* Everything that one thread does. */
static void embed_chunks(void *arg, size_t begin, size_t end, unsigned worker)
{
    job *j = arg;
    hand *h = &j->hands[worker];
    size_t alone = j->chunks - j->opened, c;
    (void)end;
    while ((c = atomic_fetch_add(&j->next, 1)) < alone && !gn__cancelled(j->ctx)) embed_alone(j, h, c);
    for (size_t k = 0; k < j->opened && !gn__cancelled(j->ctx); k++) {
        size_t i = (begin + k) % j->opened;
        gn__member member;
        if (gn__team_join(&j->open[i].team, &member))
            embed_chunk(j, h, &j->open[i].bench, &member, alone + i);
    }
    if (worker == 0) j->ended = gn__now();
}

/* All have to be ready before the first thread looks at them. */
static gn_status open_chunks(job *j, gn_error *err)
{
    size_t most = (j->chunks - 1) % j->threads + 1;
    j->open = gn__calloc(most, sizeof *j->open);
    if (j->open == NULL) return gn__no_memory(err, most * sizeof *j->open);
    for (; j->opened < most; j->opened++) {
        open_chunk *o = &j->open[j->opened];
        size_t chunk = j->chunks - most + j->opened, tokens = 0;
        for (size_t i = j->chunk[chunk]; i < j->chunk[chunk + 1]; i++) tokens += j->items[i].count;
        gn_status status = prepare_bench(j, tokens, j->chunk[chunk + 1] - j->chunk[chunk], &o->bench, err);
        if (status != GN_OK) {
            free_bench(&o->bench);
            return status;
        }
        name_sequences(j, chunk, &o->bench);
        gn__team_open(&o->team, j->ctx, gn__model_members(j->m, tokens));
    }
    return GN_OK;
}

static gn_status run_chunks(job *j, gn_error *err)
{
    qsort(j->items, j->distinct, sizeof *j->items, by_count);
    GN__TRY(cut_chunks(j, err));
    GN__TRY(open_chunks(j, err));
    size_t threads = j->chunks == 1 ? j->open[0].team.most : j->threads;
    double begin = gn__now();
    gn_status status = gn__parallel_for(j->ctx, threads, 1, embed_chunks, j, err);
    double end = gn__now();
    bool slow = end - j->ended > fmax(SLOW, (end - begin) / 2);
    for (size_t i = 0; i < j->opened; i++) slow = slow || gn__team_was_slow(&j->open[i].team);
    gn__together_went(j->ctx, slow, j->opened == j->chunks ? end - begin : 0);
    return status == GN_OK ? failure(j, err) : status;
}

/* ---- the whole ------------------------------------------------------------------------------------ */

/* same[i]: the item of text i. Identical texts share one. */
static gn_status find_distinct(job *j, size_t texts, uint32_t *same, gn_error *err)
{
    gn_status status = GN_OK;
    gn__map seen = {0};
    if (texts >= UINT32_MAX)
        return gn__fail(err, GN_INVALID_ARGUMENT, "more than %u texts in one call", UINT32_MAX - 1);
    j->items = gn__calloc(texts, sizeof *j->items);
    if (j->items == NULL) return gn__no_memory(err, texts * sizeof *j->items);
    for (size_t i = 0; i < texts; i++) {
        if (!gn__map_put(&seen, j->text[i], j->length[i], (uint32_t)j->distinct, &same[i])) {
            status = gn__no_memory(err, j->length[i]);
            break;
        }
        if (same[i] == j->distinct) j->items[j->distinct++].text = i;
    }
    gn__map_free(&seen);
    return status;
}

static gn_status embed_texts(job *j, size_t texts, gn_embed_stats *stats, gn_error *err)
{
    gn_status status;
    uint32_t *same = gn__calloc(texts, sizeof *same);
    size_t *first = NULL, dim = j->m->info.dim;
    bool *cut = NULL;
    uint32_t *tokens = NULL; /* of each item, before they are reordered */
    if (same == NULL) return gn__no_memory(err, texts * sizeof *same);
    GN__TRY_GOTO(find_distinct(j, texts, same, err), done);
    first = gn__calloc(j->distinct, sizeof *first);
    cut = gn__calloc(j->distinct, sizeof *cut);
    tokens = gn__calloc(j->distinct, sizeof *tokens);
    if (first == NULL || cut == NULL || tokens == NULL) {
        status = gn__no_memory(err, j->distinct * sizeof *first);
        goto done;
    }
    GN__TRY_GOTO(gn__parallel_for(j->ctx, j->distinct, TOKENIZE_GRAIN, tokenize, j, err), done);
    GN__TRY_GOTO(failure(j, err), done);
    stats->distinct = j->distinct;
    for (size_t i = 0; i < j->distinct; i++) {
        first[i] = j->items[i].text;
        cut[i] = j->items[i].cut;
        tokens[i] = j->items[i].count;
        stats->tokens += j->items[i].count;
    }
    GN__TRY_GOTO(run_chunks(j, err), done); /* reorders the items */
    for (size_t i = 0; i < texts; i++) {
        stats->cut += cut[same[i]];
        if (j->cut != NULL) j->cut[i] = cut[same[i]];
        if (j->tokens != NULL) j->tokens[i] = tokens[same[i]];
        if (first[same[i]] != i)
            memcpy(j->out + i * dim, j->out + first[same[i]] * dim, dim * sizeof *j->out);
    }
done:
    free(same);
    free(first);
    free(cut);
    free(tokens);
    return status;
}

static void free_hand(hand *h)
{
    gn__encoder_free(&h->encoder);
    free_bench(&h->own);
    gn__scratch_free(&h->scratch);
    free(h->spare);
}

static gn_status embed_by_transformer(gn_context *ctx, const gn_model *m, const char *const *text,
                                      const uint32_t *length, size_t texts, float *out, unsigned char *cut,
                                      uint32_t *tokens, gn_embed_stats *stats, gn_error *err)
{
    job j = {.ctx = ctx, .m = m, .text = text, .length = length, .out = out, .cut = cut, .tokens = tokens};
    j.threads = gn_context_threads(ctx);
    j.hands = gn__calloc(j.threads, sizeof *j.hands);
    if (j.hands == NULL) return gn__no_memory(err, j.threads * sizeof *j.hands);
    for (unsigned i = 0; i < j.threads; i++) {
        j.hands[i].failed = SIZE_MAX;
        j.hands[i].error.lang = err ? err->lang : GN_LANG_EN;
    }
    gn_status status = embed_texts(&j, texts, stats, err);
    for (unsigned i = 0; i < j.threads; i++) free_hand(&j.hands[i]);
    for (size_t i = 0; i < j.opened; i++) {
        free_bench(&j.open[i].bench);
        gn__team_close(&j.open[i].team);
    }
    free(j.hands);
    free(j.open);
    free(j.items);
    free(j.chunk);
    return status;
}

/* Every code point and the two marks, as the built-in model counts them; distinct texts need no count. */
static void count_characters(const char *const *text, const uint32_t *length, size_t texts,
                             gn_embed_stats *stats)
{
    stats->distinct = texts;
    for (size_t i = 0; i < texts; i++)
        for (size_t at = 0; at < length[i]; at++)
            stats->tokens += ((unsigned char)text[i][at] & 0xC0) != 0x80;
}

bool gn__model_learns(const gn_model *m)
{
    return m->control != NULL;
}

gn_status gn__model_learn(gn_context *ctx, const gn_model *m, const char *const *text, const uint32_t *length,
                          size_t texts, gn__idf *idf, gn_error *err)
{
    return m->control == NULL ? GN_OK : gn__char_ngram_learn(ctx, m->control, text, length, texts, idf, err);
}

static gn_status embed_by_control(gn_context *ctx, const gn_model *m, const gn__idf *idf,
                                  const char *const *text, const uint32_t *length, size_t texts, float *out,
                                  gn_error *err)
{
    gn__idf own = {0};
    if (idf != NULL) return gn__char_ngram_embed(ctx, m->control, idf, text, length, texts, out, err);
    gn_status status = gn__char_ngram_learn(ctx, m->control, text, length, texts, &own, err);
    if (status == GN_OK) status = gn__char_ngram_embed(ctx, m->control, &own, text, length, texts, out, err);
    free(own.df);
    return status;
}

gn_status gn__model_embed(gn_context *ctx, const gn_model *m, const gn__idf *idf, const char *const *text,
                          const uint32_t *length, size_t texts, gn_matrix *out, unsigned char *cut,
                          uint32_t *tokens, gn_embed_stats *stats, gn_error *err)
{
    gn_status status;
    double start = gn__now();
    gn_embed_stats counted = {.texts = texts};
    gn_matrix rows;
    GN__TRY(gn_matrix_create(texts, m->info.dim, &rows, err));
    if (cut != NULL) memset(cut, 0, texts);
    if (tokens != NULL) memset(tokens, 0, texts * sizeof *tokens);
    if (texts == 0) {
        status = GN_OK;
    } else if (m->control != NULL) {
        status = embed_by_control(ctx, m, idf, text, length, texts, rows.data, err);
        count_characters(text, length, texts, &counted);
    } else if (m->endpoint != NULL) {
        status = gn__endpoint_embed(ctx, m->endpoint, text, length, texts, rows.data, &counted, err);
    } else {
        status = embed_by_transformer(ctx, m, text, length, texts, rows.data, cut, tokens, &counted, err);
    }
    if (status != GN_OK) {
        gn_matrix_free(&rows);
        return status;
    }
    counted.seconds = gn__now() - start;
    if (stats != NULL) *stats = counted;
    *out = rows;
    return GN_OK;
}

gn_status gn_model_embed(gn_context *ctx, const gn_model *m, const char *const *text, const uint32_t *length,
                         size_t texts, gn_matrix *out, unsigned char *cut, gn_embed_stats *stats,
                         gn_error *err)
{
    return gn__model_embed(ctx, m, NULL, text, length, texts, out, cut, NULL, stats, err);
}

gn_status gn_model_hidden(gn_context *ctx, const gn_model *m, const char *text, size_t length, gn_matrix *out,
                          gn_error *err)
{
    if (m->control != NULL || m->endpoint != NULL)
        return gn__fail(err, GN_UNSUPPORTED, "%s has no hidden states", m->info.name);
    if (length > UINT32_MAX)
        return gn__fail(err, GN_INVALID_ARGUMENT, "a text of %zu bytes is too long", length);
    gn_status status;
    uint32_t bytes = (uint32_t)length;
    gn_matrix rows = {0};
    hand h = {.failed = SIZE_MAX};
    item x = {0};
    job j = {.ctx = ctx, .m = m, .text = &text, .length = &bytes};
    GN__TRY_GOTO(tokenize_one(&j, &h, &x, err), done);
    GN__TRY_GOTO(gn__workspace_create(m, x.count, &h.own.workspace, err), done);
    GN__TRY_GOTO(gn__scratch_create(m, x.count, &h.scratch, err), done);
    GN__TRY_GOTO(gn__model_forward(ctx, m, &h.own.workspace, &h.scratch, &(gn__member){0},
                                   &(gn__sequence){x.id, x.count}, 1, err),
                 done);
    GN__TRY_GOTO(gn_matrix_create(x.count, m->recipe.output, &rows, err), done);
    memcpy(rows.data, h.own.workspace.hidden, x.count * m->recipe.output * sizeof *rows.data);
    *out = rows;
done:
    free_hand(&h);
    return status;
}
