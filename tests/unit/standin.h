/* A small HTTP/1.1 server on the loopback for tests: a thread a connection, one request each. */
#ifndef GENCHI_TESTS_STANDIN_H
#define GENCHI_TESTS_STANDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct standin_request {
    char method[8], path[2048];  /* the path as sent, query included */
    char host[256], bearer[256]; /* empty: none */
    char if_range[256];
    int64_t from; /* of Range: bytes=N-; -1: none */
    char *body;   /* NUL-terminated */
    size_t length;
} standin_request;

typedef struct standin_reply {
    int status;
    char headers[4096]; /* whole lines, each with \r\n */
    const void *body;   /* valid until the server stops */
    size_t length;
    bool owned;        /* body is free()d */
    size_t cut_after;  /* closes the connection after so many bytes of the body; 0: does not */
    bool silent;       /* sends nothing at all and closes */
    unsigned delay_ms; /* before the answer */
    unsigned pause_ms; /* after every 1000 bytes */
} standin_reply;

/* Called for one request at a time. */
typedef void (*standin_handler)(void *arg, const standin_request *q, standin_reply *a);

typedef struct standin standin;
standin *standin_start(standin_handler handler, void *arg); /* ends the program where it cannot */
int standin_port(const standin *s);
unsigned standin_requests(standin *s); /* answered so far */
unsigned standin_busiest(standin *s);  /* the most that were being answered at one time */
void standin_stop(standin *s);

/* Appends a header line. */
void standin_header(standin_reply *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
