/* Training runs against PyTorch's AdamW and PEFT's adapters (tests/golden/make_tune.py). */
#include "golden_text.h"
#include "model/tuned.h"
#include "test.h"

enum { ROWS = 17, CLASSES = 3, STEPS = 10, LONGEST = 100 };

typedef struct data {
    char line[ROWS][LONGEST];
    const char *text[ROWS];
    uint32_t length[ROWS];
    int label[ROWS];
    gn_tune_rows rows;
} data;

static void read_data(data *d)
{
    FILE *f = fopen(test_path("tests/golden/tune/texts.txt"), "r");
    CHECK(f != NULL);
    for (size_t i = 0; i < ROWS; i++) {
        CHECK(fgets(d->line[i], LONGEST, f) != NULL);
        d->line[i][strcspn(d->line[i], "\n")] = '\0';
        d->label[i] = d->line[i][0] - '0';
        d->text[i] = d->line[i] + 2;
        d->length[i] = (uint32_t)strlen(d->text[i]);
    }
    CHECK(fgetc(f) == EOF);
    fclose(f);
    d->rows = (gn_tune_rows){d->text, d->length, d->label, NULL, ROWS, CLASSES};
}

static void check_run(const char *model, const char *golden, gn_tune_options o)
{
    data d;
    read_data(&d);
    char path[200];
    size_t k, dim;
    gn_error err = {0};
    gn_context *ctx = NULL;
    gn_model *m = NULL;
    gn_tuned *t = NULL;
    snprintf(path, sizeof path, "tests/golden/tune/%s.txt", golden);
    float *head = golden_read_float(path, "head", &dim);
    double *loss = golden_read(path, "loss", &k);
    CHECK_INT(k, STEPS);
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2}, &ctx, &err), err);
    char relative[200];
    snprintf(relative, sizeof relative, "tests/golden/model/%s", model);
    CHECK_OK(gn_model_load(ctx, test_path(relative), &(gn_model_options){.dtype = GN_DTYPE_F32}, &m, &err),
             err);
    CHECK_INT(dim, m->info.dim * CLASSES);
    o.max_steps = STEPS;
    o.batch = 5;
    o.budget = 25; /* steps in several passes, which PyTorch's know nothing of */
    o.head_rate = 1e-2;
    o.decay = 0.1;
    o.warmup = 0.2;
    o.clip = 0.5;
    o.class_weight = (double[]){1, 2, 0.5};
    o.seed = 11;
    o.dtype = GN_DTYPE_F32;
    o.head_weight = head;
    CHECK_OK(gn_tune(ctx, m, &d.rows, &o, &t, &err), err);
    const gn_tune_stats *s = gn_tuned_stats(t);
    CHECK_INT(s->steps, STEPS);
    for (size_t i = 0; i < STEPS; i++) CHECK_NEAR(s->step_loss[i], loss[i], 1e-4);
    float probability[ROWS * CLASSES], *expected = golden_read_float(path, "probability", &k);
    float *rows = golden_read_float(path, "embedding", &dim);
    gn_matrix found;
    CHECK_OK(gn_tuned_apply(ctx, t, d.text, d.length, ROWS, probability, &found, &err), err);
    CHECK_INT(k, ROWS * CLASSES);
    for (size_t i = 0; i < k; i++) CHECK_NEAR(probability[i], expected[i], 2e-4);
    CHECK_INT(dim, found.rows * found.cols);
    for (size_t i = 0; i < dim; i++) CHECK_NEAR(found.data[i], rows[i], 1e-3);
    gn_matrix_free(&found);
    gn_tuned_free(t);
    gn_model_free(m);
    gn_context_free(ctx);
    free(head), free(loss), free(expected), free(rows);
}

TEST(ten_steps_of_bert_agree_with_pytorch)
{
    check_run("bert", "bert_full", (gn_tune_options){.what = GN_TUNE_FULL, .rate = 2e-3});
}

TEST(ten_steps_of_gpt2_agree_with_pytorch)
{
    check_run("gpt2", "gpt2_full", (gn_tune_options){.what = GN_TUNE_FULL, .rate = 2e-3});
}

static const gn_tune_options lora = {.what = GN_TUNE_LORA, .rate = 1e-2, .lora_rank = 4, .lora_alpha = 12};

TEST(ten_steps_of_adapters_on_bert_agree_with_peft)
{
    check_run("bert", "bert_lora", lora);
}

TEST(ten_steps_of_adapters_on_gpt2_agree_with_pytorch)
{
    check_run("gpt2", "gpt2_lora", lora);
}
