/* What the files of this folder share. The grammar of each format stands in README.md. */
#ifndef GENCHI_DATA_DATA_H
#define GENCHI_DATA_DATA_H

#include "core/core.h"
#include "genchi/dataset.h"

/* ---- source.c: bytes of a file, decompressed ---------------------------------------------------- */

/* What a compressed file may swell to. A zeroed struct means the documented limits. */
typedef struct gn__read_limits {
    size_t bytes;       /* 0: 4 GiB */
    size_t ratio;       /* 0: 256 times the bytes read so far … */
    size_t ratio_after; /* 0: … looked at once 256 MiB have come out */
} gn__read_limits;

/* A file being read piece by piece, inflated where it begins with the magic bytes of gzip or zstd. `name` is
 * how messages call it (borrowed), quiet: no progress. */
typedef struct gn__source gn__source;
gn_status gn__source_open(gn_context *ctx, const char *path, const char *name, const gn__read_limits *limits,
                          bool quiet, gn__source **out, gn_error *err);
/* Up to `room` > 0 bytes to `to`; *got is 0 at the end only. */
gn_status gn__source_pull(gn__source *s, char *to, size_t room, size_t *got, gn_error *err);
/* Bytes of the file used so far, and how many there are (0: not known). */
void gn__source_place(const gn__source *s, size_t *read, size_t *total);
/* sha256: receives the hash of the bytes read, as stored; may be NULL. */
void gn__source_close(gn__source *s, char sha256[65]);

/* The whole file (`path` "-": standard input), inflated where it begins with the magic bytes of gzip or
 * zstd. `name` is how messages call it. sha256 is of the bytes as stored. Errors: GN_IO (missing,
 * unreadable, cut short); GN_FORMAT (damaged, or over the limits). free(*out). */
gn_status gn__source_read(gn_context *ctx, const char *path, const char *name, const gn__read_limits *limits,
                          char **out, size_t *length, char sha256[65], gn_error *err);

/* ---- encoding.c, decode.c ------------------------------------------------------------------------ */

gn_encoding gn__detect_encoding(const char *s, size_t n);

/* Tables of the double-byte encodings; made once per file, only where needed. A zeroed struct is valid. */
typedef struct gn__decoder {
    gn_encoding encoding;
    uint16_t *cp932;    /* [65536] lead << 8 | trail to a code point, 0: undefined */
    uint16_t *jisx0212; /* [94 * 94], for the three-byte form of EUC-JP */
} gn__decoder;
gn_status gn__decoder_open(gn__decoder *d, gn_encoding encoding, gn_error *err);
void gn__decoder_close(gn__decoder *d);
/* Appends s as UTF-8, U+0000 as U+FFFD. False: the bytes at *bad are not of this encoding. */
bool gn__decode(const gn__decoder *d, const char *s, size_t n, gn__buf *out, size_t *bad);

/* ---- records.c: delimited text into fields -------------------------------------------------------- */

typedef struct gn__field {
    const char *at; /* into the file, without the enclosing quotes */
    size_t length;
    bool doubled; /* holds "" for " */
} gn__field;

typedef struct gn__record {
    int64_t line;     /* of its first byte */
    gn__field *field; /* [capacity]; owned */
    size_t fields, capacity;
    bool blank;           /* an empty line */
    const char *problem;  /* NULL, or an English format for one line number (problem_line) */
    int64_t problem_line; /* where the quote was opened */
} gn__record;

/* A place in the file; copy it to look ahead. */
typedef struct gn__cursor {
    const char *at, *end;
    const char *exact_until; /* up to here quotes inside plain fields are malformed: see README.md */
    int64_t line;
    gn_format format;
    bool ran_out; /* set where a quote is still open at `end`: more bytes may change the record */
} gn__cursor;

/* The next record into r; false at the end of the file. *no_memory is set when it ends for that. */
bool gn__next_record(gn__cursor *c, gn__record *r, bool *no_memory);
void gn__record_free(gn__record *r);
/* Appends the field's content with doubled quotes undone: still in the file's encoding. */
void gn__field_content(const gn__field *f, gn__buf *out);

/* ---- format.c -------------------------------------------------------------------------------------- */

gn_format gn__format_by_name(const char *path);
gn_format gn__format_by_content(const char *s, size_t n, bool wants_columns);

/* ---- columns.c: which column is what ---------------------------------------------------------------- */

typedef enum gn__role { GN__TEXT, GN__LABEL, GN__ID, GN__GROUP, GN__ROLES } gn__role;

typedef struct gn__columns {
    char **name; /* [count] UTF-8 header cells or JSON keys; numbers where there is no header */
    size_t count;
    bool header;       /* the first record is not data */
    int at[GN__ROLES]; /* column of each role, -1: none */
    gn__arena arena;
} gn__columns;

/* One of the names that a text or label column goes by, any case. */
bool gn__is_column_name(const char *s, size_t n);
/* Looks at the first records. Errors: GN_INVALID_ARGUMENT (a column that is not there). */
gn_status gn__columns_of_table(const char *name, gn__cursor start, const gn__decoder *d,
                               const gn_dataset_options *o, gn__columns *out, gn_error *err);
/* The same for JSONL: the keys of the first 100 whole objects, in order of appearance. */
gn_status gn__columns_of_jsonl(const char *name, gn__cursor start, const gn__decoder *d,
                               const gn_dataset_options *o, gn__columns *out, gn_error *err);
void gn__columns_free(gn__columns *c);

/* ---- jsonl.c ----------------------------------------------------------------------------------------- */

typedef struct json_t gn__json;

/* Parses one line (UTF-8) as an object; NULL with the reason otherwise. gn__json_free releases it. */
gn__json *gn__json_line(const char *s, size_t n, gn_lang lang, char reason[120]);
void gn__json_free(gn__json *j);
/* Calls visit for every key in order. */
void gn__json_keys(gn__json *j, void (*visit)(void *arg, const char *key), void *arg);
/* Appends the value of key to out. */
typedef enum gn__json_kind {
    GN__JSON_MISSING,
    GN__JSON_NULL,
    GN__JSON_STRING,
    GN__JSON_SCALAR,
    GN__JSON_NESTED
} gn__json_kind;
gn__json_kind gn__json_value(gn__json *j, const char *key, gn__buf *out);

/* ---- labels.c ---------------------------------------------------------------------------------------- */

/* label_map and drop_labels, taken apart. A zeroed struct is valid (nothing mapped, nothing dropped). */
typedef struct gn__label_rules {
    gn__map from, drop;
    char **to; /* [from.count] */
    gn__arena arena;
} gn__label_rules;
gn_status gn__label_rules_make(const gn_dataset_options *o, gn__label_rules *out, gn_error *err);
void gn__label_rules_free(gn__label_rules *r);
/* The mapped name of a trimmed label; *dropped tells whether rows with it are left out. */
const char *gn__label_apply(const gn__label_rules *r, const char *label, bool *dropped);
/* Sorts names in the documented order; rank[old index] = new index. */
gn_status gn__sort_classes(char **names, size_t n, int *rank, gn_error *err);

/* ---- dataset.c ----------------------------------------------------------------------------------------- */

/* gn_dataset_read on bytes that lie in memory, decompressed. out->sha256 stays empty. */
gn_status gn__dataset_parse(gn_context *ctx, const char *name, const char *bytes, size_t length,
                            const gn_dataset_options *options, gn_dataset *out, gn_error *err);

/* ---- npy.c ------------------------------------------------------------------------------------------------
 */

/* gn_npy_read on bytes in memory; `path` is how messages call it. */
gn_status gn__npy_parse(const char *path, const unsigned char *data, size_t size, gn_matrix *out,
                        gn_error *err);

/* A one-dimensional .npy of integers, booleans, bytes or strings, as text in the arena. Errors as
 * gn__npy_parse. */
gn_status gn__npy_column(const char *path, const unsigned char *data, size_t size, gn__arena *arena,
                         char ***value, size_t *count, gn_error *err);

/* ---- text.c ----------------------------------------------------------------------------------------------
 */

bool gn__is_white(uint32_t code_point); /* Unicode White_Space */
/* Moves *s and *n past white space at both ends of UTF-8 text. */
void gn__trim(const char **s, size_t *n);
/* snprintf that cuts between characters. */
void gn__reason(char reason[120], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A decimal number, the whole string, whatever the locale; near enough to order by. */
bool gn__number(const char *s, double *value);

#endif
