/* Texts of a file in blocks of rows, at a memory that does not grow with the file.
 *
 * Floor 2. Formats, encodings, columns and the rules for rows are those of gn_dataset_read (dataset.h), but
 * for what a stream cannot know: the encoding is decided on the first MiB, format and columns on the first
 * 16 MiB, and a record has to end within max_text_bytes + 1 MiB, or it is malformed and reading goes on with
 * the line after the one on which it began. Compressed files may unpack to any size. */
#ifndef GENCHI_STREAM_H
#define GENCHI_STREAM_H

#include "genchi/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_dataset_stream gn_dataset_stream;

typedef enum gn_left_out_kind {
    GN_LEFT_OUT_MALFORMED,
    GN_LEFT_OUT_EMPTY,  /* nothing but white space */
    GN_LEFT_OUT_DROPPED /* by drop_labels */
} gn_left_out_kind;

/* A record of the file that gave no row. */
typedef struct gn_left_out {
    uint64_t record; /* 1-based among the records, the header not counted */
    int64_t line;    /* 1-based, of its first line */
    gn_left_out_kind kind;
    char reason[120]; /* malformed: why; else "" */
} gn_left_out;

/* Everything is owned by the stream and valid up to the next call on it. */
typedef struct gn_text_block {
    size_t rows;
    char *const *text; /* [rows] UTF-8, NUL-terminated */
    const uint32_t *length;
    const int64_t *line;         /* [rows] 1-based source line */
    const gn_left_out *left_out; /* [left_outs] those met since the last block, in order */
    size_t left_outs;
    size_t last_rows_read; /* records read so far */
    bool end;              /* no block follows; rows may be 0 */
} gn_text_block;

typedef struct gn_stream_info {
    gn_format format;
    gn_encoding encoding;
    const char *text_column;                                      /* NULL: plain text */
    uint64_t rows, rows_read, malformed, empty, dropped_by_label; /* so far */
    uint64_t bytes, total_bytes; /* of the file as stored: used so far, all (0: not known) */
} gn_stream_info;

/* Options as for gn_dataset_read (borrowed until close); labels decide only what is dropped, ids and groups
 * are not kept. Errors: as there, but that no usable row is no error. Free with gn_dataset_stream_close. */
GN_API gn_status gn_dataset_stream_open(gn_context *ctx, const char *path, const gn_dataset_options *options,
                                        gn_dataset_stream **out, gn_error *err);
/* The next block: of max_rows rows, or as many as first reach max_bytes bytes of text. The blocks of a file
 * are a function of the file, the options and these two. Errors: as gn_dataset_read; GN_FORMAT when more than
 * 1,000,000 rows are malformed and they outnumber the good ones. */
GN_API gn_status gn_dataset_stream_next(gn_dataset_stream *s, size_t max_rows, size_t max_bytes,
                                        gn_text_block *out, gn_error *err);
GN_API void gn_dataset_stream_info(const gn_dataset_stream *s, gn_stream_info *out);
/* sha256: receives the hash of the file's bytes as stored; only the whole file's after the end. May be NULL.
 */
GN_API void gn_dataset_stream_close(gn_dataset_stream *s, char sha256[65]);

#ifdef __cplusplus
}
#endif
#endif
