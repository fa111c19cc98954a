#include "hub/http.h"

#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

enum { MAX_HOPS = 10, BODY_LIMIT = 64 * 1024, DEFAULT_TRIES = 6, CONNECT_SECONDS = 20 };

struct gn__http {
    gn_context *ctx;
    gn_network network;
    const atomic_bool *stop;
    CURL *curl;
};

/* One hop of one request, for the callbacks. */
typedef struct hop {
    gn__http *h;
    const gn__http_request *request;
    gn__http_answer *answer;
    bool too_long, sink_refused;
} hop;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global;

static void start_curl(void)
{
    global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- who may be asked --------------------------------------------------------------------------- */

typedef struct origin {
    char *scheme, *host, *port;
    bool user; /* a user or password stood in the URL */
} origin;

static void origin_free(origin *o)
{
    curl_free(o->scheme);
    curl_free(o->host);
    curl_free(o->port);
    *o = (origin){0};
}

static bool origin_read(CURLU *url, origin *o)
{
    char *part = NULL;
    *o = (origin){0};
    bool good = curl_url_get(url, CURLUPART_SCHEME, &o->scheme, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &o->host, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_PORT, &o->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (curl_url_get(url, CURLUPART_USER, &part, 0) == CURLUE_OK) o->user = true;
    curl_free(part);
    part = NULL;
    if (curl_url_get(url, CURLUPART_PASSWORD, &part, 0) == CURLUE_OK) o->user = true;
    curl_free(part);
    return good;
}

static bool same_origin(const origin *a, const origin *b)
{
    return strcasecmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

static bool is_loopback(const char *host)
{
    unsigned part[4];
    int end = 0;
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) return true;
    return sscanf(host, "%3u.%3u.%3u.%3u%n", &part[0], &part[1], &part[2], &part[3], &end) == 4 &&
           host[end] == '\0' && part[0] == 127;
}

/* NULL: may be asked; else why not, an English format for the URL. */
static const char *objection(const origin *o, bool insecure_http)
{
    if (o->user) return "%s: a user name or password has no place in a URL";
    if (strcasecmp(o->scheme, "https") == 0) return NULL;
    if (strcasecmp(o->scheme, "http") != 0) return "%s: only https:// and http:// are spoken";
    if (insecure_http || is_loopback(o->host)) return NULL;
    return "%s: plain http is spoken with this machine only; use https (or allow it with --insecure-http)";
}

/* A URL without what may be secret in it: user, query, fragment. */
static void shown(const char *url, char *out, size_t size)
{
    const char *begin = strstr(url, "://"), *at;
    begin = begin != NULL ? begin + 3 : url;
    size_t authority = strcspn(begin, "/?#");
    at = memchr(begin, '@', authority);
    const char *rest = at != NULL ? at + 1 : begin;
    snprintf(out, size, "%.*s%.*s", (int)(begin - url), url, (int)strcspn(rest, "?#"), rest);
}

gn_status gn__url_check(const char *url, bool insecure_http, gn_error *err)
{
    char name[300];
    origin o = {0};
    CURLU *u = curl_url();
    if (u == NULL) return gn__no_memory(err, 64);
    shown(url, name, sizeof name);
    gn_status status = GN_OK;
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK || !origin_read(u, &o)) {
        status = gn__fail(err, GN_INVALID_ARGUMENT, "%s is not a URL", name);
    } else {
        const char *why = objection(&o, insecure_http);
        if (why != NULL) status = gn__fail(err, GN_INVALID_ARGUMENT, why, name);
    }
    origin_free(&o);
    curl_url_cleanup(u);
    return status;
}

/* ---- answers --------------------------------------------------------------------------------------- */

static void take_text(const char *value, size_t n, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), value);
}

static void take_etag(const char *value, size_t n, char *out, size_t size, bool *weak)
{
    bool is_weak = n > 2 && value[0] == 'W' && value[1] == '/';
    if (is_weak) value += 2, n -= 2;
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') value++, n -= 2;
    if (weak != NULL) *weak = is_weak;
    take_text(value, n, out, size);
}

static int64_t take_number(const char *value, size_t n)
{
    int64_t x = 0;
    if (n == 0 || n > 18) return -1;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9') return -1;
        x = x * 10 + (value[i] - '0');
    }
    return x;
}

static double take_wait(const char *value, size_t n)
{
    char text[64];
    int64_t seconds = take_number(value, n);
    if (seconds >= 0) return (double)seconds;
    take_text(value, n, text, sizeof text);
    time_t when = curl_getdate(text, NULL);
    return when < 0 ? 0 : fmax(0, difftime(when, time(NULL)));
}

static void take_range(const char *value, size_t n, int64_t *from)
{
    static const char unit[] = "bytes ";
    const char *dash = memchr(value, '-', n);
    if (n <= sizeof unit || strncasecmp(value, unit, sizeof unit - 1) != 0 || dash == NULL) return;
    *from = take_number(value + sizeof unit - 1, (size_t)(dash - value) - (sizeof unit - 1));
}

static void take_header(gn__http_answer *a, const char *name, size_t name_length, const char *v, size_t n)
{
    static const char *const names[] = {"etag",          "x-linked-etag", "x-repo-commit",
                                        "x-error-code",  "location",      "content-length",
                                        "x-linked-size", "content-range", "retry-after"};
    size_t which = 0, count = sizeof names / sizeof *names;
    while (which < count &&
           (strlen(names[which]) != name_length || strncasecmp(names[which], name, name_length) != 0))
        which++;
    switch (which) {
    case 0:
        take_etag(v, n, a->etag, sizeof a->etag, &a->weak);
        break;
    case 1:
        take_etag(v, n, a->linked_etag, sizeof a->linked_etag, NULL);
        break;
    case 2:
        take_text(v, n, a->commit, sizeof a->commit);
        break;
    case 3:
        take_text(v, n, a->error_code, sizeof a->error_code);
        break;
    case 4:
        take_text(v, n, a->location, sizeof a->location);
        break;
    case 5:
        a->length = take_number(v, n);
        break;
    case 6:
        a->linked_size = take_number(v, n);
        break;
    case 7:
        take_range(v, n, &a->range_from);
        break;
    case 8:
        a->retry_after = take_wait(v, n);
        break;
    default:
        break;
    }
}

/* What the hub says of a file stands on whichever hop of a redirect it stands; the rest is each hop's own. */
static void begin_hop(gn__http_answer *a)
{
    a->status = 0;
    a->etag[0] = a->error_code[0] = a->location[0] = '\0';
    a->weak = false;
    a->length = a->range_from = -1;
    a->retry_after = 0;
    a->body.length = 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    hop *p = arg;
    size_t n = size * count, length = n;
    if (n > 5 && strncmp(data, "HTTP/", 5) == 0) begin_hop(p->answer); /* also after a 100 Continue */
    const char *colon = memchr(data, ':', n);
    if (colon == NULL) return length;
    const char *value = colon + 1;
    n -= (size_t)(value - data);
    while (n > 0 && (*value == ' ' || *value == '\t')) value++, n--;
    while (n > 0 && strchr(" \t\r\n", value[n - 1]) != NULL) n--;
    take_header(p->answer, data, (size_t)(colon - data), value, n);
    return length;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    hop *p = arg;
    size_t n = size * count, limit = p->request->body_limit ? p->request->body_limit : BODY_LIMIT;
    if (p->answer->status == 0) curl_easy_getinfo(p->h->curl, CURLINFO_RESPONSE_CODE, &p->answer->status);
    long status = p->answer->status;
    if (status >= 300 && status < 400) return n;
    if (p->request->sink != NULL && (status == 200 || status == 206)) {
        p->sink_refused = !p->request->sink(p->request->arg, p->answer, data, n);
        return p->sink_refused ? 0 : n;
    }
    if (n > limit - p->answer->body.length) {
        if (status >= 400) return n; /* enough of an error's text */
        p->too_long = true;
        return 0;
    }
    gn__buf_append(&p->answer->body, data, n);
    return p->answer->body.failed ? 0 : n;
}

bool gn__http_stopped(const gn__http *h)
{
    return gn__cancelled(h->ctx) || (h->stop != NULL && atomic_load(h->stop));
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return gn__http_stopped(arg);
}

void gn__http_answer_free(gn__http_answer *a)
{
    gn__buf_free(&a->body);
    *a = (gn__http_answer){0};
}

/* ---- one request ------------------------------------------------------------------------------------- */

gn_status gn__http_open(gn_context *ctx, const gn_network *network, const atomic_bool *stop, gn__http **out,
                        gn_error *err)
{
    pthread_once(&once, start_curl);
    gn__http *h = gn__calloc(1, sizeof *h);
    if (h == NULL) return gn__no_memory(err, sizeof *h);
    *h = (gn__http){ctx, *network, stop, global == CURLE_OK ? curl_easy_init() : NULL};
    if (h->curl == NULL) {
        free(h);
        return gn__no_memory(err, sizeof *h);
    }
    *out = h;
    return GN_OK;
}

void gn__http_close(gn__http *h)
{
    if (h == NULL) return;
    curl_easy_cleanup(h->curl);
    free(h);
}

/* Proxies and hosts without one are set even where there are none: libcurl would ask the environment. */
static void set_network(const gn__http *h, const gn__http_request *r, bool direct)
{
    CURL *c = h->curl;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PROXY, h->network.proxy && !direct ? h->network.proxy : "");
    curl_easy_setopt(c, CURLOPT_NOPROXY, h->network.no_proxy ? h->network.no_proxy : "");
    if (h->network.ca_file != NULL) curl_easy_setopt(c, CURLOPT_CAINFO, h->network.ca_file);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "genchi/" GN_VERSION);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    double stall = h->network.stall > 0 ? h->network.stall : 30;
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)ceil(r->time_limit > 0 ? r->time_limit : stall));
    if (r->time_limit > 0) curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)ceil(r->time_limit * 1000));
}

static gn_status set_headers(const gn__http *h, const gn__http_request *r, bool with_bearer,
                             struct curl_slist **list, gn_error *err)
{
    gn__buf line = {0};
    bool good = true;
    const char *const fixed[] = {r->post ? "Content-Type: application/json" : NULL,
                                 r->post ? "Expect:" : NULL}; /* no wait for 100 Continue */
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed && good; i++) {
        if (fixed[i] == NULL) continue;
        struct curl_slist *more = curl_slist_append(*list, fixed[i]);
        good = more != NULL;
        if (good) *list = more;
    }
    const struct {
        bool wanted;
        const char *name, *value;
    } own[] = {{with_bearer && r->bearer != NULL, "Authorization: Bearer ", r->bearer},
               {r->from > 0 && r->if_range != NULL, "If-Range: ", r->if_range}};
    for (size_t i = 0; i < sizeof own / sizeof *own && good; i++) {
        if (!own[i].wanted) continue;
        const char *quote = i == 1 ? "\"" : "";
        line.length = 0;
        gn__buf_printf(&line, "%s%s%s%s", own[i].name, quote, own[i].value, quote);
        struct curl_slist *more = line.failed ? NULL : curl_slist_append(*list, line.data);
        good = more != NULL;
        if (good) *list = more;
    }
    if (line.data != NULL) memset(line.data, 0, line.length); /* no copy of a token stays behind */
    gn__buf_free(&line);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, *list);
    return good ? GN_OK : gn__no_memory(err, 64);
}

static gn_status send_hop(gn__http *h, const gn__http_request *r, const char *url, bool with_bearer,
                          bool direct, gn__http_answer *a, gn_error *err)
{
    CURL *c = h->curl;
    hop p = {.h = h, .request = r, .answer = a};
    struct curl_slist *headers = NULL;
    char range[40], problem[CURL_ERROR_SIZE] = "", name[300];
    curl_easy_reset(c); /* keeps the connections */
    set_network(h, r, direct);
    gn_status status = set_headers(h, r, with_bearer, &headers, err);
    if (status != GN_OK) {
        curl_slist_free_all(headers);
        return status;
    }
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_NOBODY, (long)r->head);
    if (r->post != NULL) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->post_length);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->post);
    }
    if (r->from > 0) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)r->from);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &p);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &p);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
    begin_hop(a);
    CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a->status);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    if (code == CURLE_OK) return GN_OK;
    shown(url, name, sizeof name);
    if (gn__http_stopped(h)) return gn__fail(err, GN_CANCELLED, "stopped at your request");
    if (a->body.failed) return gn__no_memory(err, a->body.length);
    if (p.too_long) return gn__fail(err, GN_FORMAT, "%s: the answer is longer than expected", name);
    if (p.sink_refused) return gn__fail(err, GN_FORMAT, "%s: the answer was not taken", name);
    const char *said = problem[0] ? problem : curl_easy_strerror(code);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_ISSUER_ERROR) /* no failure in passing: it would be the same again */
        return gn__fail(err, GN_FORMAT, "%s: the server's certificate cannot be trusted: %s", name, said);
    return gn__fail(err, GN_IO, "%s: %s", name, said);
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static gn_status follow(gn__http *h, const gn__http_request *r, CURLU *at, const origin *first,
                        gn__http_answer *a, gn_error *err)
{
    char name[300];
    for (int hops = 0; hops <= MAX_HOPS; hops++) {
        origin here = {0};
        char *url = NULL;
        if (!origin_read(at, &here) || curl_url_get(at, CURLUPART_URL, &url, 0) != CURLUE_OK) {
            origin_free(&here);
            return gn__no_memory(err, 64);
        }
        a->foreign = !same_origin(first, &here);
        shown(url, name, sizeof name);
        const char *why = objection(&here, h->network.insecure_http);
        gn_status status = GN_OK;
        if (a->foreign && r->head) { /* told by the headers that led here */
            origin_free(&here);
            curl_free(url);
            return GN_OK;
        }
        if (why != NULL)
            status = gn__fail(err, hops == 0 ? GN_INVALID_ARGUMENT : GN_FORMAT, why, name);
        else
            status = send_hop(h, r, url, !a->foreign, is_loopback(here.host), a, err);
        origin_free(&here);
        curl_free(url);
        if (status != GN_OK || !is_redirect(a->status)) return status;
        if (r->post != NULL)
            return gn__fail(err, GN_FORMAT, "%s answers with a redirect (HTTP %ld); give the URL it leads to",
                            name, a->status);
        if (a->location[0] == '\0' || strlen(a->location) == sizeof a->location - 1 ||
            curl_url_set(at, CURLUPART_URL, a->location, 0) != CURLUE_OK)
            return gn__fail(err, GN_FORMAT, "%s redirects to what is not a URL", name);
    }
    return gn__fail(err, GN_FORMAT, "%s redirects more than %d times", name, (int)MAX_HOPS);
}

gn_status gn__http_send(gn__http *h, const gn__http_request *request, gn__http_answer *out, gn_error *err)
{
    *out = (gn__http_answer){.length = -1, .linked_size = -1, .range_from = -1};
    GN__TRY(gn__url_check(request->url, h->network.insecure_http, err));
    for (const char *c = request->bearer ? request->bearer : ""; *c != '\0'; c++)
        if (*c <= 0x20 || *c >= 0x7F)
            return gn__fail(err, GN_INVALID_ARGUMENT,
                            "the token or key has a blank or a character outside ASCII in it");
    CURLU *at = curl_url();
    origin first = {0};
    gn_status status;
    if (at == NULL || curl_url_set(at, CURLUPART_URL, request->url, 0) != CURLUE_OK ||
        !origin_read(at, &first))
        status = gn__no_memory(err, 64);
    else
        status = follow(h, request, at, &first, out, err);
    origin_free(&first);
    curl_url_cleanup(at);
    return status;
}

/* ---- trying again ---------------------------------------------------------------------------------------
 */

bool gn__http_passing(long status)
{
    return status == 408 || status == 429 || (status >= 500 && status <= 599 && status != 501);
}

gn_status gn__http_wait(gn__http *h, unsigned *tries, double retry_after, gn_error *err)
{
    unsigned most = h->network.tries ? h->network.tries : DEFAULT_TRIES;
    double wait = h->network.wait > 0 ? h->network.wait : 0.5;
    if (++*tries >= most) return GN_IO;
    wait = fmin(ldexp(wait, (int)(*tries < 16 ? *tries - 1 : 15)), 60);
    wait = fmax(wait, fmin(retry_after, 300));
    for (double end = gn__now() + wait, left = wait; left > 0; left = end - gn__now()) {
        if (gn__http_stopped(h)) return gn__fail(err, GN_CANCELLED, "stopped at your request");
        struct timespec t = {0, (long)(fmin(left, 0.05) * 1e9)};
        nanosleep(&t, NULL);
    }
    return GN_OK;
}
