/* What fine-tuning did to both sets: constructed embeddings before and after, whose shift is known. */
#include "pipeline/pipeline.h"
#include "test.h"

static gn_error err;

enum { TRAIN = 200, HELD = 80, TEST = 90, UNLABELLED = 10, DIM = 5 };

static void fill(gn_matrix *x, size_t rows, double apart, uint64_t index)
{
    CHECK_OK(gn_matrix_create(rows, DIM, x, &err), err);
    gn__rng rng = gn__rng_make(61, 1, index);
    for (size_t i = 0; i < rows * DIM; i++)
        x->data[i] = (float)(gn__rng_normal(&rng) + (i % DIM == 0 ? apart : 0));
}

static void check(double apart_before, double apart_after, bool unlabelled)
{
    gn_context *ctx = NULL;
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2, .seed = 4}, &ctx, &err), err);
    int train_label[TRAIN], test_label[TEST];
    uint32_t held[HELD];
    gn_matrix train, test;
    for (int i = 0; i < TRAIN; i++) train_label[i] = i % 2;
    for (int i = 0; i < TEST; i++) test_label[i] = unlabelled && i < UNLABELLED ? -1 : i % 2;
    for (uint32_t i = 0; i < HELD; i++) held[i] = 2 * i;
    fill(&train, TRAIN, 0, 0);
    fill(&test, TEST, apart_before, 1);
    gn_dataset a = {.rows = TRAIN, .label = train_label}, b = {.rows = TEST, .label = test_label};
    gn__space space = {.train = &a, .test = &b, .apart = {&train, &test}, .classes = 2, .labels = true};
    size_t labelled = unlabelled ? TEST - UNLABELLED : TEST;
    gn_finetune_run run[2] = {{.method = GN_METHOD_LP}, {.method = GN_METHOD_FULL}};
    fill(&run[1].after_heldout, HELD, 0, 2);
    fill(&run[1].after_test, labelled, apart_after, 3);
    gn_finetune_evidence e = {
        .run = run, .runs = 2, .heldout_row = held, .heldout_rows = HELD, .test_rows = labelled};
    CHECK_OK(gn__finetune_moved(ctx, &space, &e, &err), err);
    CHECK(!run[0].moved);
    CHECK(run[1].moved);
    /* normal clouds d apart along one axis: AUC = Φ(d / √2); overlap = 2 Φ(−d / 2) */
    double before = 0.5 * erfc(-apart_before / 2), after = 0.5 * erfc(-apart_after / 2);
    CHECK_NEAR(run[1].auc_before.estimate, before, 0.1);
    CHECK_NEAR(run[1].auc_after.estimate, after, 0.1);
    CHECK(run[1].auc_after.low <= run[1].auc_after.estimate &&
          run[1].auc_after.estimate <= run[1].auc_after.high);
    if (apart_before > 2) CHECK_NEAR(run[1].overlap_before.estimate, erfc(apart_before / 2 / sqrt(2)), 0.15);
    if (apart_after > 2) CHECK_NEAR(run[1].overlap_after.estimate, erfc(apart_after / 2 / sqrt(2)), 0.15);
    if (apart_after == 0) CHECK(run[1].overlap_after.estimate > 0.75);
    CHECK_INT(run[1].points, HELD + labelled);
    size_t at_test = 0;
    for (size_t i = 0; i < run[1].points; i++) {
        const gn_moved_point *q = &run[1].point[i];
        if (!q->test) CHECK_INT(q->label, 0); /* held-out rows are the even ones */
        if (q->test) CHECK_INT(q->label, test_label[at_test++ + (TEST - labelled)]);
    }
    CHECK_INT(at_test, labelled);
    gn_matrix_free(&train);
    gn_matrix_free(&test);
    gn_matrix_free(&run[1].after_heldout);
    gn_matrix_free(&run[1].after_test);
    free(run[1].point);
    gn_context_free(ctx);
}

TEST(moved_apart)
{
    check(0, 3, false);
}

TEST(moved_together)
{
    check(3, 0, false);
}

TEST(moved_rows_without_a_label_are_left_out)
{
    check(0, 3, true);
}

TEST(moved_needs_rows)
{
    gn_context *ctx = NULL;
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 1}, &ctx, &err), err);
    gn_finetune_run run = {.method = GN_METHOD_FULL};
    gn_dataset d = {.rows = 5};
    gn__space space = {.train = &d, .test = &d};
    gn_finetune_evidence e = {.run = &run, .runs = 1, .heldout_rows = 5, .test_rows = 5};
    CHECK_OK(gn__finetune_moved(ctx, &space, &e, &err), err);
    CHECK(!run.moved);
    CHECK(isnan(run.auc_before.estimate));
    gn_context_free(ctx);
}
