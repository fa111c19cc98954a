/* Reading texts, labels, ids and groups out of CSV, TSV, JSONL and plain-text files.
 *
 * Floor 2. See src/data/README.md for the exact grammar of each format. */
#ifndef GENCHI_DATASET_H
#define GENCHI_DATASET_H

#include "genchi/context.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gn_format {
    GN_FORMAT_AUTO, /* by file name (.csv .tsv .jsonl .ndjson .txt before .gz/.zst), else by content */
    GN_FORMAT_CSV,  /* RFC 4180: comma, double quotes, quoted newlines; CRLF or LF */
    GN_FORMAT_TSV,  /* tab-separated, quotes as in CSV only where a field begins with one */
    GN_FORMAT_JSONL,
    GN_FORMAT_TEXT /* one text a line; no labels */
} gn_format;

typedef enum gn_encoding {
    GN_ENCODING_AUTO,
    GN_ENCODING_UTF8,   /* with or without BOM */
    GN_ENCODING_LATIN1, /* 0x80–0x9F as in Windows-1252 */
    GN_ENCODING_CP932,  /* Shift_JIS as Windows writes it */
    GN_ENCODING_EUC_JP
} gn_encoding;

typedef enum gn_header { GN_HEADER_AUTO, GN_HEADER_YES, GN_HEADER_NO } gn_header;

/* A zeroed struct is valid: everything is detected. Strings are borrowed for the call. */
typedef struct gn_dataset_options {
    gn_format format;
    gn_encoding encoding;
    gn_header header;
    /* Columns by name (needs a header; a JSONL key) or by 1-based number. "": no such column. NULL: `text`
     * falls back to a column named text/sentence/content/body/tweet/review (any case; ja: 本文, 文,
     * テキスト), else the only column; `label` to label/class/category/polarity/sentiment/target (ja:
     * ラベル); `id` to id/uid. `group` never falls back: grouping is a statement about the data. */
    const char *text, *label, *id, *group;
    const char *label_map; /* "0=negative,4=positive"; labels not listed keep their name */
    const char
        *drop_labels; /* "2" or "2,neutral": rows with these (raw or mapped) labels are left out, counted */
    const char *group_alone; /* a group value whose rows each stand alone ("NO_QUERY"); may be NULL */
    bool strict;             /* the first malformed row is an error (GN_FORMAT, with its line) */
    uint64_t max_text_bytes; /* longer texts are malformed rows; 0: 64 MiB (a text of 10 MB is fine); at most
                                1 GiB */
} gn_dataset_options;

typedef struct gn_malformed_row {
    int64_t line; /* 1-based, of the row's first line in the (decompressed) file */
    char reason[120];
} gn_malformed_row;

typedef struct gn_dataset {
    char *path;
    char sha256[65]; /* of the file's bytes as stored */
    gn_format format;
    gn_encoding encoding;
    char *text_column, *label_column, *group_column; /* as found; NULL where there is none */

    size_t rows;
    char **text;       /* [rows] UTF-8, NUL-terminated, never NULL (U+0000 becomes U+FFFD) */
    uint32_t *length;  /* [rows] bytes of text[i] */
    int *label;        /* [rows] index into class_names, -1 where the row has none; NULL: no label column */
    char **id;         /* [rows], or NULL */
    int64_t *line;     /* [rows] 1-based source line */
    uint32_t *group;   /* [rows] in [0, groups), or NULL: no group column. Rows without a value stand alone */
    char **group_name; /* [groups]; rows that stand alone have an empty name */
    size_t groups;

    char **class_names; /* [classes] numeric order when every name is a number, else byte order */
    int classes;

    size_t rows_read;                 /* records met in the file, good or bad, header not counted */
    size_t dropped_by_label;          /* by drop_labels */
    size_t empty_texts;               /* rows without any non-space text; left out, counted */
    size_t unlabelled;                /* kept rows without a label although there is a label column */
    size_t malformed;                 /* all of them */
    gn_malformed_row *malformed_rows; /* [malformed] */
    void *arena;                      /* private: owns the strings above */
} gn_dataset;

/* Reads `path` ("-": standard input). Free with gn_dataset_free.
 * Errors: GN_IO (missing, unreadable, cut-short .gz/.zst); GN_INVALID_ARGUMENT (unknown column: the
 * message lists those there are; bad label_map; a column of a plain-text file); GN_FORMAT (damaged or
 * oversized .gz/.zst; the header cannot be read; the first malformed row when strict, with err->line; more
 * than 1,000,000 malformed rows); GN_UNSUPPORTED (UTF-16, a JSON array); GN_DATA (no usable row).
 * Rows with bytes that are not of the encoding, detected or named, are malformed rows. Reasons of malformed
 * rows are in the language of err. */
GN_API gn_status gn_dataset_read(gn_context *ctx, const char *path, const gn_dataset_options *options,
                                 gn_dataset *out, gn_error *err);
GN_API void gn_dataset_free(gn_dataset *d);

/* Gives both sets one common class list (the union, in the order documented above) and renumbers
 * label[] of both. Either may be without labels. */
GN_API gn_status gn_dataset_align_classes(gn_dataset *train, gn_dataset *test, gn_error *err);

typedef struct gn_duplicates {
    size_t within_train, within_test;           /* rows that repeat an earlier row of the same set */
    size_t across;                              /* train rows whose text occurs in test */
    size_t conflicting_train, conflicting_test; /* of the within-set repeats: those with another label
                                                 * than the first labelled row of their text */
    size_t removed_from_train;                  /* == across unless keep */
} gn_duplicates;

/* Counts exact duplicates after NFKC and white-space folding (runs of Unicode White_Space become one
 * space, ends trimmed), and removes from `train` the rows whose text occurs in `test` unless keep.
 * Errors: GN_DATA (nothing would be left of train; then neither set is changed). */
GN_API gn_status gn_dataset_deduplicate(gn_dataset *train, gn_dataset *test, bool keep, gn_duplicates *out,
                                        gn_error *err);

/* Keeps the rows i with keep[i] != 0, in order; groups are renumbered, classes stay. */
GN_API gn_status gn_dataset_filter(gn_dataset *d, const unsigned char *keep, gn_error *err);

/* Fills options for a named preset; "sentiment140": no header, Latin-1, column 1 label, 2 id, 6 text,
 * 0=negative,4=positive, 2 dropped; for_test also takes column 4 (query) as the group with
 * NO_QUERY rows standing alone. Errors: GN_INVALID_ARGUMENT (unknown name: lists the known ones). */
GN_API gn_status gn_dataset_preset(const char *name, bool for_test, gn_dataset_options *out, gn_error *err);

GN_API const char *gn_format_name(gn_format f);     /* "csv" */
GN_API const char *gn_encoding_name(gn_encoding e); /* "UTF-8", "ISO-8859-1", "CP932", "EUC-JP" */

#ifdef __cplusplus
}
#endif
#endif
