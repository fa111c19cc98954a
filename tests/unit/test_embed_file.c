/* Files of vectors: the rows of gn_model_embed, whatever interrupts the writing. */
#include "test.h"

#include "core/float16.h"
#include "genchi/genchi.h"
#include "pipeline/journal.h"

#include <unistd.h>

enum { ROWS = 61 };

static volatile sig_atomic_t cancel;
static size_t cancel_at;

static void on_progress(void *data, gn_stage stage, size_t done, size_t total)
{
    (void)data;
    CHECK(done <= total);
    if (stage == GN_STAGE_EMBED && done >= cancel_at) cancel = 1;
}

static gn_context *context(void)
{
    static gn_context *ctx;
    gn_error err = {0};
    const gn_context_options o = {.threads = 2, .progress = on_progress, .cancel = &cancel};
    if (ctx == NULL) CHECK_OK(gn_context_create(&o, &ctx, &err), err);
    return ctx;
}

static const gn_model *model(void)
{
    static gn_model *m;
    gn_error err = {0};
    cancel = 0;
    cancel_at = SIZE_MAX;
    if (m == NULL)
        CHECK_OK(gn_model_load(context(), test_path("tests/golden/model/bert"), NULL, &m, &err), err);
    return m;
}

/* ROWS texts, the one numbered `odd` another than usual. */
static const char *input(const char *name, int odd)
{
    char bytes[ROWS * 40];
    size_t n = (size_t)sprintf(bytes, "text\n");
    for (int i = 0; i < ROWS; i++)
        n += (size_t)sprintf(bytes + n, "%s number %d of words\n", i == odd ? "odd" : "row", i * i % 50);
    return test_file(name, bytes, n);
}

static const char *place(const char *name)
{
    static char path[2][1024];
    static int at;
    char *p = path[at++ % 2];
    snprintf(p, sizeof path[0], "%s/%s", test_folder(), name);
    return p;
}

static void same_files(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    gn_error err = {0};
    CHECK_OK(gn__read_file(a, 1 << 20, &x, &n, &err), err);
    CHECK_OK(gn__read_file(b, 1 << 20, &y, &m, &err), err);
    CHECK_INT(n, m);
    CHECK(memcmp(x, y, n) == 0);
    free(x);
    free(y);
}

TEST(rows_are_those_of_the_model)
{
    gn_error err = {0};
    gn_embed_file_result r;
    gn_dataset d;
    gn_matrix x, y;
    const char *in = input("in.csv", -1), *out = place("rows.npy");
    CHECK_OK(gn_embed_file(context(), model(),
                           &(gn_embed_file_options){.input = in, .out = out, .block_rows = 8}, &r, &err),
             err);
    CHECK_INT(r.rows, ROWS);
    CHECK_INT(r.resumed_rows, 0);
    CHECK_OK(gn_dataset_read(context(), in, NULL, &d, &err), err);
    CHECK_OK(gn_model_embed(context(), model(), (const char *const *)d.text, d.length, d.rows, &x, NULL, NULL,
                            &err),
             err);
    CHECK_OK(gn_npy_read(out, &y, &err), err);
    CHECK_INT(y.rows, x.rows);
    CHECK_INT(y.cols, x.cols);
    CHECK(memcmp(x.data, y.data, x.rows * x.cols * sizeof *x.data) == 0);
    /* the very file that gn_npy_write writes */
    const char *other = place("other.npy");
    CHECK_OK(gn_npy_write(other, &x, &err), err);
    same_files(out, other);
    gn_matrix_free(&x);
    gn_matrix_free(&y);
    gn_dataset_free(&d);
}

TEST(cancelled_and_gone_on_with)
{
    gn_error err = {0};
    gn_embed_file_result r;
    const char *whole = place("rows.npy"), *out = place("again.npy");
    gn_embed_file_options o = {.input = input("in.csv", -1), .out = out, .block_rows = 8};
    model();
    cancel_at = 20;
    CHECK_INT(gn_embed_file(context(), model(), &o, &r, &err), GN_OK); /* model() took the wish back */
    unlink(out);
    const gn_model *m = model();
    cancel_at = 20;
    CHECK_INT(gn_embed_file(context(), m, &o, &r, &err), GN_CANCELLED);
    CHECK(access(out, F_OK) != 0);
    CHECK(r.rows > 0 && r.rows < ROWS && r.rows % 8 == 0);
    uint64_t safe = r.rows;

    /* other texts where rows are finished; another number of bytes; other options */
    cancel = 0;
    o.input = input("odd.csv", 3);
    CHECK_INT(gn_embed_file(context(), model(), &o, &r, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "other texts");
    o.input = input("in.csv", -1);
    o.block_rows = 9;
    CHECK_INT(gn_embed_file(context(), model(), &o, &r, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "block_rows = 8, now it is 9");
    o.block_rows = 8;
    o.input = test_file("short.csv", "text\none\n", 9);
    CHECK_INT(gn_embed_file(context(), model(), &o, &r, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "input_bytes");

    o.input = input("in.csv", -1);
    CHECK_OK(gn_embed_file(context(), model(), &o, &r, &err), err);
    CHECK_INT(r.resumed_rows, safe);
    CHECK_INT(r.rows, ROWS);
    same_files(whole, out);
}

TEST(parts)
{
    gn_error err = {0};
    gn_embed_file_result r;
    char path[4][1024];
    const char *part[4];
    uint64_t rows = 0;
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path[i], sizeof path[i], "%s/part%u.npy", test_folder(), i);
        part[3 - i] = path[i];
        const gn_embed_file_options o = {
            .input = input("in.csv", -1), .out = path[i], .block_rows = 8, .shard = i + 1, .shards = 4};
        CHECK_OK(gn_embed_file(context(), model(), &o, &r, &err), err);
        CHECK(r.rows == ROWS / 4 || r.rows == ROWS / 4 + 1);
        rows += r.rows;
    }
    CHECK_INT(rows, ROWS);
    const char *out = place("joined.npy");
    CHECK_OK(gn_embed_merge(context(), part, 4, out, &r, &err), err);
    CHECK_INT(r.rows, ROWS);
    same_files(out, place("rows.npy"));
    const gn_embed_file_options o = {
        .input = input("odd.csv", 3), .out = path[0], .block_rows = 8, .shard = 1, .shards = 4};
    CHECK_OK(gn_embed_file(context(), model(), &o, &r, &err), err);
    CHECK_INT(gn_embed_merge(context(), part, 4, out, &r, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "not parts of one run");
}

TEST(half_precision)
{
    static const struct {
        float from;
        unsigned to;
    } cases[] = {{0.0F, 0},
                 {-0.0F, 0x8000},
                 {1.0F, 0x3C00},
                 {65504.0F, 0x7BFF},
                 {65519.0F, 0x7BFF},
                 {65520.0F, 0x7C00},
                 {0x1p-24F, 1},
                 {0x1p-25F, 0},
                 {0x1.8p-25F, 1},
                 {0x1.8p-24F, 2},
                 {0x1p-14F, 0x0400},
                 {0x1.ff8p-15F, 0x03FF},
                 {0x1.ffcp-15F, 0x0400},
                 {0x1.002p0F, 0x3C00},
                 {0x1.006p0F, 0x3C02},
                 {-0x1.004p0F, 0xBC01}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(gn__f32_to_f16(cases[i].from), cases[i].to);
    for (uint32_t h = 0; h < 0x7C00; h++) CHECK_INT(gn__f32_to_f16(gn__f16_to_f32((uint16_t)h)), h);
    const gn__layout l = {.type = GN_OUTPUT_F16, .dim = 2};
    const float x[] = {1, 70000};
    unsigned char bytes[4];
    size_t bad = 0;
    CHECK(!gn__layout_convert(&l, x, 2, bytes, &bad));
    CHECK_INT(bad, 1);
    CHECK(gn__layout_convert(&l, x, 1, bytes, &bad));
    CHECK_INT(bytes[1], 0x3C);
}
