/* Embeddings from elsewhere: .npz and .safetensors, against files that NumPy and safetensors wrote. */
#include "data/npz.h"
#include "data/zip.h"
#include "genchi/check.h"
#include "genchi/vectors.h"
#include "test.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static gn_error error;
static const float value[] = {1.5f, -2.25f, 3, 0.25f, 4, -1};

static gn_status read_golden(const char *name, gn_matrix *x, gn_dataset *d)
{
    char path[128];
    gn_context *ctx = NULL;
    snprintf(path, sizeof path, "tests/golden/data/%s", name);
    error = (gn_error){0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 1}, &ctx, &error), error);
    gn_status status = gn_vectors_read(ctx, test_path(path), NULL, x, d, &error);
    gn_context_free(ctx);
    return status;
}

TEST(matrices)
{
    static const char *const name[] = {"plain.npz", "deflated.npz", "alone.npz", "plain.safetensors",
                                       "wide.safetensors"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        gn_matrix x;
        gn_dataset d;
        CHECK_OK(read_golden(name[i], &x, &d), error);
        CHECK_INT(x.rows, 2);
        CHECK_INT(x.cols, 3);
        CHECK_INT(d.rows, 2);
        CHECK_INT(strlen(d.sha256), 64);
        for (size_t k = 0; k < 6; k++) CHECK_NEAR(x.data[k], value[k], 0);
        gn_matrix_free(&x);
        gn_dataset_free(&d);
    }
}

TEST(columns)
{
    static const struct {
        const char *name, *classes[2], *ids[2];
        int label[2];
        size_t groups;
    } cases[] = {{"plain.npz", {"neg", "日本"}, {"a1", ""}, {0, 1}, 2},
                 {"deflated.npz", {"0", "1"}, {"2", "200"}, {1, 0}, 0},
                 {"plain.safetensors", {"-4", "3"}, {NULL, NULL}, {1, 0}, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_matrix x;
        gn_dataset d;
        CHECK_OK(read_golden(cases[i].name, &x, &d), error);
        CHECK_INT(d.classes, 2);
        for (int k = 0; k < 2; k++) {
            CHECK_STR(d.class_names[k], cases[i].classes[k]);
            CHECK_INT(d.label[k], cases[i].label[k]);
            if (cases[i].ids[k] != NULL) CHECK_STR(d.id[k], cases[i].ids[k]);
        }
        CHECK((d.id != NULL) == (cases[i].ids[0] != NULL));
        CHECK_INT(d.groups, cases[i].groups);
        CHECK((d.group != NULL) == (cases[i].groups > 0));
        gn_matrix_free(&x);
        gn_dataset_free(&d);
    }
}

TEST(refusals)
{
    static const struct {
        const char *name;
        gn_status status;
        const char *words;
    } cases[] = {{"no_matrix.npz", GN_FORMAT, "\"embeddings\"; it holds: a, b"},
                 {"objects.npz", GN_UNSUPPORTED, "labels.npy holds values of type |O"},
                 {"fractions.npz", GN_UNSUPPORTED, "type <f8; integers"},
                 {"two_dim_labels.npz", GN_FORMAT, "one dimension, but has 2"},
                 {"three_labels.npz", GN_DATA, "\"labels\" has 3 values, but there are 2 rows"},
                 {"bzip2.npz", GN_UNSUPPORTED, "method 12"},
                 {"flat.safetensors", GN_FORMAT, "shape [2]"},
                 {"real_labels.safetensors", GN_UNSUPPORTED, "tensor labels has the type F32"},
                 {"nan.safetensors", GN_DATA, "row 1, column 2"},
                 {"absent.npz", GN_IO, "cannot open"},
                 {"README", GN_INVALID_ARGUMENT, "by its name"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_matrix x;
        gn_dataset d;
        CHECK_INT(read_golden(cases[i].name, &x, &d), cases[i].status);
        CHECK_HAS(error.message, cases[i].words);
    }
}

/* ---- straight into check -------------------------------------------------------------------------- */

typedef struct answer {
    double p, auc, overlap, cross, transfer;
    size_t rows, groups, classes; /* no padding: compared as bytes */
} answer;

static answer checked(const char *form, bool labels_beside)
{
    gn_context *ctx = NULL;
    gn_result r;
    char path[4][1024];
    static const char *const set[] = {"train", "test"};
    for (int i = 0; i < 2; i++) {
        char relative[128];
        snprintf(relative, sizeof relative, "tests/golden/data/vectors/%s.%s", set[i], form);
        snprintf(path[i], sizeof path[i], "%s", test_path(relative));
        snprintf(relative, sizeof relative, "tests/golden/data/vectors/%s.labels.txt", set[i]);
        snprintf(path[2 + i], sizeof path[2 + i], "%s", test_path(relative));
    }
    gn_check_options o = {.train = path[0],
                          .test = path[1],
                          .train_labels = labels_beside ? path[2] : NULL,
                          .test_labels = labels_beside ? path[3] : NULL,
                          .detect = {.permutations = 99},
                          .probe = {.folds = 3, .inner_folds = 3, .bootstrap = 100, .repeats = 1}};
    error = (gn_error){0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2, .seed = 5}, &ctx, &error), error);
    CHECK_OK(gn_check(ctx, &o, &r, &error), error);
    const gn_model_evidence *m = &r.main;
    answer a = {.p = m->shift.p_value,
                .auc = m->shift.auc.estimate,
                .overlap = m->picture.pc1.overlap.estimate,
                .cross = m->probe.eval[GN_EVAL_TEST_CV].scores.accuracy.estimate,
                .transfer = m->probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.accuracy.estimate,
                .rows = r.train.rows + r.test.rows,
                .groups = r.test.groups,
                .classes = (size_t)r.classes};
    gn_result_free(&r);
    gn_context_free(ctx);
    return a;
}

/* The same numbers in another form give the same bits; groups change folds, so those agree among themselves.
 */
TEST(check_says_the_same_of_every_form)
{
    static const struct {
        const char *form;
        bool labels_beside;
    } forms[] = {{"f4.npy", true},         {"f2.npy", true},           {"fortran.npy", true},
                 {"bf16.npy", true},       {"plain.npz", false},       {"words.npz", false},
                 {"plain.npz", true},      {"f16.safetensors", false}, {"bf16.safetensors", false},
                 {"f16.safetensors", true}};
    answer first = checked(forms[0].form, true), grouped = checked("grouped.npz", false), again;
    CHECK_INT(first.rows, 120);
    CHECK_INT(first.classes, 2);
    CHECK_INT(first.groups, 0);
    CHECK(first.p < 0.05 && first.overlap < 1 && first.cross > 0.5);
    for (size_t i = 1; i < sizeof forms / sizeof *forms; i++) {
        again = checked(forms[i].form, forms[i].labels_beside);
        if (memcmp(&again, &first, sizeof first) != 0)
            test_fail(__FILE__, __LINE__, "%s: p %.17g, AUC %.17g; f4.npy: %.17g, %.17g", forms[i].form,
                      again.p, again.auc, first.p, first.auc);
    }
    CHECK_INT(grouped.groups, 30);
    again = checked("grouped.safetensors", false);
    CHECK(memcmp(&again, &grouped, sizeof grouped) == 0);
}

/* uint16 is bfloat16 only where the file beside it says so. */
TEST(bfloat16_in_npy_needs_its_word)
{
    char path[PATH_MAX], copy[1100];
    gn_matrix x;
    CHECK(realpath(test_path("tests/golden/data/vectors/train.bf16.npy"), path) != NULL);
    snprintf(copy, sizeof copy, "%s/u2.npy", test_folder());
    CHECK(symlink(path, copy) == 0);
    error = (gn_error){0};
    CHECK_INT(gn_npy_read(copy, &x, &error), GN_UNSUPPORTED);
    CHECK_HAS(error.message, "type <u2");
    char beside[1200];
    snprintf(beside, sizeof beside, "%s.json", copy);
    static const char *const words[] = {"{\"schema\": \"other/1\", \"type\": \"bfloat16\"}",
                                        "{\"schema\": \"genchi.embeddings/1\", \"type\": \"float32\"}",
                                        "no JSON",
                                        "{\"schema\": \"genchi.embeddings/1\", \"type\": \"bfloat16\"}"};
    for (size_t i = 0; i < 4; i++) {
        CHECK_OK(gn__write_file(beside, words[i], strlen(words[i]), &error), error);
        CHECK_INT(gn_npy_read(copy, &x, &error), i < 3 ? GN_UNSUPPORTED : GN_OK);
    }
    CHECK_INT(x.rows, 60);
    gn_matrix_free(&x);
}

TEST(names)
{
    CHECK(gn_vectors_named("a.npy") && gn_vectors_named("x/b.NPZ") && gn_vectors_named("c.safetensors"));
    CHECK(!gn_vectors_named("a.csv") && !gn_vectors_named(".npy") && !gn_vectors_named("npz"));
}

static unsigned char *load(const char *name, size_t *size)
{
    char path[128];
    snprintf(path, sizeof path, "tests/golden/data/%s", name);
    FILE *f = fopen(test_path(path), "rb");
    CHECK(f != NULL);
    unsigned char *data = malloc(100000);
    *size = fread(data, 1, 100000, f);
    fclose(f);
    return data;
}

static gn_status parse(const unsigned char *data, size_t size)
{
    gn_matrix x = {0};
    gn__vector_columns c = {0};
    unsigned char *exact = malloc(size ? size : 1); /* so that a sanitizer sees the end */
    memcpy(exact, data, size);
    error = (gn_error){0};
    gn_status status = gn__npz_parse("x.npz", exact, size, &x, &c, &error);
    free(exact);
    if (status != GN_OK) return status;
    gn_matrix_free(&x);
    gn__vector_columns_free(&c);
    return GN_OK;
}

/* Cut anywhere, an archive is refused: its directory stands at the end. */
TEST(cut_archives)
{
    size_t size;
    unsigned char *data = load("deflated.npz", &size);
    CHECK_INT(parse(data, size), GN_OK);
    for (size_t n = 0; n < size; n++)
        if (parse(data, n) == GN_OK) test_fail(__FILE__, __LINE__, "cut at %zu of %zu it is read", n, size);
    free(data);
}

/* Any one byte changed gives a refusal, or an archive that still says the same of what is used. */
TEST(changed_bytes)
{
    size_t size, refused = 0;
    unsigned char *data = load("deflated.npz", &size);
    for (size_t n = 0; n < size; n++) {
        data[n] ^= 0x41;
        refused += parse(data, size) != GN_OK;
        data[n] ^= 0x41;
    }
    CHECK(refused > size / 3);
    free(data);
}

/* A directory entry that claims more than deflate can make of its bytes is refused before memory is asked
 * for. */
TEST(a_bomb)
{
    size_t size, at = 0;
    unsigned char *data = load("deflated.npz", &size);
    while (at + 4 < size && memcmp(data + at, "PK\1\2", 4) != 0) at++;
    memset(data + at + 24, 0x7F, 4);
    CHECK_INT(parse(data, size), GN_FORMAT);
    CHECK_HAS(error.message, "larger than its bytes can make");
    free(data);
}

TEST(not_archives)
{
    static const char *const bytes[] = {"", "PK", "PK\5\6",
                                        "\x93NUMPY and more of it than an end record has"};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        CHECK_INT(parse((const unsigned char *)bytes[i], strlen(bytes[i])), GN_FORMAT);
}

/* Zip64: the sizes stand in the extra field, the directory is found by its locator. */
TEST(zip64)
{
    static const unsigned char file[] =
        "PK\3\4\55\0\0\0\0\0\0\0\0\0\206\246\20\66\5\0\0\0\5\0\0\0\1\0\0\0ahello"
        "PK\1\2\55\0\55\0\0\0\0\0\0\0\0\0\206\246\20\66\377\377\377\377\377\377\377\377\1\0"
        "\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a\1\0\20\0\5\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0"
        "PK\6\6\54\0\0\0\0\0\0\0\55\0\55\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
        "\103\0\0\0\0\0\0\0\44\0\0\0\0\0\0\0PK\6\7\0\0\0\0\147\0\0\0\0\0\0\0\1\0\0\0"
        "PK\5\6\0\0\0\0\377\377\377\377\377\377\377\377\377\377\377\377\0\0";
    gn__zip z;
    const unsigned char *data;
    unsigned char *owned;
    CHECK_OK(gn__zip_open("x.zip", file, sizeof file - 1, &z, &error), error);
    CHECK_INT(z.entries, 1);
    CHECK_STR(z.entry[0].name, "a");
    CHECK_INT(z.entry[0].size, 5);
    CHECK_OK(gn__zip_read("x.zip", &z, &z.entry[0], &data, &owned, &error), error);
    CHECK(owned == NULL && memcmp(data, "hello", 5) == 0);
    gn__zip_free(&z);
}
