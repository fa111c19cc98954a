#include "standin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct standin {
    int fd, port;
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned open, answered, busy, busiest; /* guarded by lock */
    volatile bool quit;
    standin_handler handler;
    void *arg;
};

typedef struct connection {
    standin *server;
    int fd;
} connection;

static void nap(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static bool send_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void take_header(standin_request *q, char *line)
{
    char *value = strchr(line, ':');
    if (value == NULL) return;
    *value++ = '\0';
    while (*value == ' ') value++;
    if (strcasecmp(line, "host") == 0) snprintf(q->host, sizeof q->host, "%s", value);
    if (strcasecmp(line, "if-range") == 0) snprintf(q->if_range, sizeof q->if_range, "%s", value);
    if (strcasecmp(line, "authorization") == 0 && strncmp(value, "Bearer ", 7) == 0)
        snprintf(q->bearer, sizeof q->bearer, "%s", value + 7);
    if (strcasecmp(line, "range") == 0 && strncmp(value, "bytes=", 6) == 0) q->from = atoll(value + 6);
    if (strcasecmp(line, "content-length") == 0) q->length = (size_t)atoll(value);
}

/* Reads one request; false where the other side closed first. */
static bool read_request(int fd, standin_request *q)
{
    char head[16384];
    size_t n = 0;
    char *end = NULL;
    *q = (standin_request){.from = -1};
    while (end == NULL) {
        ssize_t got = n + 1 < sizeof head ? recv(fd, head + n, sizeof head - 1 - n, 0) : 0;
        if (got <= 0) return false;
        n += (size_t)got;
        head[n] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    char *body = end + 4;
    size_t have = n - (size_t)(body - head);
    *end = '\0';
    char *line = strtok_r(head, "\r\n", &end);
    if (line == NULL || sscanf(line, "%7s %2047s", q->method, q->path) != 2) return false;
    while ((line = strtok_r(NULL, "\r\n", &end)) != NULL) take_header(q, line);
    q->body = calloc(q->length + 1, 1);
    if (q->body == NULL) return false;
    memcpy(q->body, body, have < q->length ? have : q->length);
    while (have < q->length) {
        ssize_t got = recv(fd, q->body + have, q->length - have, 0);
        if (got <= 0) return false;
        have += (size_t)got;
    }
    return true;
}

static void answer(standin *s, int fd, const standin_request *q, const standin_reply *a)
{
    char head[8192];
    nap(a->delay_ms);
    if (a->silent) return;
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n", a->status,
                     a->headers, a->length);
    if (!send_all(fd, head, (size_t)n) || strcmp(q->method, "HEAD") == 0) return;
    size_t length = a->cut_after > 0 && a->cut_after < a->length ? a->cut_after : a->length;
    for (size_t at = 0; at < length && !s->quit;) {
        size_t k = a->pause_ms > 0 && length - at > 1000 ? 1000 : length - at;
        if (!send_all(fd, (const char *)a->body + at, k)) return;
        at += k;
        nap(a->pause_ms);
    }
}

static void *serve(void *arg)
{
    connection c = *(connection *)arg;
    standin *s = c.server;
    standin_request q;
    free(arg);
    if (read_request(c.fd, &q)) {
        standin_reply a = {.status = 200};
        pthread_mutex_lock(&s->lock);
        s->handler(s->arg, &q, &a);
        s->answered++;
        if (++s->busy > s->busiest) s->busiest = s->busy;
        pthread_mutex_unlock(&s->lock);
        answer(s, c.fd, &q, &a);
        pthread_mutex_lock(&s->lock);
        s->busy--;
        pthread_mutex_unlock(&s->lock);
        if (a.owned) free((void *)(uintptr_t)a.body);
    }
    free(q.body);
    shutdown(c.fd, SHUT_RDWR);
    close(c.fd);
    pthread_mutex_lock(&s->lock);
    if (--s->open == 0) pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void *accept_all(void *arg)
{
    standin *s = arg;
    while (!s->quit) {
        struct pollfd p = {s->fd, POLLIN, 0};
        if (poll(&p, 1, 50) <= 0) continue;
        connection *c = malloc(sizeof *c);
        pthread_t t;
        if (c == NULL) break;
        *c = (connection){s, accept(s->fd, NULL, NULL)};
        pthread_mutex_lock(&s->lock);
        s->open++;
        pthread_mutex_unlock(&s->lock);
        if (c->fd >= 0 && pthread_create(&t, NULL, serve, c) == 0) {
            pthread_detach(t);
            continue;
        }
        pthread_mutex_lock(&s->lock);
        s->open--;
        pthread_mutex_unlock(&s->lock);
        free(c);
    }
    return NULL;
}

standin *standin_start(standin_handler handler, void *arg)
{
    standin *s = calloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    if (s == NULL) exit(2);
    *s = (standin){.handler = handler, .arg = arg};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(s->fd, 64) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&a, &n) != 0 ||
        pthread_create(&s->acceptor, NULL, accept_all, s) != 0) {
        perror("stand-in server");
        exit(2);
    }
    s->port = ntohs(a.sin_port);
    return s;
}

int standin_port(const standin *s)
{
    return s->port;
}

unsigned standin_requests(standin *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->answered;
    pthread_mutex_unlock(&s->lock);
    return n;
}

unsigned standin_busiest(standin *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->busiest;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void standin_stop(standin *s)
{
    s->quit = true;
    pthread_join(s->acceptor, NULL);
    pthread_mutex_lock(&s->lock);
    while (s->open > 0) pthread_cond_wait(&s->idle, &s->lock);
    pthread_mutex_unlock(&s->lock);
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->idle);
    free(s);
}

void standin_header(standin_reply *a, const char *format, ...)
{
    size_t used = strlen(a->headers);
    va_list args;
    va_start(args, format);
    vsnprintf(a->headers + used, sizeof a->headers - used, format, args);
    va_end(args);
    used = strlen(a->headers);
    snprintf(a->headers + used, sizeof a->headers - used, "\r\n");
}
