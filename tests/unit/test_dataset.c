/* Formats, columns, labels and malformed rows of gn_dataset_read, on bytes in memory and on files. */
#include "data/data.h"
#include "test.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static gn_context *context(void)
{
    static gn_context *ctx;
    if (ctx == NULL && gn_context_create(&(gn_context_options){.threads = 1}, &ctx, NULL) != GN_OK) abort();
    return ctx;
}

static gn_dataset set; /* freed by the next read */
static gn_error error;

static gn_status parse_n(const char *name, const char *s, size_t n, gn_dataset_options o)
{
    gn_dataset_free(&set);
    error = (gn_error){0};
    /* a copy of its exact size, so that the sanitizer sees any read beyond it */
    char *copy = malloc(n ? n : 1);
    memcpy(copy, s, n);
    gn_status status = gn__dataset_parse(context(), name, copy, n, &o, &set, &error);
    free(copy);
    if (status == GN_OK)
        CHECK_INT(set.rows_read, set.rows + set.malformed + set.dropped_by_label + set.empty_texts);
    return status;
}

static gn_status parse(const char *name, const char *s, gn_dataset_options o)
{
    return parse_n(name, s, strlen(s), o);
}

#define NONE ((gn_dataset_options){0})
#define WITH(...) ((gn_dataset_options){__VA_ARGS__})

static const char *label_of(size_t row)
{
    return set.label[row] < 0 ? "" : set.class_names[set.label[row]];
}

TEST(csv_follows_rfc_4180)
{
    CHECK_OK(parse("a.csv",
                   "text,label\r\n\"a, \"\"b\"\"\r\nc\",pos\r\nplain,neg\r\n\"\"\"\",pos\r\n  x  ,\"neg\"",
                   NONE),
             error);
    CHECK_INT(set.rows, 4);
    CHECK_INT(set.malformed, 0);
    CHECK_STR(set.text[0], "a, \"b\"\r\nc");
    CHECK_INT(set.length[0], 9);
    CHECK_STR(set.text[1], "plain");
    CHECK_STR(set.text[2], "\"");
    CHECK_STR(set.text[3], "  x  ");
    CHECK_INT(set.line[0], 2);
    CHECK_INT(set.line[1], 4);
    CHECK_INT(set.line[3], 6);
    CHECK_INT(set.classes, 2);
    CHECK_STR(set.class_names[0], "neg");
    CHECK_STR(label_of(0), "pos");
    CHECK_STR(label_of(3), "neg");
    CHECK_STR(set.text_column, "text");
    CHECK_STR(set.label_column, "label");
    CHECK(set.group_column == NULL && set.group == NULL && set.id == NULL);
    CHECK_STR(set.path, "a.csv");
    CHECK_INT(set.format, GN_FORMAT_CSV);
}

/* Whatever a text holds, quoted it comes back. */
TEST(quoted_texts_come_back)
{
    static const char *const piece[] = {"a", ",", "\"", "\n", "\r", "\t", "あ", " ", "\r\n", "\"\""};
    gn__rng rng = gn__rng_make(1, gn__purpose("test/csv"), 0);
    for (int file = 0; file < 40; file++) {
        gn__buf csv = {0}, text[50] = {0};
        bool tabs = file % 2 == 1;
        gn__buf_puts(&csv, tabs ? "n\ttext\n" : "n,text\n");
        for (int i = 0; i < 50; i++) {
            gn__buf_printf(&csv, tabs ? "%d\t\"" : "%d,\"", i);
            for (uint32_t k = gn__rng_below(&rng, 12); k > 0; k--)
                gn__buf_puts(&text[i], piece[gn__rng_below(&rng, sizeof piece / sizeof *piece)]);
            gn__buf_putc(&text[i], 'x');
            for (size_t k = 0; k < text[i].length; k++) {
                if (text[i].data[k] == '"') gn__buf_putc(&csv, '"');
                gn__buf_putc(&csv, text[i].data[k]);
            }
            gn__buf_puts(&csv, file % 3 == 0 ? "\"\r\n" : "\"\n");
        }
        gn_status status = parse(tabs ? "a.tsv" : "a.csv", csv.data, NONE);
        gn__buf_free(&csv);
        CHECK_OK(status, error);
        CHECK_INT(set.rows, 50);
        for (int i = 0; i < 50; i++) {
            CHECK_STR(set.text[i], text[i].data);
            gn__buf_free(&text[i]);
        }
    }
}

TEST(csv_takes_quotes_inside_plain_fields)
{
    CHECK_OK(parse("a.csv", "text,label\nsay \"hi\" now,1\n5\" pipe,0\n", NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_STR(set.text[0], "say \"hi\" now");
    CHECK_STR(set.text[1], "5\" pipe");
}

TEST(stray_quote_costs_one_row)
{
    CHECK_OK(parse("a.csv", "text,label\n\"stray,1\nfoo,0\nbar,1\n", NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_STR(set.text[0], "foo");
    CHECK_INT(set.malformed, 1);
    CHECK_INT(set.malformed_rows[0].line, 2);
    CHECK_HAS(set.malformed_rows[0].reason, "line 2 is never closed");
    /* the same where all other rows are quoted: the quote ends at the next row's first */
    CHECK_OK(parse("a.csv", "text,label\n\"stray,1\n\"foo\",0\n\"bar\",1\n", NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_INT(set.malformed, 1);
    CHECK_HAS(set.malformed_rows[0].reason, "closing quote of the field opened on line 2");
}

TEST(remains_of_a_broken_quote_are_malformed)
{
    CHECK_OK(parse("a.csv", "text,label\n\"one\ntwo \"quoted\" words\",1\nplain \"fine\" here,0\n", NONE),
             error);
    CHECK_INT(set.rows, 1);
    CHECK_STR(set.text[0], "plain \"fine\" here");
    CHECK_INT(set.malformed, 2);
    CHECK_INT(set.malformed_rows[0].line, 2);
    CHECK_INT(set.malformed_rows[1].line, 3);
    CHECK_HAS(set.malformed_rows[1].reason, "on line 3 holds a quote, right after a broken");
}

TEST(wrong_number_of_columns_is_malformed)
{
    CHECK_OK(parse("a.csv", "id,text,label\n1,\"a\nb\",x\n2,c\n3,d,y,z\n4,e,x\n\n5,f,y", NONE), error);
    CHECK_INT(set.rows, 3);
    CHECK_INT(set.rows_read, 5);
    CHECK_INT(set.malformed, 2);
    CHECK_INT(set.malformed_rows[0].line, 4);
    CHECK_STR(set.malformed_rows[0].reason, "columns found: 2, expected: 3");
    CHECK_INT(set.malformed_rows[1].line, 5);
    CHECK_STR(set.id[2], "5");
    CHECK_INT(set.line[2], 8);
    /* without a header most rows decide, not the first */
    CHECK_OK(parse("a.csv", "only one\nb,x\nc,y\n", WITH(.text = "1", .label = "2")), error);
    CHECK_INT(set.rows, 2);
    CHECK_INT(set.malformed, 1);
    CHECK_INT(set.malformed_rows[0].line, 1);
}

TEST(strict_makes_the_first_malformed_row_an_error)
{
    CHECK_INT(parse("a.csv", "text,label\nok,1\nshort\nalso,too,many\n", WITH(.strict = true)), GN_FORMAT);
    CHECK_INT(error.line, 3);
    CHECK_STR(error.message, "a.csv, line 3: columns found: 1, expected: 2");
    CHECK_INT(parse("a.csv", "text\na\xFFz\n", WITH(.strict = true, .encoding = GN_ENCODING_UTF8)),
              GN_FORMAT);
    CHECK_INT(error.line, 2);
    CHECK_STR(error.message, "a.csv, line 2: byte 2 of column 1 is not valid UTF-8");
}

TEST(messages_are_translated)
{
    gn_error ja = {.lang = GN_LANG_JA};
    gn_dataset d;
    gn_dataset_options strict = {.strict = true};
    CHECK_INT(gn__dataset_parse(context(), "a.csv", "text,label\nx\n", 13, &strict, &d, &ja), GN_FORMAT);
    CHECK_STR(ja.message, "a.csv の 2 行目: 列の数は 1、正しくは 2");
}

TEST(empty_lines_are_no_records_in_wide_files)
{
    CHECK_OK(parse("a.csv", "\n\ntext,label\n\na,1\n\r\nb,0\n\n\n", NONE), error);
    CHECK_INT(set.rows_read, 2);
    CHECK_INT(set.line[1], 7);
    CHECK_OK(parse("a.csv", "text\na\n\n \nb\n", NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_INT(set.empty_texts, 2);
}

TEST(tsv_keeps_fields_that_only_begin_with_a_quote)
{
    CHECK_OK(
        parse("a.tsv", "label\ttext\n1\t\"Great\" film\n0\t\"a\tb\"\n1\t\"open\n0\t\"x \"\"y\"\"\"\n", NONE),
        error);
    CHECK_INT(set.rows, 4);
    CHECK_STR(set.text[0], "\"Great\" film");
    CHECK_STR(set.text[1], "a\tb");
    CHECK_STR(set.text[2], "\"open");
    CHECK_STR(set.text[3], "x \"y\"");
}

TEST(jsonl_values)
{
    CHECK_OK(
        parse("a.jsonl",
              "{\"text\":\"a\\u3042\\n\",\"label\":4.0,\"id\":12345678901234567}\n"
              "{\"label\":true,\"text\":\"b\\u0000c\"}\r\n\n"
              "{\"text\":\"d\",\"label\":null}\n{\"text\":\"e\",\"label\":0.1}\n{\"text\":null,\"label\":1}",
              NONE),
        error);
    CHECK_INT(set.rows, 4);
    CHECK_STR(set.text[0], "aあ\n");
    CHECK_STR(label_of(0), "4");
    CHECK_STR(set.id[0], "12345678901234567");
    CHECK_STR(label_of(1), "true");
    CHECK_STR(set.text[1], "b\xEF\xBF\xBD"
                           "c");
    CHECK_STR(set.id[1], "");
    CHECK_INT(set.label[2], -1);
    CHECK_INT(set.unlabelled, 1);
    CHECK_INT(set.line[2], 4);
    CHECK_STR(label_of(3), "0.1");
    CHECK_INT(set.empty_texts, 1);
}

TEST(jsonl_malformed_rows)
{
    CHECK_OK(parse("a.jsonl",
                   "{\"text\":\"a\"}\n{\"text\":\"b\"\n{\"text\":[1]}\n{\"body\":\"x\"}\n{\"text\":3}\n[1]\n"
                   "{\"text\":\"x\",\"text\":\"y\"}\n{\"text\":\"c\",\"label\":{}}\nx\n{\"text\":\"\xFF\"}\n",
                   WITH(.encoding = GN_ENCODING_UTF8)),
             error);
    CHECK_INT(set.rows, 1);
    static const char *const why[] = {"broken JSON at byte", "\"text\" holds an array",
                                      "\"text\" is missing", "not text",
                                      "not a JSON object",   "duplicate",
                                      "\"label\" holds an",  "broken JSON",
                                      "is not valid UTF-8"};
    CHECK_INT(set.malformed, 9);
    for (size_t i = 0; i < 9; i++) {
        CHECK_INT(set.malformed_rows[i].line, i + 2);
        CHECK_HAS(set.malformed_rows[i].reason, why[i]);
    }
}

TEST(jsonl_in_cp932_is_decoded_before_it_is_parsed)
{
    /* 表 is 95 5C in CP932: its second byte is a backslash */
    CHECK_OK(parse("a.jsonl", "{\"text\":\"\x95\x5C\x82\xCC\"}\n", WITH(.encoding = GN_ENCODING_CP932)),
             error);
    CHECK_STR(set.text[0], "表の");
}

TEST(plain_text)
{
    CHECK_OK(parse("a.txt", "one, \"two\"\r\n\nthree\tx", NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_STR(set.text[0], "one, \"two\"");
    CHECK_STR(set.text[1], "three\tx");
    CHECK_INT(set.line[1], 3);
    CHECK_INT(set.empty_texts, 1);
    CHECK(set.label == NULL && set.classes == 0 && set.text_column == NULL);
    CHECK_INT(parse("a.txt", "one\n", WITH(.label = "2")), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "one text a line");
}

TEST(format_by_name_and_by_content)
{
    CHECK_INT(gn__format_by_name("a/b.CSV.gz"), GN_FORMAT_CSV);
    CHECK_INT(gn__format_by_name("b.tsv.zst"), GN_FORMAT_TSV);
    CHECK_INT(gn__format_by_name("b.ndjson"), GN_FORMAT_JSONL);
    CHECK_INT(gn__format_by_name("csv"), GN_FORMAT_AUTO);
    CHECK_OK(parse("x", "text,label\na,1\n", NONE), error);
    CHECK_INT(set.format, GN_FORMAT_CSV);
    CHECK_OK(parse("x", "text\tlabel\na,b\t1\n", NONE), error);
    CHECK_INT(set.format, GN_FORMAT_TSV);
    CHECK_OK(parse("x", "\n {\"text\":\"a\"}\n", NONE), error);
    CHECK_INT(set.format, GN_FORMAT_JSONL);
    CHECK_OK(parse("x", "Hello, world\nNothing here\n", NONE), error);
    CHECK_INT(set.format, GN_FORMAT_TEXT);
    CHECK_INT(set.rows, 2);
    CHECK_OK(parse("x", "text,label\na,1\nbroken\n", NONE), error);
    CHECK_INT(set.format, GN_FORMAT_CSV);
    CHECK_INT(set.malformed, 1);
    CHECK_OK(parse("x", "a,1\nb,0\nc\n", NONE), error);
    CHECK_INT(set.format, GN_FORMAT_TEXT);
    CHECK_OK(parse("x", "body,other\n", WITH(.text = "1", .header = GN_HEADER_NO)), error);
    CHECK_INT(set.format, GN_FORMAT_CSV);
    CHECK_INT(parse("x.json", " [{\"text\":\"a\"}]", NONE), GN_UNSUPPORTED);
    CHECK_HAS(error.message, "one JSON array");
    CHECK_STR(gn_format_name(GN_FORMAT_JSONL), "jsonl");
}

TEST(columns_by_name_number_and_fallback)
{
    CHECK_OK(parse("a.csv", "when,what,kind\nt,a,x\nu,b,y\n", WITH(.text = "what", .label = "3")), error);
    CHECK_STR(set.text[1], "b");
    CHECK_STR(label_of(1), "y");
    CHECK_STR(set.label_column, "kind");
    CHECK_INT(set.rows, 2);
    CHECK_OK(parse("a.csv", "t,a,x\nu,b,y\n", WITH(.text = "2", .label = "3")), error);
    CHECK_INT(set.rows, 2);
    CHECK_STR(set.text_column, "2");
    CHECK_OK(parse("a.csv", "id,ラベル,本文\n7,x,あ\n", NONE), error);
    CHECK_STR(set.text[0], "あ");
    CHECK_STR(label_of(0), "x");
    CHECK_STR(set.id[0], "7");
    CHECK_OK(parse("a.csv", "Sentence,TEXT,Label\na,b,1\n", WITH(.label = "")), error);
    CHECK_STR(set.text[0], "b");
    CHECK(set.label == NULL);
    /* a header called "2" is a name before it is a number */
    CHECK_OK(parse("a.csv", "text,3,2\na,b,c\n", WITH(.label = "2", .header = GN_HEADER_YES)), error);
    CHECK_STR(label_of(0), "c");
}

TEST(header_detection)
{
    static const struct {
        const char *csv, *text, *label;
        size_t rows;
    } cases[] = {
        {"comment,score\ngood,1\nbad,0\n", "1", "2", 2}, /* numbers below words */
        {"good,1\nbad,0\n", "1", "2", 2},
        {"comment,kind\ngood,pos\nbad,neg\n", "1", "2", 3}, /* nothing tells: it counts as a row */
        {"comment,kind\ngood,pos\nbad,neg\n", "comment", "2", 2},
        {"text,kind\ngood,pos\nbad,neg\n", "1", "2", 2},
        {"2020,1\nbad,0\n", "1", "2", 2},
        {"\"text\"\na\n", NULL, NULL, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(parse("a.csv", cases[i].csv, WITH(.text = cases[i].text, .label = cases[i].label)), error);
        CHECK_INT(set.rows, cases[i].rows);
    }
    CHECK_OK(parse("a.csv", "comment,kind\na,b\n", WITH(.text = "1", .header = GN_HEADER_YES)), error);
    CHECK_INT(set.rows, 1);
    CHECK_OK(parse("a.csv", "text,score\na,1\n", WITH(.text = "1", .header = GN_HEADER_NO)), error);
    CHECK_INT(set.rows, 2);
}

TEST(wrong_columns_list_those_there_are)
{
    CHECK_INT(parse("a.csv", "when,what\n1,a\n", WITH(.text = "text")), GN_INVALID_ARGUMENT);
    CHECK_STR(error.message, "a.csv has no column \"text\"; its columns are: 1 \"when\", 2 \"what\"");
    CHECK_INT(parse("a.csv", "1,a\n2,b\n", WITH(.text = "3")), GN_INVALID_ARGUMENT);
    CHECK_STR(error.message, "a.csv has no column \"3\"; its columns are: 1, 2");
    CHECK_INT(parse("a.csv", "1,a\n2,b\n", NONE), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "which column holds the texts");
    CHECK_INT(parse("a.csv", "text,text\na,b\n", WITH(.text = "text")), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "several columns named \"text\"");
    CHECK_INT(parse("a.csv", "text,label\na,b\n", WITH(.group = "query")), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "no column \"query\"");
    CHECK_INT(parse("a.jsonl", "{\"a\":1,\"b\":2}\n{\"c\":3}\n", WITH(.text = "t")), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "1 \"a\", 2 \"b\", 3 \"c\"");
    CHECK_INT(parse("a.csv", "\"bro\"ken,x\ny,z\n", WITH(.text = "text")), GN_FORMAT);
    CHECK_HAS(error.message, "the header cannot be read");
    CHECK_INT(error.line, 1);
}

TEST(label_map_and_dropping)
{
    const char *csv = "text,label\na,0\nb,4\nc,2\nd,\ne, 4 \nf,9\n,4\n";
    CHECK_OK(parse("a.csv", csv, WITH(.label_map = "0=negative, 4 = positive", .drop_labels = "2")), error);
    CHECK_INT(set.rows, 5);
    CHECK_INT(set.dropped_by_label, 1);
    CHECK_INT(set.unlabelled, 1);
    CHECK_INT(set.empty_texts, 1);
    CHECK_INT(set.classes, 3);
    CHECK_STR(set.class_names[0], "9");
    CHECK_STR(set.class_names[1], "negative");
    CHECK_STR(label_of(1), "positive");
    CHECK_STR(label_of(3), "positive");
    CHECK_INT(set.label[2], -1);
    CHECK_OK(parse("a.csv", csv, WITH(.label_map = "0=negative", .drop_labels = "2,negative")), error);
    CHECK_INT(set.dropped_by_label, 2);
    CHECK_INT(parse("a.csv", csv, WITH(.label_map = "0:negative")), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "\"0:negative\"");
    CHECK_INT(parse("a.csv", csv, WITH(.label_map = "0=a,0=b")), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "two names");
}

TEST(classes_are_in_numeric_order_only_if_all_are_numbers)
{
    CHECK_OK(parse("a.csv", "text,label\na,10\nb,9\nc,-1.5\nd,1e2\n", NONE), error);
    CHECK_STR(set.class_names[0], "-1.5");
    CHECK_STR(set.class_names[1], "9");
    CHECK_STR(set.class_names[2], "10");
    CHECK_STR(set.class_names[3], "1e2");
    CHECK_STR(label_of(0), "10");
    CHECK_OK(parse("a.csv", "text,label\na,10\nb,9\nc,x\n", NONE), error);
    CHECK_STR(set.class_names[0], "10");
    CHECK_STR(set.class_names[1], "9");
}

TEST(groups_and_rows_that_stand_alone)
{
    CHECK_OK(parse("a.csv", "text,q\na,cat\nb,NO_QUERY\nc,dog\nd,cat\ne,\nf,NO_QUERY\n",
                   WITH(.group = "q", .group_alone = "NO_QUERY")),
             error);
    CHECK_INT(set.groups, 5);
    CHECK_INT(set.group[0], set.group[3]);
    CHECK(set.group[1] != set.group[5] && set.group[1] != set.group[4]);
    CHECK_STR(set.group_name[set.group[0]], "cat");
    CHECK_STR(set.group_name[set.group[5]], "");
    CHECK_STR(set.group_column, "q");

    static const unsigned char keep[] = {0, 0, 1, 1, 1, 0};
    CHECK_OK(gn_dataset_filter(&set, keep, &error), error);
    CHECK_INT(set.rows, 3);
    CHECK_INT(set.groups, 3);
    CHECK_STR(set.text[1], "d");
    CHECK_INT(set.line[1], 5);
    CHECK_STR(set.group_name[set.group[0]], "dog");
    CHECK_STR(set.group_name[set.group[1]], "cat");
    CHECK_STR(set.group_name[set.group[2]], "");
}

TEST(unusable_files)
{
    CHECK_INT(parse("a.csv", "", NONE), GN_DATA);
    CHECK_STR(error.message, "a.csv holds no rows");
    CHECK_INT(parse("a.csv", "text,label\n", NONE), GN_DATA);
    CHECK_INT(parse("a.jsonl", "\n\n", NONE), GN_DATA);
    CHECK_INT(parse("a.jsonl", "nope\n", NONE), GN_DATA);
    CHECK_HAS(error.message, "1 are malformed (the first on line 1: broken JSON");
    CHECK_INT(parse("a.csv", "text,label\n ,1\nx,2\n", WITH(.drop_labels = "2")), GN_DATA);
    CHECK_HAS(error.message, "of 2, 1 are without text and 1 were dropped");
    CHECK_INT(parse_n("a.csv",
                      "\xFF\xFE"
                      "a\0",
                      4, NONE),
              GN_UNSUPPORTED);
    CHECK_HAS(error.message, "UTF-16");
}

TEST(long_texts)
{
    size_t n = 10u << 20;
    char *csv = malloc(n + 64);
    size_t at = (size_t)sprintf(csv, "text,label\n\"");
    memset(csv + at, 'x', n);
    strcpy(csv + at + n, "\",1\nshort,0\n");
    CHECK_OK(parse("a.csv", csv, NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_INT(set.length[0], n);
    CHECK_OK(parse("a.csv", csv, WITH(.max_text_bytes = 1000)), error);
    free(csv);
    CHECK_INT(set.rows, 1);
    CHECK_STR(set.malformed_rows[0].reason, "the text has 10485760 bytes, more than the 1000 allowed");
}

TEST(nul_bytes_become_replacement_characters)
{
    CHECK_OK(parse_n("a.csv", "text\na\0b\n", 9, NONE), error);
    CHECK_STR(set.text[0], "a\xEF\xBF\xBD"
                           "b");
}

/* Time must grow with the size, whatever the quotes do. */
TEST(adversarial_quotes_stay_linear)
{
    static const char *const pattern[] = {"\"a\n",         "\"\"\"x\n",     "a,\"\n",      "\",x,\"\n",
                                          "\"\"\"\",\"\n", "x\"\"y,\"\"\n", "\"a\t\"\"b\n"};
    for (size_t p = 0; p < sizeof pattern / sizeof *pattern; p++)
        for (int format = GN_FORMAT_CSV; format <= GN_FORMAT_TSV; format++) {
            gn__buf b = {0};
            gn__buf_puts(&b, "\"open\n");
            while (b.length < (1u << 20)) gn__buf_puts(&b, pattern[p]);
            gn__cursor c = {.at = b.data, .end = b.data + b.length, .line = 1, .format = (gn_format)format};
            gn__record r = {0};
            bool no_memory = false;
            int64_t line = 0;
            double start = gn__now();
            while (gn__next_record(&c, &r, &no_memory)) {
                CHECK(r.line > line); /* each record begins on a later line: nothing is told twice */
                line = r.line;
            }
            CHECK(gn__now() - start < 5);
            gn__record_free(&r);
            gn__buf_free(&b);
        }
}

static const char *gzip_file(const char *name, const char *s, size_t n, size_t cut, size_t *stored)
{
    size_t room = n + 1024;
    unsigned char *to = malloc(room);
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)s;
    z.avail_in = (uInt)n;
    z.next_out = to;
    z.avail_out = (uInt)room;
    deflate(&z, Z_FINISH);
    size_t made = room - z.avail_out;
    deflateEnd(&z);
    const char *path = test_file(name, to, made - cut);
    if (stored != NULL) *stored = made;
    free(to);
    return path;
}

static gn_status read_file(const char *path, gn_dataset_options o)
{
    gn_dataset_free(&set);
    error = (gn_error){0};
    return gn_dataset_read(context(), path, &o, &set, &error);
}

TEST(gzip)
{
    const char *csv = "text,label\none,0\ntwo,1\n";
    CHECK_OK(read_file(gzip_file("a.csv.gz", csv, strlen(csv), 0, NULL), NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_INT(strlen(set.sha256), 64);
    CHECK_INT(read_file(gzip_file("b.csv.gz", csv, strlen(csv), 5, NULL), NONE), GN_IO);
    CHECK_HAS(error.message, "b.csv.gz is cut short");
    CHECK_INT(read_file(test_file("c.csv.gz", "\x1F", 1), NONE), GN_IO);
    CHECK_OK(read_file(test_file("d.csv.gz", csv, strlen(csv)), NONE), error); /* the magic decides */
    CHECK_OK(read_file(gzip_file("e.csv", csv, strlen(csv), 0, NULL), NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_INT(read_file(test_file("f.csv.gz", "\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03\xFF\xFF\xFF\xFF", 14),
                        NONE),
              GN_FORMAT);
    CHECK_HAS(error.message, "is damaged");
    CHECK_OK(read_file(test_path("tests/golden/data/two_members.csv.gz"), NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_STR(set.text[1], "two");
}

static void append_file(gn__buf *b, const char *path)
{
    char *data;
    size_t n;
    CHECK_OK(gn__read_file(path, 1 << 20, &data, &n, &error), error);
    gn__buf_append(b, data, n);
    free(data);
}

TEST(gzip_members_and_what_follows_them)
{
    gn__buf b = {0};
    append_file(&b, test_path("tests/golden/data/two_members.csv.gz"));
    gn__buf_append(&b, "\0\0\0", 3);
    CHECK_OK(read_file(test_file("padded.csv.gz", b.data, b.length), NONE), error);
    CHECK_INT(set.rows, 2);
    gn__buf_puts(&b, "x");
    CHECK_INT(read_file(test_file("junk.csv.gz", b.data, b.length), NONE), GN_FORMAT);
    CHECK_HAS(error.message, "other bytes follow");
    gn__buf_free(&b);
}

TEST(zstd)
{
    const char *part[] = {"text,label\none,0\n", "two,1\n"};
    char z[512];
    size_t n = 0;
    for (int i = 0; i < 2; i++) n += ZSTD_compress(z + n, sizeof z - n, part[i], strlen(part[i]), 3);
    CHECK_OK(read_file(test_file("a.csv.zst", z, n), NONE), error);
    CHECK_INT(set.rows, 2);
    CHECK_STR(set.text[1], "two");
    CHECK_INT(read_file(test_file("b.csv.zst", z, n - 3), NONE), GN_IO);
    CHECK_HAS(error.message, "cut short");
    z[8] ^= 0x7F;
    z[9] ^= 0x7F;
    CHECK_INT(read_file(test_file("c.csv.zst", z, n), NONE), GN_FORMAT);
    CHECK_HAS(error.message, "is damaged");
}

TEST(zstd_output_larger_than_one_step)
{
    size_t n = 9u << 20, room = ZSTD_compressBound(n);
    char *s = malloc(n), *z = malloc(room);
    memset(s, 'a', n);
    for (size_t i = 63; i < n; i += 64) s[i] = '\n';
    size_t k = ZSTD_compress(z, room, s, n, 1);
    gn_status status = read_file(test_file("big.txt.zst", z, k), NONE);
    free(s);
    free(z);
    CHECK_OK(status, error);
    CHECK_INT(set.rows, n / 64);
}

TEST(decompression_bombs_are_refused)
{
    size_t n = 4u << 20, length, stored;
    char *zeros = calloc(n, 1), *out, sha[65];
    const char *path = gzip_file("bomb.gz", zeros, n, 0, &stored);
    free(zeros);
    gn__read_limits ratio = {.ratio = 100, .ratio_after = 1u << 20}, bytes = {.bytes = 1u << 20};
    CHECK(stored < n / 500);
    CHECK_INT(gn__source_read(context(), path, path, &ratio, &out, &length, sha, &error), GN_FORMAT);
    CHECK_HAS(error.message, "decompression bomb");
    CHECK_INT(gn__source_read(context(), path, path, &bytes, &out, &length, sha, &error), GN_FORMAT);
    CHECK_HAS(error.message, "more than the 1048576 bytes allowed");
    CHECK_OK(gn__source_read(context(), path, path, &(gn__read_limits){0}, &out, &length, sha, &error),
             error);
    CHECK_INT(length, n);
    free(out);
}

TEST(files_that_cannot_be_read)
{
    CHECK_INT(read_file("/nonexistent/a.csv", NONE), GN_IO);
    CHECK_HAS(error.message, "cannot open /nonexistent/a.csv");
    CHECK_INT(read_file(test_folder(), NONE), GN_IO);
    CHECK_HAS(error.message, "is a folder");
}

TEST(sha256_is_of_the_stored_bytes)
{
    CHECK_OK(read_file(test_file("abc.txt", "abc", 3), NONE), error);
    CHECK_STR(set.sha256,
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-4 */
    CHECK_INT(set.rows, 1);
}

TEST(pipes_are_read_like_files)
{
    int end[2];
    char path[64];
    CHECK(pipe(end) == 0);
    CHECK(write(end[1], "text,label\na,1\n", 15) == 15);
    close(end[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", end[0]);
    gn_status status = read_file(path, NONE);
    close(end[0]);
    CHECK_OK(status, error);
    CHECK_INT(set.rows, 1);
    CHECK_STR(set.text[0], "a");
}

TEST(standard_input_is_called_so)
{
    int end[2], saved = dup(STDIN_FILENO);
    CHECK(saved >= 0 && pipe(end) == 0);
    CHECK(write(end[1], "text,label\na\n", 13) == 13);
    close(end[1]);
    dup2(end[0], STDIN_FILENO);
    gn_status status = read_file("-", WITH(.strict = true, .header = GN_HEADER_YES));
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(end[0]);
    CHECK_INT(status, GN_FORMAT);
    CHECK_STR(error.message, "standard input, line 2: columns found: 1, expected: 2");
}

TEST(a_million_malformed_rows_are_an_error)
{
    gn__buf b = {0};
    gn__buf_puts(&b, "text,label\na,1\n");
    for (int i = 0; i < 1000000; i++) gn__buf_puts(&b, "x\n");
    CHECK_OK(parse("a.csv", b.data, NONE), error);
    CHECK_INT(set.malformed, 1000000);
    CHECK_INT(set.malformed_rows[999999].line, 1000002);
    gn__buf_puts(&b, "x\n");
    gn_status status = parse("a.csv", b.data, NONE);
    gn__buf_free(&b);
    CHECK_INT(status, GN_FORMAT);
    CHECK_STR(error.message,
              "a.csv has more than 1000000 malformed rows: is it csv in UTF-8? The first is on "
              "line 3: columns found: 1, expected: 2");
}

TEST(too_many_columns)
{
    gn__buf b = {0};
    gn__buf_puts(&b, "text,label\na,1\nb");
    for (int i = 0; i < 65536; i++) gn__buf_putc(&b, ',');
    gn_status status = parse("a.csv", b.data, NONE);
    gn__buf_free(&b);
    CHECK_OK(status, error);
    CHECK_INT(set.malformed, 1);
    CHECK_HAS(set.malformed_rows[0].reason, "more than 65,536 columns");
}

static void watch(void *data, gn_stage stage, size_t done, size_t total)
{
    double *last = data, now = (double)done / (double)total;
    *last = stage == GN_STAGE_READ && now >= *last && done <= total ? now : 99;
}

TEST(progress_only_grows)
{
    double last = 0;
    gn_context *ctx;
    gn_dataset d;
    gn__buf b = {0};
    while (b.length < (1u << 21)) gn__buf_puts(&b, "a line of text\n");
    gn_context_options o = {.threads = 1, .progress = watch, .progress_data = &last};
    const char *plain = test_file("progress.txt", b.data, b.length);
    const char *zipped = gzip_file("progress.txt.gz", b.data, b.length, 0, NULL);
    gn__buf_free(&b);
    CHECK_OK(gn_context_create(&o, &ctx, &error), error);
    gn_status status = gn_dataset_read(ctx, plain, NULL, &d, &error);
    CHECK_OK(status, error);
    gn_dataset_free(&d);
    CHECK_NEAR(last, 1, 0);
    last = 0;
    status = gn_dataset_read(ctx, zipped, NULL, &d, &error);
    gn_context_free(ctx);
    CHECK_OK(status, error);
    gn_dataset_free(&d);
    CHECK_NEAR(last, 1, 0);
}

TEST(cancelling_stops_the_reading)
{
    volatile sig_atomic_t stop = 1;
    gn_context *ctx;
    gn_dataset d;
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 1, .cancel = &stop}, &ctx, &error), error);
    CHECK_INT(gn_dataset_read(ctx, test_file("abc.txt", "abc", 3), NULL, &d, &error), GN_CANCELLED);
    gn_context_free(ctx);
}
