/* One HTTP request after another over libcurl: who may be asked, redirects, limits, waiting. */
#ifndef GENCHI_HUB_HTTP_H
#define GENCHI_HUB_HTTP_H

#include "core/core.h"
#include "genchi/hub.h"

#include <stdatomic.h>

typedef struct gn__http_answer {
    long status;
    char etag[200], linked_etag[200]; /* without quotes and W/; empty: none */
    bool weak;                        /* the ETag was */
    char commit[80], error_code[80];  /* X-Repo-Commit, X-Error-Code */
    char location[4096];              /* of a redirect that was not followed */
    int64_t length, linked_size;      /* Content-Length, X-Linked-Size; -1: not said */
    int64_t range_from;               /* Content-Range; -1: none */
    double retry_after;               /* seconds */
    bool foreign;                     /* came from another origin than was asked */
    gn__buf body;                     /* what no sink took */
} gn__http_answer;

/* Takes the bytes of an answer 200 or 206; false ends the transfer. Only called once the headers are all
 * there. */
typedef bool (*gn__http_sink)(void *arg, const gn__http_answer *a, const char *data, size_t n);

typedef struct gn__http_request {
    const char *url;
    const char *bearer; /* goes to the url's own origin only */
    const char *post;   /* JSON; NULL: a GET, or a HEAD */
    size_t post_length;
    bool head;            /* a redirect to another origin is not followed: its headers are the answer */
    uint64_t from;        /* first byte wanted */
    const char *if_range; /* ETag under which `from` holds; NULL: none */
    size_t body_limit;    /* of answer.body; 0: 64 KiB */
    double time_limit;    /* seconds for the whole; 0: none, only the stall counts */
    gn__http_sink sink;
    void *arg;
} gn__http_request;

typedef struct gn__http gn__http;

/* One connection's worth; for one thread at a time. stop: ends transfers like a cancellation once it is true;
 * may be NULL. */
gn_status gn__http_open(gn_context *ctx, const gn_network *network, const atomic_bool *stop, gn__http **out,
                        gn_error *err);
void gn__http_close(gn__http *h);
/* GN_OK: the server answered, whatever its status. GN_IO: it did not, or the answer was cut.
 * GN_INVALID_ARGUMENT: a url that is not allowed. GN_FORMAT: a redirect to nowhere or to where may not be
 * gone, an answer beyond its limit, or a certificate that cannot be trusted. GN_CANCELLED. The answer is
 * valid in every case, and freed by gn__http_answer_free. */
gn_status gn__http_send(gn__http *h, const gn__http_request *request, gn__http_answer *out, gn_error *err);
void gn__http_answer_free(gn__http_answer *a);

/* Whether http(s)://… may be asked; no user or password in it. */
gn_status gn__url_check(const char *url, bool insecure_http, gn_error *err);

/* The caller cancelled, or `stop` is set. */
bool gn__http_stopped(const gn__http *h);

/* 408, 429, 5xx except 501: worth another try. */
bool gn__http_passing(long status);
/* Counts tries; a zeroed struct begins. Sleeps as gn_network says and returns GN_OK, or GN_CANCELLED; GN_IO,
 * without touching err: enough tried. */
gn_status gn__http_wait(gn__http *h, unsigned *tries, double retry_after, gn_error *err);

#endif
