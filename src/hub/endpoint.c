#include "hub/endpoint.h"

#include "hub/answer.h"
#include "hub/http.h"
#include "hub/journal.h"

#include <pthread.h>
#include <stdio.h>

enum {
    DEFAULT_BATCH = 64,
    MAX_BATCH = 2048,         /* OpenAI's limit */
    BATCH_BYTES = 256 * 1024, /* of text in one request, unless one text is longer */
    DEFAULT_PARALLEL = 4,
    MAX_PARALLEL = 32,
    NUMBER_BYTES = 40 /* of the answer's JSON a number */
};

struct gn__endpoint {
    char *url;  /* as given, for messages */
    char *post; /* url/embeddings */
    char *model, *key, *proxy, *no_proxy, *ca_file;
    size_t batch, dimensions, dim;
    unsigned parallel;
    double time_limit;
    gn_network network;
    gn__pull_journal journal;
    pthread_mutex_t turn; /* one call at a time */
};

/* Texts that are still to be asked for. */
typedef struct wanted {
    size_t text; /* its first occurrence */
    uint32_t slot;
} wanted;

typedef struct call {
    gn_context *ctx;
    gn__endpoint *e;
    const char *const *text;
    const uint32_t *length;
    const wanted *want;
    size_t wants, next; /* next and what follows: guarded by lock */
    size_t done, tokens, failed;
    gn_error error;
    atomic_bool stop;
    pthread_mutex_t lock;
} call;

/* ---- requests ---------------------------------------------------------------------------------------- */

static void put_json_string(gn__buf *b, const char *s, size_t n)
{
    gn__buf_putc(b, '"');
    while (n > 0) {
        uint32_t c;
        char utf8[4];
        size_t used = gn__utf8_decode(s, n, &c);
        if (c == '"' || c == '\\')
            gn__buf_printf(b, "\\%c", (char)c);
        else if (c < 0x20)
            gn__buf_printf(b, "\\u%04x", (unsigned)c);
        else
            gn__buf_append(b, utf8, gn__utf8_encode(c, utf8));
        s += used;
        n -= used;
    }
    gn__buf_putc(b, '"');
}

static gn_status make_request(const gn__endpoint *e, const char *const *text, const uint32_t *length,
                              size_t count, gn__buf *b, gn_error *err)
{
    b->length = 0;
    gn__buf_puts(b, "{\"model\": ");
    put_json_string(b, e->model, strlen(e->model));
    if (e->dimensions > 0) gn__buf_printf(b, ", \"dimensions\": %zu", e->dimensions);
    gn__buf_puts(b, ", \"encoding_format\": \"float\", \"input\": [");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) gn__buf_puts(b, ", ");
        put_json_string(b, text[i], length[i]);
    }
    gn__buf_puts(b, "]}");
    return b->failed ? gn__no_memory(err, b->length) : GN_OK;
}

static gn_status refusal(const gn__endpoint *e, const gn__http_answer *a, gn_error *err)
{
    char words[400];
    gn__answer_words(a->body.data ? a->body.data : "", a->body.length, e->key, words, sizeof words);
    if (a->status == 401 || a->status == 403)
        return gn__fail(err, GN_IO, "%s does not accept the key (HTTP %ld; GENCHI_API_KEY): %s", e->url,
                        a->status, words);
    return gn__fail(err, GN_IO, "%s answers with HTTP %ld: %s", e->url, a->status, words);
}

/* One request until it is answered; *status of the last answer, 0: none came. */
static gn_status ask(gn__endpoint *e, gn__http *h, const gn__buf *body, size_t count, size_t *dim,
                     float **rows, size_t *tokens, long *code, gn_error *err)
{
    size_t limit = count * ((*dim ? *dim : 65536) * NUMBER_BYTES + 1000) + 65536;
    gn__http_request r = {.url = e->post,
                          .bearer = e->key,
                          .post = body->data,
                          .post_length = body->length,
                          .body_limit = limit,
                          .time_limit = e->time_limit};
    for (unsigned tries = 0;;) {
        gn__http_answer a;
        gn_error first = {.lang = err ? err->lang : GN_LANG_EN};
        gn_status status = gn__http_send(h, &r, &a, &first);
        bool again = status == GN_IO || (status == GN_OK && gn__http_passing(a.status));
        *code = a.status;
        if (status == GN_OK && a.status == 200)
            status = gn__answer_read(e->url, a.body.data ? a.body.data : "", a.body.length, count, dim, rows,
                                     tokens, &first);
        else if (status == GN_OK)
            status = refusal(e, &a, &first);
        double retry_after = a.retry_after;
        gn__http_answer_free(&a);
        if (status == GN_OK) return GN_OK;
        gn_status waited = again ? gn__http_wait(h, &tries, retry_after, err) : GN_IO;
        if (waited == GN_OK) continue;
        if (waited == GN_IO && err != NULL) *err = first;
        return waited == GN_IO ? status : waited;
    }
}

/* ---- one call ------------------------------------------------------------------------------------------ */

/* The next texts that go into one request. */
static size_t take_batch(call *c, size_t *first)
{
    size_t count = 0, bytes = 0;
    pthread_mutex_lock(&c->lock);
    *first = c->next;
    while (!atomic_load(&c->stop) && c->next < c->wants && count < c->e->batch) {
        size_t n = c->length[c->want[c->next].text];
        if (count > 0 && bytes + n > BATCH_BYTES) break;
        bytes += n;
        count++;
        c->next++;
    }
    pthread_mutex_unlock(&c->lock);
    return count;
}

static void keep_rows(call *c, size_t first, size_t count, const float *rows, size_t tokens)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < count; i++) {
        const wanted *w = &c->want[first + i];
        gn__pull_journal_put(&c->e->journal, c->text[w->text], c->length[w->text], w->slot,
                             rows + i * c->e->dim);
    }
    c->done += count;
    c->tokens += tokens;
    size_t done = c->done;
    pthread_mutex_unlock(&c->lock);
    gn__progress(c->ctx, GN_STAGE_EMBED, done, c->wants);
}

/* Sends want[first, first + count). What the server finds too much is sent in halves, down to single texts:
 * the depth is the logarithm of MAX_BATCH. */
static gn_status send_batch(call *c, gn__http *h, gn__buf *body, size_t first, size_t count, gn_error *err)
{
    const char *text[MAX_BATCH];
    uint32_t length[MAX_BATCH];
    float *rows = NULL;
    size_t tokens = 0, dim = c->e->dim;
    long code = 0;
    gn_error refused = {.lang = err->lang};
    for (size_t i = 0; i < count; i++) {
        text[i] = c->text[c->want[first + i].text];
        length[i] = c->length[c->want[first + i].text];
    }
    GN__TRY(make_request(c->e, text, length, count, body, err));
    gn_status status = ask(c->e, h, body, count, &dim, &rows, &tokens, &code, &refused);
    if (status == GN_OK) {
        keep_rows(c, first, count, rows, tokens);
        free(rows);
        return GN_OK;
    }
    bool too_much = code == 400 || code == 413 || code == 422;
    if (!too_much || status != GN_IO) {
        *err = refused;
        return status;
    }
    if (count == 1) return gn__fail(err, GN_IO, "text %zu: %.700s", c->want[first].text + 1, refused.message);
    GN__TRY(send_batch(c, h, body, first, count / 2, err));
    return send_batch(c, h, body, first + count / 2, count - count / 2, err);
}

static void note(call *c, size_t first, const gn_error *error)
{
    pthread_mutex_lock(&c->lock);
    bool own = error->code != GN_CANCELLED || gn__cancelled(c->ctx);
    if (own && first < c->failed) {
        c->failed = first;
        c->error = *error;
    }
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->stop, true);
}

static void *work(void *arg)
{
    call *c = arg;
    gn__http *h = NULL;
    gn__buf body = {0};
    gn_error err = {.lang = c->error.lang};
    size_t first, count;
    if (gn__http_open(c->ctx, &c->e->network, &c->stop, &h, &err) != GN_OK) note(c, 0, &err);
    while (h != NULL && (count = take_batch(c, &first)) > 0)
        if (send_batch(c, h, &body, first, count, &err) != GN_OK) note(c, first, &err);
    gn__buf_free(&body);
    gn__http_close(h);
    return NULL;
}

static gn_status run(call *c, gn_error *err)
{
    pthread_t thread[MAX_PARALLEL];
    size_t most = (c->wants + c->e->batch - 1) / c->e->batch, started = 0;
    if (c->wants == 0) return gn__check_cancel(c->ctx, err);
    if (most > c->e->parallel) most = c->e->parallel;
    c->failed = SIZE_MAX;
    c->error.lang = err ? err->lang : GN_LANG_EN;
    atomic_init(&c->stop, false);
    pthread_mutex_init(&c->lock, NULL);
    gn__progress(c->ctx, GN_STAGE_EMBED, 0, c->wants);
    while (started + 1 < most && pthread_create(&thread[started], NULL, work, c) == 0) started++;
    work(c);
    for (size_t i = 0; i < started; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&c->lock);
    if (c->failed == SIZE_MAX) return gn__check_cancel(c->ctx, err);
    if (err != NULL) *err = c->error;
    return c->error.code;
}

static gn_status embed(gn_context *ctx, gn__endpoint *e, const char *const *text, const uint32_t *length,
                       size_t texts, float *out, gn_embed_stats *stats, gn_error *err)
{
    call c = {.ctx = ctx, .e = e, .text = text, .length = length};
    uint32_t *slot = gn__calloc(texts, sizeof *slot);
    wanted *want = gn__calloc(texts, sizeof *want);
    unsigned char *met = NULL; /* [slots] 1 once the call has it */
    gn_status status = slot == NULL || want == NULL ? gn__no_memory(err, texts * sizeof *want) : GN_OK;
    for (size_t i = 0; status == GN_OK && i < texts; i++)
        status = gn__pull_journal_slot(&e->journal, text[i], length[i], &slot[i], err);
    if (status != GN_OK) goto done;
    met = gn__calloc(e->journal.slot_of.count, 1);
    if (met == NULL) {
        status = gn__no_memory(err, e->journal.slot_of.count);
        goto done;
    }
    for (size_t i = 0; i < texts; i++) {
        if (met[slot[i]]) continue;
        met[slot[i]] = 1;
        stats->distinct++;
        if (!e->journal.have[slot[i]]) want[c.wants++] = (wanted){i, slot[i]};
    }
    c.want = want;
    GN__TRY_GOTO(run(&c, err), done);
    stats->tokens = c.tokens;
    for (size_t i = 0; i < texts; i++)
        memcpy(out + i * e->dim, e->journal.row + slot[i] * e->dim, e->dim * sizeof *out);
    gn__pull_journal_clear(&e->journal);
done:
    free(slot);
    free(want);
    free(met);
    return status;
}

gn_status gn__endpoint_embed(gn_context *ctx, gn__endpoint *e, const char *const *text,
                             const uint32_t *length, size_t texts, float *out, gn_embed_stats *stats,
                             gn_error *err)
{
    pthread_mutex_lock(&e->turn);
    gn_status status = embed(ctx, e, text, length, texts, out, stats, err);
    pthread_mutex_unlock(&e->turn);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static bool copy(char **to, const char *from)
{
    *to = gn__strdup(from);
    return from == NULL || *to != NULL;
}

/* The address takes no query: a key has no place there either. */
static gn_status set_address(gn__endpoint *e, const char *url, gn_error *err)
{
    size_t n = strlen(url);
    gn__buf b = {0};
    GN__TRY(gn__url_check(url, e->network.insecure_http, err));
    if (strpbrk(url, "?#") != NULL)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "an endpoint's URL has no query (\"?…\"); a key belongs in GENCHI_API_KEY");
    while (n > 0 && url[n - 1] == '/') n--;
    gn__buf_append(&b, url, n);
    gn__buf_puts(&b, "/embeddings");
    e->post = b.failed ? NULL : b.data;
    if (b.failed) gn__buf_free(&b);
    return e->post && copy(&e->url, url) ? GN_OK : gn__no_memory(err, n);
}

static gn_status learn_dim(gn_context *ctx, gn__endpoint *e, gn_error *err)
{
    static const char *const word = "genchi";
    const uint32_t length = 6;
    gn__http *h = NULL;
    gn__buf body = {0};
    float *rows = NULL;
    size_t tokens;
    long code;
    gn_status status = gn__http_open(ctx, &e->network, NULL, &h, err);
    if (status == GN_OK) status = make_request(e, &word, &length, 1, &body, err);
    if (status == GN_OK) status = ask(e, h, &body, 1, &e->dim, &rows, &tokens, &code, err);
    free(rows);
    gn__buf_free(&body);
    gn__http_close(h);
    return status;
}

static gn_status open_journal(gn__endpoint *e, const char *folder, gn_error *err)
{
    gn__sha256 h;
    char text[64], identity[65];
    GN__TRY(gn__sha256_begin(&h, err));
    int n = snprintf(text, sizeof text, "\n%zu\n", e->dimensions);
    gn__sha256_update(&h, e->url, strlen(e->url));
    gn__sha256_update(&h, text, (size_t)n);
    gn__sha256_update(&h, e->model, strlen(e->model));
    gn__sha256_end(&h, identity);
    gn__buf path = {0};
    if (folder != NULL) gn__buf_printf(&path, "%s/%s.vectors", folder, identity);
    if (path.failed) return gn__no_memory(err, 64);
    /* a folder that cannot be made is like a file that cannot be: done without */
    if (folder != NULL) (void)gn__make_directory(folder, NULL);
    gn_status status = gn__pull_journal_open(path.data, identity, e->dim, &e->journal, err);
    gn__buf_free(&path);
    return status;
}

gn_status gn__endpoint_open(gn_context *ctx, const char *url, const gn_endpoint_options *options,
                            gn__endpoint **out, gn_error *err)
{
    gn__endpoint *e = gn__calloc(1, sizeof *e);
    if (e == NULL) return gn__no_memory(err, sizeof *e);
    e->batch = options->batch ? options->batch : DEFAULT_BATCH;
    if (e->batch > MAX_BATCH) e->batch = MAX_BATCH;
    e->parallel = options->parallel ? options->parallel : DEFAULT_PARALLEL;
    if (e->parallel > MAX_PARALLEL) e->parallel = MAX_PARALLEL;
    e->dimensions = options->dimensions;
    e->time_limit = options->time_limit > 0 ? options->time_limit : 120;
    e->network = options->network;
    e->journal.fd = -1;
    pthread_mutex_init(&e->turn, NULL);
    gn_status status = set_address(e, url, err);
    if (status == GN_OK &&
        (!copy(&e->model, options->model) || !copy(&e->key, options->key) ||
         !copy(&e->proxy, options->network.proxy) || !copy(&e->no_proxy, options->network.no_proxy) ||
         !copy(&e->ca_file, options->network.ca_file)))
        status = gn__no_memory(err, 64);
    e->network.proxy = e->proxy;
    e->network.no_proxy = e->no_proxy;
    e->network.ca_file = e->ca_file;
    if (status == GN_OK) status = learn_dim(ctx, e, err);
    if (status == GN_OK) status = open_journal(e, options->journal, err);
    if (status == GN_OK)
        *out = e;
    else
        gn__endpoint_close(e);
    return status;
}

void gn__endpoint_close(gn__endpoint *e)
{
    if (e == NULL) return;
    gn__pull_journal_close(&e->journal);
    pthread_mutex_destroy(&e->turn);
    if (e->key != NULL) explicit_bzero(e->key, strlen(e->key));
    free(e->url);
    free(e->post);
    free(e->model);
    free(e->key);
    free(e->proxy);
    free(e->no_proxy);
    free(e->ca_file);
    free(e);
}

size_t gn__endpoint_dim(const gn__endpoint *e)
{
    return e->dim;
}
