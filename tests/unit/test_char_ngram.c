/* builtin:char-ngram: what its header promises, and its numbers against the recipe done plainly. */
#include "core/core.h"
#include "genchi/model.h"
#include "test.h"

static gn_context *context(unsigned threads, uint64_t seed)
{
    gn_context *ctx;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads, .seed = seed}, &ctx, &err), err);
    return ctx;
}

static gn_matrix embed(unsigned threads, uint64_t seed, const char *const *text, size_t n)
{
    gn_context *ctx = context(threads, seed);
    gn_error err = {0};
    gn_model *m;
    gn_matrix x;
    gn_embed_stats s;
    uint32_t *length = gn__calloc(n, sizeof *length);
    for (size_t i = 0; i < n; i++) length[i] = (uint32_t)strlen(text[i]);
    CHECK_OK(gn_model_load(ctx, "builtin:char-ngram", NULL, &m, &err), err);
    CHECK_OK(gn_model_embed(ctx, m, text, length, n, &x, NULL, &s, &err), err);
    CHECK_INT(s.texts, n);
    CHECK_INT(x.rows, n);
    CHECK_INT(x.cols, 512);
    free(length);
    gn_model_free(m);
    gn_context_free(ctx);
    return x;
}

static double dot(const gn_matrix *x, size_t a, size_t b)
{
    double s = 0;
    for (size_t j = 0; j < x->cols; j++)
        s += (double)x->data[a * x->cols + j] * (double)x->data[b * x->cols + j];
    return s;
}

TEST(it_tells_about_itself)
{
    gn_context *ctx = context(1, 0);
    gn_error err = {0};
    gn_model *m;
    CHECK_OK(gn_model_load(ctx, "builtin:char-ngram", NULL, &m, &err), err);
    const gn_model_info *i = gn_model_get_info(m);
    CHECK_STR(i->name, "builtin:char-ngram");
    CHECK_STR(i->architecture, "char-ngram");
    CHECK_STR(i->tokenizer, "characters");
    CHECK(i->path == NULL && i->builtin && i->normalize);
    CHECK_INT(i->dim, 512);
    CHECK_INT(strlen(i->sha256), 64);
    gn_model_free(m);
    gn_context_free(ctx);
}

TEST(rows_have_unit_length_and_depend_on_the_text_alone)
{
    static const char *const text[] = {
        "", "a", "the pump stopped", "ポンプが止まった", "a\xff\xfe", "the pump stopped"};
    gn_matrix x = embed(1, 0, text, 6), y = embed(4, 99, text, 6);
    for (size_t i = 0; i < 6; i++) CHECK_NEAR(dot(&x, i, i), 1, 1e-5);
    CHECK(memcmp(x.data, y.data, 6 * 512 * sizeof(float)) == 0); /* neither threads nor seed matter */
    CHECK(memcmp(x.data + 2 * 512, x.data + 5 * 512, 512 * sizeof(float)) == 0);
    CHECK(dot(&x, 0, 2) < 0.9 && dot(&x, 2, 3) < 0.3);
    gn_matrix_free(&x);
    gn_matrix_free(&y);
}

/* All terms of a text as strings, for the plain version: "^" and "$" are the marks. */
enum { TERMS = 600 };
static size_t terms_of(const char *text, char (*term)[8])
{
    char marked[256];
    size_t n = 0, length = (size_t)snprintf(marked, sizeof marked, "^%s$", text);
    for (size_t i = 0; i < length; i++)
        for (size_t k = 1; k <= 4 && i + k <= length; k++) {
            if (k == 1 && (i == 0 || i == length - 1)) continue;
            CHECK(n < TERMS);
            snprintf(term[n++], 8, "%.*s", (int)k, marked + i);
        }
    return n;
}

static int by_term(const void *a, const void *b)
{
    return strcmp(a, b);
}

typedef struct bag {
    char term[TERMS][8];
    double weight[TERMS];
    size_t terms;
} bag;

static double cosine(const bag *a, const bag *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a->terms; i++) {
        aa += a->weight[i] * a->weight[i];
        for (size_t j = 0; j < b->terms; j++)
            if (strcmp(a->term[i], b->term[j]) == 0) ab += a->weight[i] * b->weight[j];
    }
    for (size_t j = 0; j < b->terms; j++) bb += b->weight[j] * b->weight[j];
    return ab / sqrt(aa * bb);
}

/* The projection keeps the cosines of the weighted bags, computed here without hashing or projecting, to
 * within its noise: an unbiased estimate with standard deviation about √(1/512) = 0.044. */
TEST(cosines_are_those_of_the_weighted_ngrams)
{
    static const char *const text[] = {
        "the pump stopped again after two hours",
        "the pump stopped again after ten hours",
        "the pump ran for two hours and stopped",
        "oil leaks from the valve of the pump",
        "oil leaks again from the valve",
        "nobody called the operator about the noise",
        "the operator called about the noise",
        "please call me",
        "please call me at once",
        "aaaaaaaaaaaa bbbbbbbb",
        "aaaa bbbb",
        "noise noise noise oil",
    };
    enum { N = sizeof text / sizeof *text };
    static bag bags[N];
    gn_matrix x = embed(2, 0, text, N);
    for (size_t i = 0; i < N; i++) {
        static char all[TERMS][8];
        size_t n = terms_of(text[i], all);
        qsort(all, n, sizeof *all, by_term);
        for (size_t k = 0; k < n; k++) {
            bag *b = &bags[i];
            if (b->terms == 0 || strcmp(b->term[b->terms - 1], all[k]) != 0)
                strcpy(b->term[b->terms++], all[k]);
            b->weight[b->terms - 1] += 1; /* tf */
        }
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < bags[i].terms; k++) {
            double df = 0;
            for (size_t o = 0; o < N; o++) {
                char marked[256];
                snprintf(marked, sizeof marked, "^%s$", text[o]);
                df += strstr(marked, bags[i].term[k]) != NULL;
            }
            bags[i].weight[k] = -(1 + log(bags[i].weight[k])) * (log((1.0 + N) / (1 + df)) + 1);
        }
    double square = 0, bias = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t o = 0; o < i; o++, pairs++) {
            double error = dot(&x, i, o) - cosine(&bags[i], &bags[o]);
            CHECK(fabs(error) < 0.17);
            square += error * error;
            bias += error;
        }
    CHECK(sqrt(square / (double)pairs) < 0.06);
    CHECK(fabs(bias / (double)pairs) < 0.02);
    gn_matrix_free(&x);
}

TEST(idf_is_learnt_on_the_texts_of_the_call)
{
    static const char *const few[] = {"oil pump", "oil valve", "gear"}, *const other[] = {"oil pump",
                                                                                          "oil valve", "oil"};
    gn_matrix x = embed(1, 0, few, 3), y = embed(1, 0, other, 3);
    CHECK(dot(&x, 0, 1) > dot(&y, 0, 1)); /* "oil" weighs less where every text has it */
    gn_matrix_free(&x);
    gn_matrix_free(&y);
}

TEST(a_text_of_a_million_bytes)
{
    char *text = malloc(1000001);
    CHECK(text != NULL);
    for (size_t i = 0; i < 1000000; i++) text[i] = (char)('a' + i * i % 26);
    text[1000000] = '\0';
    const char *texts[] = {text, "short"};
    gn_matrix x = embed(2, 0, texts, 2);
    CHECK_NEAR(dot(&x, 0, 0), 1, 1e-5);
    gn_matrix_free(&x);
    free(text);
}
