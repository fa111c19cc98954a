/* Two datasets side by side: classes, duplicates, presets, and the real data where it lies beside. */
#include "data/data.h"
#include "test.h"

#include <unistd.h>

static gn_error error;
static gn_dataset train, test;

static gn_context *context(void)
{
    static gn_context *ctx;
    if (ctx == NULL && gn_context_create(&(gn_context_options){.threads = 1}, &ctx, NULL) != GN_OK) abort();
    return ctx;
}

static void load(gn_dataset *d, const char *csv)
{
    gn_dataset_free(d);
    error = (gn_error){0};
    CHECK_OK(gn__dataset_parse(context(), d == &train ? "train.csv" : "test.csv", csv, strlen(csv), NULL, d,
                               &error),
             error);
}

static const char *name_of(const gn_dataset *d, size_t row)
{
    return d->label[row] < 0 ? "" : d->class_names[d->label[row]];
}

TEST(classes_are_aligned)
{
    load(&train, "text,label\na,neg\nb,pos\n");
    load(&test, "text,label\nc,pos\nd,neutral\ne,\n");
    CHECK_OK(gn_dataset_align_classes(&train, &test, &error), error);
    CHECK_INT(train.classes, 3);
    CHECK_INT(test.classes, 3);
    for (int i = 0; i < 3; i++) {
        static const char *const order[] = {"neg", "neutral", "pos"};
        CHECK_STR(train.class_names[i], order[i]);
        CHECK_STR(test.class_names[i], order[i]);
    }
    CHECK_STR(name_of(&train, 1), "pos");
    CHECK_STR(name_of(&test, 0), "pos");
    CHECK_STR(name_of(&test, 1), "neutral");
    CHECK_INT(test.label[2], -1);
    /* a number list that stops being one */
    load(&train, "text,label\na,10\nb,9\n");
    load(&test, "text,label\nc,x\n");
    CHECK_OK(gn_dataset_align_classes(&train, &test, &error), error);
    CHECK_STR(train.class_names[0], "10");
    CHECK_STR(name_of(&train, 1), "9");
}

TEST(alignment_with_an_unlabelled_set)
{
    load(&train, "text,label\na,neg\nb,pos\n");
    load(&test, "text\nc\n");
    CHECK_OK(gn_dataset_align_classes(&train, &test, &error), error);
    CHECK_INT(test.classes, 2);
    CHECK(test.label == NULL);
    load(&train, "text\nc\n");
    load(&test, "text\nd\n");
    CHECK_OK(gn_dataset_align_classes(&train, &test, &error), error);
    CHECK_INT(train.classes, 0);
}

TEST(duplicates_across_normal_forms_and_spaces)
{
    load(
        &train,
        "text,label\nﾊﾝｶｸ ﾃﾞｽ,1\nＡＢＣ　１２,0\nonly here,1\n\" a  b\t\n c \",0\ncafe\xCC\x81,1\na b d,0\n");
    load(&test, "text,label\nハンカク デス,1\nABC 12,0\na b c,1\ncaf\xC3\xA9,0\na\xE2\x80\xA8\xE3\x80\x80"
                "bd,1\n");
    gn_duplicates n;
    CHECK_OK(gn_dataset_deduplicate(&train, &test, true, &n, &error), error);
    CHECK_INT(n.across, 4);
    CHECK_INT(n.removed_from_train, 0);
    CHECK_INT(train.rows, 6);
    CHECK_OK(gn_dataset_deduplicate(&train, &test, false, &n, &error), error);
    CHECK_INT(n.removed_from_train, 4);
    CHECK_INT(train.rows, 2);
    CHECK_INT(test.rows, 5);
    CHECK_STR(train.text[0], "only here");
    CHECK_STR(train.text[1], "a b d");
}

TEST(repeats_and_their_labels)
{
    load(&train, "text,label\nx,1\ny,\nx,0\nX,1\ny,0\ny,1\nx,1\n");
    load(&test, "text,label\nz,1\nz ,1\nz,0\nw,1\n");
    gn_duplicates n;
    CHECK_OK(gn_dataset_deduplicate(&train, &test, false, &n, &error), error);
    CHECK_INT(n.within_train, 4);
    CHECK_INT(n.conflicting_train, 2); /* row 3 against row 1, row 6 against row 5, the first labelled y */
    CHECK_INT(n.within_test, 2);
    CHECK_INT(n.conflicting_test, 1);
    CHECK_INT(n.across, 0);
    CHECK_INT(train.rows, 7);
}

TEST(long_texts_are_compared_too)
{
    gn__buf a = {0}, b = {0};
    gn__buf_puts(&a, "text\n");
    gn__buf_puts(&b, "text\n");
    for (int i = 0; i < 50; i++) {
        gn__buf_puts(&a, "長い文章 ");
        gn__buf_puts(&b, "長い文章　 ");
    }
    gn__buf_puts(&a, "a\nnot that\n");
    gn__buf_puts(&b, "a\n");
    load(&train, a.data);
    load(&test, b.data);
    gn__buf_free(&a);
    gn__buf_free(&b);
    gn_duplicates n;
    CHECK_OK(gn_dataset_deduplicate(&train, &test, false, &n, &error), error);
    CHECK_INT(n.across, 1);
    CHECK_STR(train.text[0], "not that");
}

TEST(expanding_characters_are_normalised)
{
    load(&train, "text\n\xEF\xB7\xBA\nother\n"); /* U+FDFA: 18 code points in NFKC */
    load(&test, "text\n\xEF\xB7\xBA\n");
    gn_duplicates n;
    CHECK_OK(gn_dataset_deduplicate(&train, &test, false, &n, &error), error);
    CHECK_INT(n.across, 1);
}

TEST(a_train_set_inside_test_is_an_error)
{
    load(&train, "text\na\n");
    load(&test, "text\na\nb\n");
    gn_duplicates n;
    CHECK_INT(gn_dataset_deduplicate(&train, &test, false, &n, &error), GN_DATA);
    CHECK_HAS(error.message, "every text of train.csv occurs in test.csv");
    CHECK_INT(train.rows, 1);
    CHECK_OK(gn_dataset_deduplicate(&train, &test, true, &n, &error), error);
}

TEST(filter_keeps_the_unlabelled_count)
{
    load(&train, "text,label\na,1\nb,\nc,\n");
    CHECK_INT(train.unlabelled, 2);
    CHECK_OK(gn_dataset_filter(&train, (const unsigned char[]){1, 0, 1}, &error), error);
    CHECK_INT(train.unlabelled, 1);
    CHECK_INT(train.rows, 2);
}

TEST(unknown_preset)
{
    gn_dataset_options o;
    CHECK_INT(gn_dataset_preset("imdb", false, &o, &error), GN_INVALID_ARGUMENT);
    CHECK_STR(error.message, "there is no preset \"imdb\"; the presets are: sentiment140");
}

/* Counts from the data's own README, and from Python's csv module. */
TEST(sentiment140)
{
    const char *folder = test_path("../shared/data/sentiment140/test_manual.csv");
    gn_dataset_options o;
    if (access(folder, R_OK) != 0) test_skip("../shared/data is not here");
    gn_dataset_free(&train);
    gn_dataset_free(&test);
    CHECK_OK(gn_dataset_preset("sentiment140", true, &o, &error), error);
    CHECK_OK(gn_dataset_read(context(), folder, &o, &test, &error), error);
    CHECK_INT(test.rows_read, 498);
    CHECK_INT(test.malformed, 0);
    CHECK_INT(test.dropped_by_label, 139);
    CHECK_INT(test.rows, 359);
    CHECK_INT(test.classes, 2);
    CHECK_STR(test.class_names[0], "negative");
    size_t negative = 0, named = 0;
    for (size_t i = 0; i < test.rows; i++) negative += test.label[i] == 0;
    CHECK_INT(negative, 177);
    for (size_t i = 0; i < test.groups; i++) named += *test.group_name[i] != '\0';
    CHECK_INT(named, 73);
    CHECK_OK(gn_dataset_preset("sentiment140", false, &o, &error), error);
    double start = gn__now();
    CHECK_OK(gn_dataset_read(context(), test_path("../shared/data/sentiment140/train_sample_20k.csv"), &o,
                             &train, &error),
             error);
    CHECK(gn__now() - start < 3);
    CHECK_INT(train.rows_read, 20000);
    CHECK_INT(train.malformed, 0);
    CHECK(train.group == NULL);
    negative = 0;
    for (size_t i = 0; i < train.rows; i++) negative += train.label[i] == 0;
    CHECK_INT(negative + train.empty_texts, 9942);
    /* and without being told the encoding */
    o.encoding = GN_ENCODING_AUTO;
    gn_dataset_free(&train);
    CHECK_OK(gn_dataset_read(context(), test_path("../shared/data/sentiment140/train_sample_20k.csv"), &o,
                             &train, &error),
             error);
    CHECK_INT(train.encoding, GN_ENCODING_LATIN1);
}

TEST(jcola)
{
    const char *path = test_path("../shared/data/jcola/in_domain_train-v1.0.tsv");
    if (access(path, R_OK) != 0) test_skip("../shared/data is not here");
    gn_dataset_free(&train);
    CHECK_OK(gn_dataset_read(context(), path, NULL, &train, &error), error);
    CHECK_INT(train.rows, 6919);
    CHECK_INT(train.malformed, 0);
    CHECK_INT(train.encoding, GN_ENCODING_UTF8);
    CHECK_STR(train.text_column, "sentence");
    CHECK_INT(train.classes, 2);
    CHECK(train.id != NULL);
}
