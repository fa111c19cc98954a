/* Reading in blocks gives the rows that reading at once gives, wherever the window's end falls. */
#include "test.h"

#include "data/builder.h"
#include "genchi/genchi.h"

#include <zlib.h>
#include <zstd.h>

static gn_context *context(void)
{
    static gn_context *ctx;
    gn_error err = {0};
    if (ctx == NULL) CHECK_OK(gn_context_create(&(gn_context_options){.threads = 1}, &ctx, &err), err);
    return ctx;
}

/* Reads a file whole and in blocks and holds one against the other. */
static void compare(const char *path, const gn_dataset_options *o, size_t look, size_t step, size_t rows)
{
    gn_error err = {0}, other = {0};
    gn_dataset d = {0};
    gn_dataset_stream *s = NULL;
    gn_status whole = gn_dataset_read(context(), path, o, &d, &err);
    CHECK_OK(gn__dataset_stream_open(context(), path, o, look, step, &s, &other), other);
    gn_text_block b = {0};
    size_t row = 0, bad = 0, left = 0, record = 0;
    while (!b.end) {
        CHECK_OK(gn_dataset_stream_next(s, rows, 1 << 20, &b, &other), other);
        CHECK(b.rows <= rows);
        for (size_t i = 0; i < b.rows; i++, row++) {
            CHECK(row < d.rows);
            CHECK_INT(b.length[i], d.length[row]);
            CHECK_STR(b.text[i], d.text[row]);
            CHECK_INT(b.line[i], d.line[row]);
        }
        for (size_t i = 0; i < b.left_outs; i++, left++) {
            CHECK(b.left_out[i].record > record);
            record = b.left_out[i].record;
            if (b.left_out[i].kind != GN_LEFT_OUT_MALFORMED || whole != GN_OK) continue;
            CHECK_INT(b.left_out[i].line, d.malformed_rows[bad].line);
            CHECK_STR(b.left_out[i].reason, d.malformed_rows[bad].reason);
            bad++;
        }
    }
    gn_stream_info info;
    gn_dataset_stream_info(s, &info);
    if (whole == GN_OK) {
        CHECK_INT(row, d.rows);
        CHECK_INT(info.rows, d.rows);
        CHECK_INT(info.rows_read, d.rows_read);
        CHECK_INT(info.malformed, d.malformed);
        CHECK_INT(info.empty, d.empty_texts);
        CHECK_INT(info.dropped_by_label, d.dropped_by_label);
        CHECK_INT(left, d.rows_read - d.rows);
        CHECK_INT(info.bytes, info.total_bytes);
    } else {
        CHECK_INT(whole, GN_DATA);
        CHECK_INT(row, 0);
    }
    char sha256[65];
    gn_dataset_stream_close(s, sha256);
    if (whole == GN_OK) CHECK_STR(sha256, d.sha256);
    gn_dataset_free(&d);
}

/* A new file each time: replacing one by truncation makes some file systems wait for the disk. */
static const char *fresh(const char *bytes, size_t n)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/t", test_folder());
    remove(path);
    return test_file("t", bytes, n);
}

/* Letters that make trouble, often. */
static size_t random_table(gn__rng *r, char separator, char *out, size_t most)
{
    static const char odd[] = "\"\"\"\n\n\r,,\t a";
    size_t n = 0, wanted = 20 + gn__rng_below(r, 400);
    n += (size_t)sprintf(out, "text%clabel\n", separator);
    while (n < wanted && n + 40 < most) {
        if (gn__rng_below(r, 3) == 0) {
            for (uint32_t k = gn__rng_below(r, 12); k > 0; k--)
                out[n++] = odd[gn__rng_below(r, sizeof odd - 1)];
        } else {
            n += (size_t)sprintf(out + n, "\"w%u\nx\"%cl%u\r\n", gn__rng_u32(r) % 1000, separator,
                                 gn__rng_below(r, 3));
        }
    }
    return n;
}

TEST(blocks_are_the_file)
{
    char bytes[600];
    for (uint64_t k = 0; k < 3000; k++) {
        gn__rng r = gn__rng_make(11, gn__purpose("test/stream"), k);
        bool tabs = k % 2;
        gn_dataset_options o = {.format = tabs ? GN_FORMAT_TSV : GN_FORMAT_CSV,
                                .encoding = GN_ENCODING_UTF8,
                                .header = GN_HEADER_YES,
                                .text = "text",
                                .label = "label",
                                .drop_labels = "l1"};
        size_t n = random_table(&r, tabs ? '\t' : ',', bytes, sizeof bytes);
        compare(fresh(bytes, n), &o, 16 + gn__rng_below(&r, 200), 1 + gn__rng_below(&r, 64),
                1 + gn__rng_below(&r, 9));
    }
}

TEST(text_and_jsonl)
{
    char bytes[700];
    for (uint64_t k = 0; k < 500; k++) {
        gn__rng r = gn__rng_make(12, gn__purpose("test/stream"), k);
        size_t n = 0;
        bool json = k % 2;
        for (uint32_t i = 0; i < 12; i++)
            n += (size_t)sprintf(bytes + n, json ? "{\"text\": \"%.*s\"%s\r\n" : "%.*s%s\n",
                                 (int)(i == 0 ? 3 : gn__rng_below(&r, 20)), "あいう abcdefghijklmnop",
                                 json && (i == 0 || gn__rng_below(&r, 5) > 0) ? "}" : "");
        if (json && n > 0) n--; /* the last line has no end */
        gn_dataset_options o = {.format = json ? GN_FORMAT_JSONL : GN_FORMAT_TEXT,
                                .encoding = GN_ENCODING_UTF8};
        compare(fresh(bytes, n), &o, 60 + gn__rng_below(&r, 100), 1 + gn__rng_below(&r, 64), 3);
    }
}

/* The example files, with everything detected, as they are and compressed. */
TEST(compressed)
{
    char path[1100];
    const char *plain = test_path("examples/data/ja_train.csv");
    char *bytes;
    size_t n, bound;
    gn_error err = {0};
    CHECK_OK(gn__read_file(plain, 1 << 20, &bytes, &n, &err), err);
    compare(plain, NULL, 16 << 20, 1 << 20, 100);
    compare(plain, NULL, 8192, 300, 7);
    snprintf(path, sizeof path, "%s/t.csv.gz", test_folder());
    gzFile gz = gzopen(path, "wb");
    CHECK(gzwrite(gz, bytes, (unsigned)n) == (int)n);
    gzclose(gz);
    compare(path, NULL, 8192, 300, 7);
    bound = ZSTD_compressBound(n);
    char *packed = malloc(bound);
    size_t size = ZSTD_compress(packed, bound, bytes, n, 3);
    compare(test_file("t.csv.zst", packed, size), NULL, 8192, 300, 7);
    const char *cut = test_file("c.csv.zst", packed, size / 2);
    gn_dataset_stream *s = NULL;
    gn_status status = gn_dataset_stream_open(context(), cut, NULL, &s, &err);
    CHECK_INT(status, GN_IO);
    CHECK_HAS(err.message, "cut short");
    free(packed);
    free(bytes);
}

/* Records longer than the window may grow cost one malformed row and the lines after it are read. */
TEST(too_long)
{
    enum { LONG = 4000 };
    char *bytes = malloc(3 * LONG);
    gn_error err = {0};
    for (int kind = 0; kind < 2; kind++) {
        size_t n = (size_t)sprintf(bytes, "text\none\n%s", kind ? "\"open " : "");
        memset(bytes + n, 'x', LONG);
        n += LONG;
        n += (size_t)sprintf(bytes + n, "\ntwo\n");
        if (kind) {
            for (int i = 0; i < 500; i++) n += (size_t)sprintf(bytes + n, "row %d\n", i);
        }
        gn_dataset_options o = {
            .format = GN_FORMAT_CSV, .encoding = GN_ENCODING_UTF8, .text = "text", .max_text_bytes = 1000};
        gn_dataset_stream *s = NULL;
        CHECK_OK(gn__dataset_stream_open(context(), test_file("long.csv", bytes, n), &o, 64, 32, &s, &err),
                 err);
        gn_text_block b = {0};
        CHECK_OK(gn_dataset_stream_next(s, 10000, 1 << 20, &b, &err), err);
        CHECK_INT(b.rows, kind ? 502 : 2);
        CHECK_STR(b.text[0], "one");
        CHECK_STR(b.text[1], "two");
        CHECK_INT(b.line[1], 4);
        CHECK_INT(b.left_outs, 1);
        CHECK_INT(b.left_out[0].line, 3);
        CHECK_INT(b.left_out[0].record, 2);
        gn_dataset_stream_close(s, NULL);
    }
    free(bytes);
}
