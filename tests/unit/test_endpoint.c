/* An embeddings server as a model, against a stand-in. */
#include "core/core.h"
#include "genchi/model.h"
#include "hub/answer.h"
#include "standin.h"
#include "test.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "sk-secretSECRET"

enum { DIM = 5, TEXTS = 300 };

/* What the server does with a text: a vector that is a function of it alone. */
static void vector_of(const char *text, float out[DIM])
{
    uint64_t h = gn__purpose(text);
    for (int i = 0; i < DIM; i++) out[i] = (float)((int)(h >> 8 * i & 255) - 128) / 16;
}

typedef enum fault {
    NONE,
    BAD_JSON,
    TOO_FEW,
    SAME_INDEX,
    INDEX_BEYOND,
    OTHER_DIM,
    NOT_A_NUMBER,
    BEYOND_FLOAT,
    NO_LIST,
    EMPTY_VECTOR,
    TOO_LONG
} fault;

typedef struct server {
    standin *standin;
    gn_context *ctx;
    gn_endpoint_options options;
    char url[64], journal[1200];
    int refuse, refusal, silent; /* so many answers */
    const char *words, *retry_after;
    size_t most;        /* texts a request beyond which the server answers 413; 0: none */
    const char *poison; /* a text that is answered with 400 */
    unsigned requests, texts, most_seen;
    int die_after; /* so many good answers, then 500 for ever; 0: never */
    fault fault;
    int fault_after; /* good answers before it */
    bool key_came, key_missing, reversed;
    unsigned delay_ms;
    char path[2100], model[100];
} server;

static gn_error error;

static void put_vector(gn__buf *b, const server *s, const char *text, size_t index, size_t count, bool bad)
{
    float v[DIM];
    fault f = bad && index == count - 1 ? s->fault : NONE;
    vector_of(text, v);
    if (f == TOO_FEW) return;
    if (index != (s->reversed ? count - 1 : 0)) gn__buf_puts(b, ", ");
    size_t said = f == SAME_INDEX ? 0 : f == INDEX_BEYOND ? count : index;
    gn__buf_printf(b, "{\"object\": \"embedding\", \"index\": %zu, \"embedding\": ", said);
    int n = f == OTHER_DIM ? DIM - 1 : f == EMPTY_VECTOR ? 0 : DIM;
    if (f == NO_LIST) {
        gn__buf_puts(b, "\"AAAA\"}");
        return;
    }
    for (int i = 0; i < n; i++) {
        gn__buf_puts(b, i ? ", " : "[");
        if (i == 1 && f == NOT_A_NUMBER)
            gn__buf_puts(b, "null");
        else if (i == 1 && f == BEYOND_FLOAT)
            gn__buf_puts(b, "1e300");
        else
            gn__buf_printf(b, "%.9g", (double)v[i]);
    }
    gn__buf_puts(b, n ? "]}" : "[]}");
}

static void refuse(standin_reply *a, int status, const char *words)
{
    a->status = status;
    a->body = words;
    a->length = strlen(words);
}

static void play(void *arg, const standin_request *q, standin_reply *a)
{
    server *s = arg;
    json_t *root = json_loads(q->body, 0, NULL), *input = json_object_get(root, "input");
    size_t n = json_array_size(input), found = 0;
    snprintf(s->path, sizeof s->path, "%s %s", q->method, q->path);
    snprintf(s->model, sizeof s->model, "%s", json_string_value(json_object_get(root, "model")));
    s->requests++;
    s->key_came = s->key_came || strcmp(q->bearer, KEY) == 0;
    s->key_missing = s->key_missing || q->bearer[0] == '\0';
    a->delay_ms = s->delay_ms;
    for (size_t i = 0; s->poison != NULL && i < n; i++)
        found += strcmp(json_string_value(json_array_get(input, i)), s->poison) == 0;
    if (s->silent > 0) {
        s->silent--;
        a->silent = true;
    } else if (s->refuse > 0) {
        s->refuse--;
        refuse(a, s->refusal, s->words ? s->words : "");
        if (s->retry_after != NULL) standin_header(a, "Retry-After: %s", s->retry_after);
    } else if (s->die_after < 0) {
        refuse(a, 500, "{\"error\": \"gone\"}");
    } else if (s->most > 0 && n > s->most) {
        refuse(a, 413, "{\"error\": \"batch size too large\"}");
    } else if (found > 0) {
        refuse(a, 400, "{\"error\": {\"message\": \"the input is\\ntoo long for " KEY "\"}}");
    } else {
        gn__buf b = {0};
        bool bad = s->fault != NONE && s->fault_after-- <= 0;
        if (s->die_after > 0 && --s->die_after == 0) s->die_after = -1;
        s->texts += (unsigned)n;
        if (n > s->most_seen) s->most_seen = (unsigned)n;
        gn__buf_puts(&b, bad && s->fault == BAD_JSON ? "[" : "{\"object\": \"list\", \"data\": [");
        for (size_t i = 0; i < n; i++) {
            size_t at = s->reversed ? n - 1 - i : i;
            put_vector(&b, s, json_string_value(json_array_get(input, at)), at, n, bad);
        }
        gn__buf_printf(&b, "], \"usage\": {\"total_tokens\": %zu}}", 3 * n);
        for (size_t i = 0; bad && s->fault == TOO_LONG && i < 200000; i++) gn__buf_puts(&b, "          ");
        *a = (standin_reply){.status = 200, .body = b.data, .length = b.length, .owned = true};
        a->delay_ms = s->delay_ms;
    }
    json_decref(root);
}

static server *server_start(void)
{
    static int number;
    server *s = calloc(1, sizeof *s);
    s->standin = standin_start(play, s);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/v1/", standin_port(s->standin));
    snprintf(s->journal, sizeof s->journal, "%s/journal%d", test_folder(), number++);
    s->options = (gn_endpoint_options){
        .model = "text-x", .key = KEY, .batch = 32, .network = {.tries = 4, .wait = 0.01}};
    error = (gn_error){0};
    CHECK_OK(gn_context_create(NULL, &s->ctx, &error), error);
    return s;
}

static void server_stop(server *s)
{
    standin_stop(s->standin);
    gn_context_free(s->ctx);
    free(s);
}

static gn_status load(server *s, gn_model **m)
{
    gn_model_options o = {.endpoint = &s->options};
    error = (gn_error){0};
    gn_status status = gn_model_load(s->ctx, s->url, &o, m, &error);
    CHECK(strstr(error.message, KEY) == NULL);
    return status;
}

static char text_bytes[TEXTS][64];
static const char *text[TEXTS];
static uint32_t length[TEXTS];

/* Every third text repeats; some have what JSON has to escape, or bytes that are no UTF-8. */
static void make_texts(void)
{
    for (int i = 0; i < TEXTS; i++) {
        int k = i % 3 == 2 ? i / 2 : i;
        snprintf(text_bytes[i], sizeof text_bytes[i], "text \"%d\" \\ \t 日本\x01 %s", k,
                 k % 7 ? "" : "\xff!");
        text[i] = text_bytes[i];
        length[i] = (uint32_t)strlen(text[i]);
    }
}

static gn_status embed(server *s, gn_model *m, gn_matrix *x, gn_embed_stats *stats)
{
    error = (gn_error){0};
    gn_status status = gn_model_embed(s->ctx, m, text, length, TEXTS, x, NULL, stats, &error);
    CHECK(strstr(error.message, KEY) == NULL);
    return status;
}

/* The server sees U+FFFD where the text has a bad byte. */
static void check_rows(const gn_matrix *x)
{
    CHECK_INT(x->rows, TEXTS);
    CHECK_INT(x->cols, DIM);
    for (size_t i = 0; i < TEXTS; i++) {
        char lossy[128];
        float v[DIM];
        const char *bad = strchr(text[i], '\xff');
        if (bad != NULL)
            snprintf(lossy, sizeof lossy, "%.*s\xEF\xBF\xBD%s", (int)(bad - text[i]), text[i], bad + 1);
        else
            snprintf(lossy, sizeof lossy, "%s", text[i]);
        vector_of(lossy, v);
        for (int d = 0; d < DIM; d++) CHECK_NEAR(x->data[i * DIM + (size_t)d], v[d], 0);
    }
}

TEST(embeds_every_distinct_text_once)
{
    for (int reversed = 0; reversed < 2; reversed++) {
        server *s = server_start();
        gn_model *m = NULL;
        gn_matrix x = {0};
        gn_embed_stats stats;
        make_texts();
        s->reversed = reversed;
        CHECK_OK(load(s, &m), error);
        const gn_model_info *info = gn_model_get_info(m);
        CHECK_INT(info->dim, DIM);
        CHECK(info->remote && !info->builtin);
        CHECK_STR(info->name, "text-x");
        CHECK_STR(info->architecture, "endpoint");
        CHECK_INT(strlen(info->sha256), 64);
        CHECK_STR(s->path, "POST /v1/embeddings");
        CHECK_STR(s->model, "text-x");
        CHECK_OK(embed(s, m, &x, &stats), error);
        check_rows(&x);
        CHECK_INT(stats.texts, TEXTS);
        CHECK_INT(s->texts, stats.distinct + 1); /* and the one that told the dimensions */
        CHECK_INT(stats.tokens, 3 * stats.distinct);
        CHECK(stats.distinct < TEXTS);
        CHECK_INT(s->most_seen, 32);
        CHECK(s->key_came && !s->key_missing);
        gn_matrix hidden;
        CHECK_INT(gn_model_hidden(s->ctx, m, "x", 1, &hidden, &error), GN_UNSUPPORTED);
        gn_matrix_free(&x);
        gn_model_free(m);
        server_stop(s);
    }
}

TEST(failures_in_passing)
{
    static const int statuses[] = {429, 500, 502, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        server *s = server_start();
        gn_model *m = NULL;
        gn_matrix x = {0};
        make_texts();
        s->options.parallel = 1;
        s->refuse = 2;
        s->refusal = statuses[i];
        CHECK_OK(load(s, &m), error);
        s->refuse = 3;
        s->silent = 0;
        CHECK_OK(embed(s, m, &x, NULL), error);
        check_rows(&x);
        gn_matrix_free(&x);
        s->silent = 2;
        CHECK_OK(embed(s, m, &x, NULL), error);
        check_rows(&x);
        gn_matrix_free(&x);
        gn_model_free(m);
        server_stop(s);
    }
}

TEST(retry_after)
{
    server *s = server_start();
    gn_model *m = NULL;
    s->refuse = 1;
    s->refusal = 429;
    s->retry_after = "1";
    double begin = gn__now();
    CHECK_OK(load(s, &m), error);
    CHECK(gn__now() - begin >= 1);
    gn_model_free(m);
    server_stop(s);
}

TEST(refusals)
{
    static const struct {
        int status;
        const char *body, *words;
        unsigned requests;
    } cases[] = {{401, "{\"error\": {\"message\": \"Incorrect API key provided: " KEY "\"}}",
                  "does not accept the key (HTTP 401; GENCHI_API_KEY): Incorrect API key provided: ***", 1},
                 {403, "<html>", "does not accept the key", 1},
                 {404, "{\"message\": \"no such model\"}", "HTTP 404: no such model", 1},
                 {400, "{\"detail\": \"bad\"}", "HTTP 400: bad", 1},
                 {302, "", "redirect", 1},
                 {500, "{\"error\": \"boom\"}", "HTTP 500: boom", 4},
                 {429, "", "HTTP 429", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server *s = server_start();
        gn_model *m = NULL;
        s->refuse = 100;
        s->refusal = cases[i].status;
        s->words = cases[i].body;
        CHECK(load(s, &m) != GN_OK);
        CHECK_HAS(error.message, cases[i].words);
        CHECK_INT(s->requests, cases[i].requests);
        server_stop(s);
    }
}

TEST(answers_that_are_wrong)
{
    static const struct {
        fault fault;
        gn_status status;
        const char *words;
    } cases[] = {{BAD_JSON, GN_FORMAT, "JSON with a list"},
                 {TOO_FEW, GN_FORMAT, "but"},
                 {SAME_INDEX, GN_FORMAT, "two embeddings have the \"index\" 0"},
                 {INDEX_BEYOND, GN_FORMAT, "should be a number from 0 to"},
                 {OTHER_DIM, GN_FORMAT, "has 4 dimensions where 5 were expected"},
                 {NOT_A_NUMBER, GN_FORMAT, "list of numbers"},
                 {BEYOND_FLOAT, GN_NUMERIC, "beyond float32"},
                 {NO_LIST, GN_FORMAT, "list of numbers"},
                 {EMPTY_VECTOR, GN_FORMAT, "list of numbers"},
                 {TOO_LONG, GN_FORMAT, "longer than expected"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server *s = server_start();
        gn_model *m = NULL;
        gn_matrix x = {0};
        make_texts();
        s->fault = cases[i].fault;
        s->fault_after = 3;
        CHECK_OK(load(s, &m), error);
        CHECK_INT(embed(s, m, &x, NULL), cases[i].status);
        CHECK_HAS(error.message, cases[i].words);
        gn_model_free(m);
        server_stop(s);
    }
}

TEST(batches_that_are_too_large_are_halved)
{
    server *s = server_start();
    gn_model *m = NULL;
    gn_matrix x = {0};
    make_texts();
    s->most = 5;
    CHECK_OK(load(s, &m), error);
    CHECK_OK(embed(s, m, &x, NULL), error);
    check_rows(&x);
    CHECK(s->most_seen <= 5);
    gn_matrix_free(&x);
    /* one text that the server will not take is named */
    s->most = 0;
    s->poison = text[90];
    CHECK_INT(embed(s, m, &x, NULL), GN_IO);
    CHECK_HAS(error.message, "text 91:");
    CHECK_HAS(error.message, "the input is too long for ***");
    gn_model_free(m);
    server_stop(s);
}

TEST(goes_on_within_a_process)
{
    server *s = server_start();
    gn_model *m = NULL;
    gn_matrix x = {0};
    gn_embed_stats stats;
    make_texts();
    s->options.parallel = 1;
    s->die_after = 4;
    CHECK_OK(load(s, &m), error);
    CHECK_INT(embed(s, m, &x, NULL), GN_IO);
    CHECK_INT(s->texts, 1 + 3 * 32);
    s->die_after = 0;
    CHECK_OK(embed(s, m, &x, &stats), error);
    check_rows(&x);
    CHECK_INT(s->texts, 1 + stats.distinct);
    gn_matrix_free(&x);
    gn_model_free(m);
    server_stop(s);
}

static char *journal_file(const server *s, char *out, size_t size)
{
    DIR *d = opendir(s->journal);
    out[0] = '\0';
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') snprintf(out, size, "%s/%s", s->journal, e->d_name);
    if (d != NULL) closedir(d);
    return out;
}

TEST(goes_on_in_another_process)
{
    server *s = server_start();
    gn_model *m = NULL;
    gn_matrix x = {0};
    gn_embed_stats stats;
    char file[2048], key[64] = KEY;
    struct stat st;
    make_texts();
    s->options.parallel = 1;
    s->options.journal = s->journal;
    s->die_after = 4;
    CHECK_OK(load(s, &m), error);
    CHECK_INT(embed(s, m, &x, NULL), GN_IO);
    gn_model_free(m);
    journal_file(s, file, sizeof file);
    CHECK(file[0] != '\0' && stat(file, &st) == 0);
    CHECK_INT(st.st_size, 96 + 3 * 32 * (32 + DIM * 4));
    CHECK_INT(st.st_mode & 077, 0);
    FILE *f = fopen(file, "rb");
    char *bytes = malloc((size_t)st.st_size);
    CHECK_INT(fread(bytes, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    CHECK(memmem(bytes, (size_t)st.st_size, key, strlen(key)) == NULL);
    CHECK(memmem(bytes, (size_t)st.st_size, "text", 4) == NULL);
    free(bytes);
    CHECK_INT(truncate(file, st.st_size - 7), 0); /* the last record was cut when the process died */
    s->die_after = 0;
    s->texts = 0;
    CHECK_OK(load(s, &m), error);
    CHECK_OK(embed(s, m, &x, &stats), error);
    check_rows(&x);
    CHECK_INT(s->texts, 1 + stats.distinct - (3 * 32 - 1));
    gn_model_free(m);
    gn_matrix_free(&x);
    CHECK(journal_file(s, file, sizeof file)[0] == '\0'); /* of no use any more */
    server_stop(s);
}

TEST(time_limit_and_cancellation)
{
    static volatile sig_atomic_t cancel;
    server *s = server_start();
    gn_model *m = NULL;
    s->delay_ms = 700;
    s->options.time_limit = 0.2;
    s->options.network.tries = 2;
    double begin = gn__now();
    CHECK_INT(load(s, &m), GN_IO);
    CHECK(gn__now() - begin < 3);
    CHECK_INT(s->requests, 2);
    s->options.time_limit = 0;
    gn_context_free(s->ctx);
    CHECK_OK(gn_context_create(&(gn_context_options){.cancel = &cancel}, &s->ctx, &error), error);
    cancel = 1;
    CHECK_INT(load(s, &m), GN_CANCELLED);
    cancel = 0;
    server_stop(s);
}

TEST(what_is_no_endpoint)
{
    static const struct {
        const char *url, *words;
    } cases[] = {{"http://192.0.2.1/v1", "plain http"},
                 {"ftp://127.0.0.1/v1", "only https"},
                 {"http://user:pw@127.0.0.1/v1", "no place in a URL"},
                 {"http://127.0.0.1:1/v1?key=x", "has no query"}};
    server *s = server_start();
    gn_model *m = NULL;
    gn_model_options o = {.endpoint = &s->options};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error = (gn_error){0};
        CHECK_INT(gn_model_load(s->ctx, cases[i].url, &o, &m, &error), GN_INVALID_ARGUMENT);
        CHECK_HAS(error.message, cases[i].words);
        CHECK(strstr(error.message, "pw") == NULL);
    }
    s->options.model = NULL;
    CHECK_INT(load(s, &m), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "--model-name");
    s->options.model = "text-x";
    s->options.key = "two words";
    CHECK_INT(load(s, &m), GN_INVALID_ARGUMENT);
    CHECK_INT(gn_model_load(s->ctx, s->url, NULL, &m, &error), GN_INVALID_ARGUMENT);
    server_stop(s);
}

TEST(words_of_a_server)
{
    char out[20];
    static const char *const cases[][2] = {
        {"{\"error\": {\"message\": \"a\\nb\"}}", "a b"},
        {"not json", ""},
        {"{\"error\": {\"message\": 5}}", ""},
        {"{\"error\": {\"message\": \"0123456789012345日本\"}}", "0123456789012345"},
        {"{\"error\": {\"message\": \"日本\"}}", "日本"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn__answer_words(cases[i][0], strlen(cases[i][0]), NULL, out, sizeof out);
        CHECK_STR(out, cases[i][1]);
    }
}
