/* A whole model: the list, then several files at once. */
#include "hub/fetch.h"

#include <pthread.h>
#include <stdio.h>

enum { DEFAULT_PARALLEL = 4, MAX_PARALLEL = 32, LIST_LIMIT = 32 << 20 };

#define DEFAULT_ENDPOINT "https://huggingface.co"

typedef struct pull {
    gn_context *ctx;
    const gn_hub_options *options;
    const char *endpoint;
    gn__hub_name name;
    gn__listing list;
    atomic_bool stop; /* a file failed: the others need not go on */
    pthread_mutex_t lock;
    size_t next;          /* guarded by lock, as are the rest */
    size_t total, done;   /* bytes */
    gn__fetched *fetched; /* [list.files] */
    size_t failed;        /* the lowest file that did; SIZE_MAX: none */
    gn_error error;
} pull;

static void on_bytes(void *arg, int64_t bytes)
{
    pull *p = arg;
    pthread_mutex_lock(&p->lock);
    p->done = bytes < 0 && (size_t)-bytes > p->done ? 0 : p->done + (size_t)bytes;
    size_t done = p->done, total = p->total > done ? p->total : done;
    pthread_mutex_unlock(&p->lock);
    gn__progress(p->ctx, GN_STAGE_DOWNLOAD, done, total);
}

static bool take_next(pull *p, size_t *file)
{
    pthread_mutex_lock(&p->lock);
    *file = p->next;
    bool more = p->next < p->list.files && !atomic_load(&p->stop);
    if (more) p->next++;
    pthread_mutex_unlock(&p->lock);
    return more;
}

/* Files stopped because another failed say nothing of their own. */
static void note(pull *p, size_t file, const gn_error *error)
{
    pthread_mutex_lock(&p->lock);
    bool own = error->code != GN_CANCELLED || gn__cancelled(p->ctx);
    if (own && file < p->failed) {
        p->error = *error;
        p->failed = file;
    }
    pthread_mutex_unlock(&p->lock);
    atomic_store(&p->stop, true);
}

static void *work(void *arg)
{
    pull *p = arg;
    size_t file;
    gn_error err = {.lang = p->error.lang};
    gn__fetch f = {.name = &p->name,
                   .endpoint = p->endpoint,
                   .token = p->options->token,
                   .commit = p->list.commit,
                   .progress = on_bytes,
                   .arg = p};
    if (gn__http_open(p->ctx, &p->options->network, &p->stop, &f.http, &err) != GN_OK) {
        note(p, 0, &err);
        return NULL;
    }
    while (take_next(p, &file)) {
        gn_status status = gn__fetch_file(&f, &p->list.file[file], &p->fetched[file], &err);
        if (status == GN_OK)
            status = gn__cache_link(&p->name, p->list.commit, p->list.file[file].path, p->fetched[file].etag,
                                    &err);
        if (status != GN_OK) note(p, file, &err);
    }
    gn__http_close(f.http);
    return NULL;
}

static gn_status fetch_all(pull *p, gn_error *err)
{
    pthread_t thread[MAX_PARALLEL];
    size_t wanted = p->options->parallel ? p->options->parallel : DEFAULT_PARALLEL, started = 0;
    if (wanted > MAX_PARALLEL) wanted = MAX_PARALLEL;
    if (wanted > p->list.files) wanted = p->list.files;
    p->failed = SIZE_MAX;
    p->error.lang = err ? err->lang : GN_LANG_EN;
    for (size_t i = 0; i < p->list.files; i++)
        if (p->list.file[i].size > 0) p->total += (size_t)p->list.file[i].size;
    gn__progress(p->ctx, GN_STAGE_DOWNLOAD, 0, p->total);
    while (started + 1 < wanted && pthread_create(&thread[started], NULL, work, p) == 0) started++;
    work(p); /* this thread too */
    for (size_t i = 0; i < started; i++) pthread_join(thread[i], NULL);
    if (p->failed == SIZE_MAX) return gn__check_cancel(p->ctx, err);
    if (err != NULL) *err = p->error;
    return p->error.code;
}

static gn_status ask_list(pull *p, gn_error *err)
{
    gn__http *h = NULL;
    gn__http_answer a = {0};
    char *url = gn__hub_url(p->endpoint, p->name.repo, p->name.revision, NULL);
    if (url == NULL) return gn__no_memory(err, 64);
    gn__http_request r = {.url = url, .bearer = p->options->token, .body_limit = LIST_LIMIT};
    gn_status status = gn__http_open(p->ctx, &p->options->network, NULL, &h, err);
    for (unsigned tries = 0; status == GN_OK;) {
        gn_error first = {.lang = err ? err->lang : GN_LANG_EN};
        gn_status sent = gn__http_send(h, &r, &a, &first);
        if (sent == GN_OK && a.status == 200) {
            status =
                gn__listing_read(p->name.repo, a.body.data ? a.body.data : "", a.body.length, &p->list, err);
            break;
        }
        gn_status waited = GN_IO;
        if (sent == GN_IO || (sent == GN_OK && gn__http_passing(a.status)))
            waited = gn__http_wait(h, &tries, a.retry_after, err);
        if (waited == GN_IO && sent == GN_OK) {
            status = gn__hub_refusal(&a, p->name.repo, p->name.revision, NULL, p->endpoint,
                                     p->options->token != NULL, err);
        } else if (waited == GN_IO) {
            if (err != NULL) *err = first;
            status = sent;
        } else {
            status = waited;
        }
        gn__http_answer_free(&a);
    }
    gn__http_answer_free(&a);
    gn__http_close(h);
    free(url);
    return status;
}

static gn_status fill_result(const pull *p, gn_hub_pulled *out, gn_error *err)
{
    char *snapshots = gn__path_join(p->name.folder, "snapshots");
    *out = (gn_hub_pulled){.files = p->list.files};
    memcpy(out->commit, p->list.commit, sizeof out->commit);
    if (snapshots != NULL) out->directory = gn__path_join(snapshots, p->list.commit);
    free(snapshots);
    for (size_t i = 0; i < p->list.files; i++) {
        out->downloaded += !p->fetched[i].was_there;
        out->bytes += p->fetched[i].bytes;
    }
    return out->directory ? GN_OK : gn__no_memory(err, 64);
}

gn_status gn_hub_pull(gn_context *ctx, const char *name, const gn_hub_options *options, gn_hub_pulled *out,
                      gn_error *err)
{
    pull p = {
        .ctx = ctx, .options = options, .endpoint = options->endpoint ? options->endpoint : DEFAULT_ENDPOINT};
    gn_status status = gn__hub_name_parse(name, options->cache, &p.name, err);
    atomic_init(&p.stop, false);
    pthread_mutex_init(&p.lock, NULL);
    if (status != GN_OK) goto done;
    if (options->offline) {
        status = gn__fail(err, GN_UNSUPPORTED,
                          "%s cannot be downloaded: the hub is switched off (HF_HUB_OFFLINE)", name);
        goto done;
    }
    GN__TRY_GOTO(gn__url_check(p.endpoint, options->network.insecure_http, err), done);
    GN__TRY_GOTO(ask_list(&p, err), done);
    p.fetched = gn__calloc(p.list.files, sizeof *p.fetched);
    if (p.fetched == NULL) {
        status = gn__no_memory(err, p.list.files * sizeof *p.fetched);
        goto done;
    }
    GN__TRY_GOTO(fetch_all(&p, err), done);
    GN__TRY_GOTO(gn__cache_set_ref(&p.name, p.list.commit, err), done);
    status = fill_result(&p, out, err);
done:
    pthread_mutex_destroy(&p.lock);
    free(p.fetched);
    gn__listing_free(&p.list);
    gn__hub_name_free(&p.name);
    return status;
}

void gn_hub_pulled_free(gn_hub_pulled *p)
{
    free(p->directory);
    *p = (gn_hub_pulled){0};
}
