/* https against a server with a certificate authority of its own: what is trusted, and what is refused before
 * a byte of the request is sent. */
#include "core/core.h"
#include "genchi/model.h"
#include "standin.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

static gn_error error;

/* ---- certificates ------------------------------------------------------------------------------------- */

typedef struct identity {
    EVP_PKEY *key;
    X509 *certificate;
} identity;

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(e != NULL && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

/* Valid from `from` to `to` seconds from now. by NULL: an authority that signs itself; names: of the server.
 */
static identity certify(const identity *by, const char *name, const char *names, long from, long to)
{
    static long serial = 1;
    identity id = {EVP_EC_gen("P-256"), X509_new()};
    CHECK(id.key != NULL && id.certificate != NULL);
    X509 *x = id.certificate;
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), to);
    X509_set_pubkey(x, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(by ? by->certificate : x));
    extend(x, by ? by->certificate : x, NID_basic_constraints, by ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (by == NULL) extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (names != NULL) extend(x, by->certificate, NID_subject_alt_name, names);
    CHECK(X509_sign(x, by ? by->key : id.key, EVP_sha256()) > 0);
    return id;
}

static void forget(identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->certificate);
}

static const char *pem_of(const identity *id, const char *name)
{
    static char path[4][1200];
    static int at;
    char *p = path[at++ % 4];
    snprintf(p, sizeof path[0], "%s/%s.pem", test_folder(), name);
    FILE *f = fopen(p, "w");
    CHECK(f != NULL && PEM_write_X509(f, id->certificate) == 1);
    fclose(f);
    return p;
}

/* ---- TLS in front of a stand-in ----------------------------------------------------------------------- */

typedef struct front {
    SSL_CTX *ctx;
    int listener, port, behind;
    atomic_uint shaken; /* handshakes that were finished */
    atomic_bool stop;
    pthread_t thread;
} front;

static int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* Bytes in both directions until one side ends; the stand-in answers one request a connection. */
static void pump(SSL *ssl, int client, int server)
{
    char b[16384];
    for (bool open = true; open;) {
        struct pollfd p[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
        if (SSL_pending(ssl) == 0 && poll(p, 2, 5000) <= 0) return;
        if (SSL_pending(ssl) > 0 || p[0].revents != 0) {
            int n = SSL_read(ssl, b, sizeof b);
            open = n > 0 && send(server, b, (size_t)n, MSG_NOSIGNAL) == n;
        }
        if (open && p[1].revents != 0) {
            ssize_t n = recv(server, b, sizeof b, 0);
            open = n > 0 && SSL_write(ssl, b, (int)n) == (int)n;
        }
    }
}

static void *serve(void *arg)
{
    front *f = arg;
    while (!atomic_load(&f->stop)) {
        struct pollfd p = {f->listener, POLLIN, 0};
        if (poll(&p, 1, 50) <= 0) continue;
        int client = accept(f->listener, NULL, NULL);
        if (client < 0) continue;
        SSL *ssl = SSL_new(f->ctx);
        SSL_set_fd(ssl, client);
        if (SSL_accept(ssl) == 1) {
            int server = connect_to(f->behind);
            atomic_fetch_add(&f->shaken, 1);
            pump(ssl, client, server);
            close(server);
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        close(client);
    }
    return NULL;
}

static front *front_start(const identity *id, int behind, int version)
{
    front *f = calloc(1, sizeof *f);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    signal(SIGPIPE, SIG_IGN); /* a client that refuses closes before the server has said all */
    f->behind = behind;
    f->ctx = SSL_CTX_new(TLS_server_method());
    CHECK(SSL_CTX_use_certificate(f->ctx, id->certificate) == 1 &&
          SSL_CTX_use_PrivateKey(f->ctx, id->key) == 1);
    if (version != 0) {
        SSL_CTX_set_security_level(f->ctx, 0); /* this library, too, would rather not */
        SSL_CTX_set_min_proto_version(f->ctx, version);
        SSL_CTX_set_max_proto_version(f->ctx, version);
    }
    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(f->listener >= 0 && bind(f->listener, (struct sockaddr *)&a, sizeof a) == 0 &&
          listen(f->listener, 16) == 0 && getsockname(f->listener, (struct sockaddr *)&a, &n) == 0);
    f->port = ntohs(a.sin_port);
    CHECK(pthread_create(&f->thread, NULL, serve, f) == 0);
    return f;
}

static unsigned front_stop(front *f)
{
    unsigned shaken = atomic_load(&f->shaken);
    atomic_store(&f->stop, true);
    pthread_join(f->thread, NULL);
    close(f->listener);
    SSL_CTX_free(f->ctx);
    free(f);
    return shaken;
}

static void answer(void *arg, const standin_request *q, standin_reply *a)
{
    static const char body[] = "{\"data\": [{\"index\": 0, \"embedding\": [1, 2, 3]}]}";
    snprintf(arg, 300, "%s", q->bearer);
    a->status = 200;
    a->body = body;
    a->length = sizeof body - 1;
}

/* What comes of asking for an embedding; requests: that reached the server behind TLS. */
static gn_status ask(const identity *id, const char *host, const char *ca_file, int version,
                     unsigned *requests, char bearer[300])
{
    gn_context *ctx = NULL;
    gn_model *m = NULL;
    char url[100];
    bearer[0] = '\0';
    standin *s = standin_start(answer, bearer);
    front *f = front_start(id, standin_port(s), version);
    snprintf(url, sizeof url, "https://%s:%d/v1", host, f->port);
    /* a bad certificate must not be asked twice, which the wait would show; a broken handshake is */
    double wait = version == TLS1_1_VERSION ? 0.01 : 5;
    gn_endpoint_options e = {
        .model = "x", .key = "sk-1", .network = {.ca_file = ca_file, .tries = 4, .wait = wait}};
    gn_model_options o = {.endpoint = &e};
    error = (gn_error){0};
    CHECK_OK(gn_context_create(NULL, &ctx, &error), error);
    gn_status status = gn_model_load(ctx, url, &o, &m, &error);
    if (status == GN_OK) CHECK_INT(gn_model_get_info(m)->dim, 3);
    gn_model_free(m);
    gn_context_free(ctx);
    front_stop(f);
    *requests = standin_requests(s);
    standin_stop(s);
    return status;
}

TEST(a_certificate_is_trusted_or_nothing_is_sent)
{
    enum { DAY = 86400 };
    static const char both[] = "IP:127.0.0.1,DNS:localhost";
    identity ca = certify(NULL, "our authority", NULL, -DAY, DAY);
    identity other = certify(NULL, "another authority", NULL, -DAY, DAY);
    struct {
        identity id;
        const char *host, *trusted;
        int version;
        gn_status status;
        const char *words;
    } cases[] = {
        {certify(&ca, "localhost", both, -DAY, DAY), "localhost", pem_of(&ca, "ca"), 0, GN_OK, ""},
        {certify(&ca, "localhost", both, -DAY, DAY), "127.0.0.1", pem_of(&ca, "ca"), 0, GN_OK, ""},
        {certify(&ca, "localhost", both, -DAY, DAY), "localhost", NULL, 0, GN_FORMAT, "certificate"},
        {certify(&other, "localhost", both, -DAY, DAY), "localhost", pem_of(&ca, "ca"), 0, GN_FORMAT,
         "certificate"},
        {certify(&ca, "localhost", "DNS:example.org", -DAY, DAY), "localhost", pem_of(&ca, "ca"), 0,
         GN_FORMAT, "localhost"},
        {certify(&ca, "localhost", "DNS:localhost", -DAY, DAY), "127.0.0.1", pem_of(&ca, "ca"), 0, GN_FORMAT,
         "127.0.0.1"},
        {certify(&ca, "localhost", both, -2 * DAY, -DAY), "localhost", pem_of(&ca, "ca"), 0, GN_FORMAT,
         "expired"},
        {certify(&ca, "localhost", both, DAY, 2 * DAY), "localhost", pem_of(&ca, "ca"), 0, GN_FORMAT,
         "not yet valid"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bearer[300];
        unsigned requests;
        double start = gn__now();
        gn_status status =
            ask(&cases[i].id, cases[i].host, cases[i].trusted, cases[i].version, &requests, bearer);
        if (status != cases[i].status)
            test_fail(__FILE__, __LINE__, "case %zu: %s: %s", i, gn_status_text(status), error.message);
        CHECK_HAS(error.message, cases[i].words);
        CHECK_INT(requests, status == GN_OK ? 1 : 0);
        CHECK_STR(bearer, status == GN_OK ? "sk-1" : "");
        CHECK(gn__now() - start < 5); /* not tried again: the certificate would be the same */
        forget(&cases[i].id);
    }
    forget(&ca);
    forget(&other);
}

TEST(old_protocols_are_not_spoken)
{
    identity ca = certify(NULL, "our authority", NULL, -1000, 1000);
    identity id = certify(&ca, "localhost", "DNS:localhost", -1000, 1000);
    char bearer[300];
    unsigned requests;
    CHECK_OK(ask(&id, "localhost", pem_of(&ca, "ca"), TLS1_2_VERSION, &requests, bearer), error);
    CHECK_INT(requests, 1);
    gn_status status = ask(&id, "localhost", pem_of(&ca, "ca"), TLS1_1_VERSION, &requests, bearer);
    CHECK(status != GN_OK);
    CHECK_INT(requests, 0);
    forget(&id);
    forget(&ca);
}

/* The same way leads to the hub. */
TEST(the_hub_is_held_to_it_too)
{
    gn_context *ctx = NULL;
    identity ca = certify(NULL, "our authority", NULL, -1000, 1000);
    identity id = certify(&ca, "localhost", "DNS:localhost", -1000, 1000);
    char bearer[300] = "", url[100];
    standin *s = standin_start(answer, bearer);
    front *f = front_start(&id, standin_port(s), 0);
    snprintf(url, sizeof url, "https://localhost:%d", f->port);
    gn_hub_options o = {
        .cache = test_folder(), .endpoint = url, .token = "hf_1", .network = {.tries = 4, .wait = 5}};
    gn_hub_pulled pulled;
    error = (gn_error){0};
    CHECK_OK(gn_context_create(NULL, &ctx, &error), error);
    CHECK_INT(gn_hub_pull(ctx, "org/name", &o, &pulled, &error), GN_FORMAT);
    CHECK_HAS(error.message, "certificate");
    CHECK_INT(standin_requests(s), 0);
    CHECK_STR(bearer, "");
    o.network.ca_file = pem_of(&ca, "ca");
    CHECK(gn_hub_pull(ctx, "org/name", &o, &pulled, &error) != GN_OK); /* what the stand-in says is no list */
    CHECK(standin_requests(s) > 0);
    CHECK_STR(bearer, "hf_1");
    front_stop(f);
    standin_stop(s);
    gn_context_free(ctx);
    forget(&id);
    forget(&ca);
}
