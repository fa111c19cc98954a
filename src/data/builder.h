/* From records to rows: what reading a whole file and reading it in blocks share. */
#ifndef GENCHI_DATA_BUILDER_H
#define GENCHI_DATA_BUILDER_H

#include "data/data.h"
#include "genchi/stream.h"

typedef struct gn__builder {
    gn_context *ctx;
    const char *name;
    const gn_dataset_options *o;
    gn_error *err;
    gn_dataset *d;
    gn__arena *arena; /* owns d's strings */
    gn__decoder decoder;
    gn__columns columns;
    gn__label_rules rules;
    gn__map classes, groups;
    size_t capacity, malformed_capacity, class_capacity, group_capacity;
    uint64_t max_text;
    gn__buf raw, cell[GN__ROLES]; /* of the record at hand */
    bool has[GN__ROLES];          /* the record has a value for the role */
    bool header_due;              /* the next record that is not blank is the header */
    bool texts_only;              /* labels decide what is dropped; they, ids and groups are not kept */
    /* Called for every row that is left out; malformed rows are then not listed in d. May be NULL. */
    gn_status (*left_out)(struct gn__builder *b, int64_t line, gn_left_out_kind kind, const char *reason);
    void *arg;
} gn__builder;

/* Decides encoding (from the first `enough` bytes), format and columns from s[0..n), and points the cursor
 * behind the byte order mark, if there is one. b: ctx, name, o, err, d, arena set, the rest zero. */
gn_status gn__builder_begin(gn__builder *b, const char *s, size_t n, size_t enough, gn__cursor *out);
/* One record: a row, or counted as something else. */
gn_status gn__builder_take(gn__builder *b, const gn__record *r);
/* The error of a file in which no row was kept. */
gn_status gn__builder_no_rows(const gn__builder *b);
void gn__builder_free(gn__builder *b);

/* gn_dataset_stream_open with another first window and another step, bytes. */
gn_status gn__dataset_stream_open(gn_context *ctx, const char *path, const gn_dataset_options *options,
                                  size_t look, size_t step, gn_dataset_stream **out, gn_error *err);

#endif
