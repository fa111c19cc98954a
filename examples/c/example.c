/* genchi from C: is field.csv one population with train.csv, in the eyes of a model?
 *
 *   cc example.c $(pkg-config --cflags --libs genchi) -o example
 *   ./example train.csv field.csv all-MiniLM-L6-v2/
 *
 * Without arguments it makes up two small samples and tests those, which needs no file and no model. */
#include <genchi/genchi.h>

#include <stdio.h>

static int complain(const gn_error *err)
{
    fprintf(stderr, "example: %s\n", err->message);
    return 1;
}

/* The whole line on two files. */
static int check(gn_context *ctx, const char *train, const char *test, const char *model)
{
    gn_error err = {0};
    gn_result result;
    const gn_check_options options = {.train = train, .test = test, .model = model};
    if (gn_check(ctx, &options, &result, &err) != GN_OK) return complain(&err);
    printf("verdict: %s\n", gn_verdict_name(result.verdict.code));
    printf("shift:   %s (AUC %.2f, %.2f to %.2f)\n", gn_shift_answer_name(result.main.shift.answer),
           result.main.shift.auc.estimate, result.main.shift.auc.low, result.main.shift.auc.high);
    gn_result_free(&result);
    return 0;
}

/* One step alone, on vectors that are already there: 2 x 200 rows, the second sample moved along one axis. */
static int detect(gn_context *ctx)
{
    enum { ROWS = 200, COLUMNS = 8 };
    static float a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    unsigned state = 1;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        state = state * 1664525u + 1013904223u;
        a[i] = (float)(state >> 8) / 16777216.0f;
        state = state * 1664525u + 1013904223u;
        b[i] = (float)(state >> 8) / 16777216.0f + (i % COLUMNS == 0 ? 0.5f : 0.0f);
    }
    gn_error err = {0};
    gn_shift shift;
    const gn_matrix train = {a, ROWS, COLUMNS}, test = {b, ROWS, COLUMNS};
    if (gn_detect(ctx, &train, &test, &(gn_detect_options){0}, &shift, NULL, NULL, &err) != GN_OK)
        return complain(&err);
    printf("shift: %s (p = %.3f, AUC %.2f, %.2f to %.2f)\n", gn_shift_answer_name(shift.answer),
           shift.p_value, shift.auc.estimate, shift.auc.low, shift.auc.high);
    return 0;
}

int main(int argc, char **argv)
{
    gn_error err = {0};
    gn_context *ctx;
    if (gn_context_create(NULL, &ctx, &err) != GN_OK) return complain(&err);
    int status = argc == 4 ? check(ctx, argv[1], argv[2], argv[3]) : detect(ctx);
    gn_context_free(ctx);
    return status;
}
