/* Several models on the same data: the numbers agree with each other and with what they say they are. */
#include "genchi/compare.h"
#include "test.h"

static gn_error error;
static const char *const models[] = {"builtin:char-ngram", "tests/golden/model/bert",
                                     "tests/golden/model/gpt2"};

static gn_status compare(const char *const *model, size_t n, unsigned threads, gn_comparison *c)
{
    gn_context *ctx = NULL;
    char train[1024], test[1024];
    snprintf(train, sizeof train, "%s", test_path("examples/data/en_train.csv"));
    snprintf(test, sizeof test, "%s", test_path("examples/data/en_field.csv"));
    gn_check_options o = {.train = train,
                          .test = test,
                          .detect = {.permutations = 99},
                          .probe = {.folds = 3, .inner_folds = 3, .bootstrap = 100, .repeats = 1}};
    o.model_options.dtype = GN_DTYPE_F32;
    error = (gn_error){0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads, .seed = 3}, &ctx, &error), error);
    gn_status status = gn_compare(ctx, &o, model, n, c, &error);
    gn_context_free(ctx);
    return status;
}

/* Two-sided exact McNemar: the binomial of the discordant rows at 1/2. */
static double mcnemar(size_t a, size_t b)
{
    size_t n = a + b, low = a < b ? a : b;
    double sum = 0;
    for (size_t k = 0; k <= low; k++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) -
                   (double)n * log(2));
    return fmin(1, 2 * sum);
}

TEST(pairs_are_what_they_say)
{
    gn_comparison c;
    double p[3], sorted[3];
    CHECK_OK(compare(models, 3, 2, &c), error);
    CHECK_INT(c.models, 3);
    CHECK_INT(c.pairs, 3);
    for (size_t i = 0; i < 3; i++) {
        const gn_compared_pair *q = &c.pair[i];
        const gn_paired *d = &q->test_cv;
        double a = c.model[q->a].test_cv.estimate, b = c.model[q->b].test_cv.estimate;
        CHECK(q->a < q->b && d->available && q->train_to_test.available);
        CHECK_NEAR(d->difference.estimate, a - b, 1e-12);
        CHECK_NEAR(d->difference.estimate, ((double)d->a_only - (double)d->b_only) / (double)d->rows, 1e-12);
        CHECK_NEAR(q->train_to_test.difference.estimate,
                   c.model[q->a].train_to_test.estimate - c.model[q->b].train_to_test.estimate, 1e-12);
        CHECK_NEAR(d->p_value, mcnemar(d->a_only, d->b_only), 1e-9);
        p[i] = sorted[i] = d->p_value;
    }
    /* Holm by hand: the smallest times three, the next times two, never falling */
    for (int i = 0; i < 3; i++)
        for (int k = i + 1; k < 3; k++)
            if (sorted[k] < sorted[i]) {
                double t = sorted[i];
                sorted[i] = sorted[k];
                sorted[k] = t;
            }
    double holm[3] = {fmin(1, 3 * sorted[0]), fmin(1, 2 * sorted[1]), sorted[2]};
    for (int i = 1; i < 3; i++) holm[i] = fmax(holm[i], holm[i - 1]);
    for (size_t i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            if (p[i] == sorted[k]) {
                CHECK_NEAR(c.pair[i].test_cv_p_holm, holm[k], 1e-12);
                break;
            }
    /* who is beaten is out; the better one beats both */
    for (size_t m = 0; m < 3; m++) {
        size_t wins = 0, losses = 0;
        for (size_t i = 0; i < 3; i++) {
            const gn_compared_pair *q = &c.pair[i];
            if (!(q->test_cv_p_holm <= 0.05) || (q->a != m && q->b != m)) continue;
            bool ahead = (q->test_cv.difference.estimate > 0) == (q->a == m);
            *(ahead ? &wins : &losses) += 1;
        }
        CHECK_INT(c.model[m].in_the_race, losses == 0);
        CHECK_INT(c.better == (int)m, wins == 2);
    }
    gn_comparison_free(&c);
}

/* The verdict of each model is the check's, although the lexical control is computed once for all. */
TEST(verdicts_are_the_checks)
{
    gn_comparison c;
    char train[1024], test[1024];
    CHECK_OK(compare(models, 3, 2, &c), error);
    snprintf(train, sizeof train, "%s", test_path("examples/data/en_train.csv"));
    snprintf(test, sizeof test, "%s", test_path("examples/data/en_field.csv"));
    for (size_t i = 0; i < 3; i++) {
        gn_check_options o = {.train = train,
                              .test = test,
                              .model = models[i],
                              .detect = {.permutations = 99},
                              .probe = {.folds = 3, .inner_folds = 3, .bootstrap = 100, .repeats = 1}};
        gn_context *ctx = NULL;
        gn_result r;
        o.model_options.dtype = GN_DTYPE_F32;
        CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2, .seed = 3}, &ctx, &error), error);
        CHECK_OK(gn_check(ctx, &o, &r, &error), error);
        const gn_verdict *a = &c.model[i].verdict, *b = &r.verdict;
        CHECK_STR(a->rule, b->rule);
        CHECK_INT(a->code, b->code);
        CHECK_INT(a->reasons, b->reasons);
        for (int k = 0; k < a->reasons; k++) {
            CHECK_STR(a->reason[k].id, b->reason[k].id);
            CHECK(memcmp(a->reason[k].value, b->reason[k].value,
                         (size_t)a->reason[k].values * sizeof *a->reason[k].value) == 0);
        }
        gn_result_free(&r);
        gn_context_free(ctx);
    }
    gn_comparison_free(&c);
}

TEST(a_page_in_both_languages)
{
    gn_comparison c;
    CHECK_OK(compare(models, 3, 2, &c), error);
    for (int lang = 0; lang < 2; lang++) {
        char *page = NULL;
        size_t length = 0;
        CHECK_OK(gn_comparison_html(&c, lang ? GN_LANG_JA : GN_LANG_EN, &page, &length, &error), error);
        CHECK_INT(strlen(page), length);
        CHECK_HAS(page, lang ? "<html lang=\"ja\">" : "<html lang=\"en\">");
        CHECK_HAS(page, "en_train.csv");
        CHECK_HAS(page, "builtin:char-ngram − bert");
        CHECK_HAS(page, lang ? "モデルごとの判定" : "What the check decides with each");
        CHECK_HAS(page, "</html>\n");
        CHECK(strstr(page, "<script") == NULL && strstr(page, "http://") == NULL);
        free(page);
    }
    /* a model's name is outside text */
    free(c.model[1].model.name);
    c.model[1].model.name = strdup("<b>\"x\"&");
    char *page = NULL;
    size_t length = 0;
    CHECK_OK(gn_comparison_html(&c, GN_LANG_EN, &page, &length, &error), error);
    CHECK(strstr(page, "<b>") == NULL);
    CHECK_HAS(page, "&lt;b&gt;&quot;x&quot;&amp;");
    free(page);
    gn_comparison_free(&c);
}

TEST(same_for_any_threads_and_order)
{
    const char *const turned[] = {models[1], models[0]};
    gn_comparison one, two, other;
    CHECK_OK(compare(models, 2, 1, &one), error);
    CHECK_OK(compare(models, 2, 3, &two), error);
    CHECK_OK(compare(turned, 2, 2, &other), error);
    for (size_t i = 0; i < 2; i++) {
        const gn_compared *a = &one.model[i], *b = &two.model[i], *c = &other.model[1 - i];
        CHECK_NEAR(a->test_cv.estimate, b->test_cv.estimate, 0);
        CHECK_NEAR(a->shift.auc.estimate, b->shift.auc.estimate, 0);
        CHECK_NEAR(a->test_cv.low, b->test_cv.low, 0);
        CHECK_NEAR(a->test_cv.estimate, c->test_cv.estimate, 0);
        CHECK_NEAR(a->overlap.overlap.estimate, c->overlap.overlap.estimate, 0);
    }
    CHECK_NEAR(one.pair[0].test_cv.difference.low, two.pair[0].test_cv.difference.low, 0);
    CHECK_NEAR(one.pair[0].test_cv.difference.estimate, -other.pair[0].test_cv.difference.estimate, 0);
    CHECK_NEAR(one.pair[0].test_cv.p_value, other.pair[0].test_cv.p_value, 0);
    gn_comparison_free(&one);
    gn_comparison_free(&two);
    gn_comparison_free(&other);
}

TEST(what_cannot_be_compared)
{
    const char *const twice[] = {models[0], models[0]}, *const absent[] = {models[0],
                                                                           "tests/golden/model/none"};
    gn_comparison c;
    CHECK_INT(compare(models, 0, 1, &c), GN_INVALID_ARGUMENT);
    CHECK_INT(compare(twice, 2, 1, &c), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "named twice");
    CHECK_INT(compare(absent, 2, 1, &c), GN_IO);
    CHECK_HAS(error.message, "none");
}

TEST(text_and_json)
{
    gn_comparison c;
    char *text = NULL;
    size_t length = 0;
    CHECK_OK(compare(models, 2, 2, &c), error);
    CHECK_OK(gn_comparison_json(&c, &text, &length, &error), error);
    CHECK_INT(strlen(text), length);
    CHECK_HAS(text, "\"schema\": \"genchi.compare/1\"");
    CHECK_HAS(text, "\"p_holm\"");
    free(text);
    for (int lang = 0; lang < 2; lang++) {
        CHECK_OK(gn_comparison_text(&c, (gn_lang)lang, 80, &text, &length, &error), error);
        CHECK_INT(strlen(text), length);
        CHECK_HAS(text, "builtin:char-ngram");
        CHECK_HAS(text, lang ? "出発点" : "The better start: ");
        free(text);
    }
    gn_comparison_free(&c);
}
