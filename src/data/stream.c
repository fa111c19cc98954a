/* A file in blocks of rows. A window of its bytes slides along; a record that the window's end may have cut
 * is read again once there is more, so every record is seen whole, or as too long. */
#include "data/builder.h"

enum { SAMPLE = 1 << 20, LOOK = 16 << 20, STEP = 1 << 20, CHECK_EVERY = 1024 };

struct gn_dataset_stream {
    gn_context *ctx;
    char *name;
    gn__source *source;
    gn_dataset_options options;
    gn__builder b;
    gn_dataset d;
    gn__arena names, texts; /* of the columns; of the block at hand */
    char *window;
    size_t held, capacity, most; /* bytes in the window, its size, and what it may grow to */
    size_t look, step;           /* bytes at first, and then at a time */
    bool whole;                  /* the window reaches the end of the file */
    gn__cursor cursor;
    gn__record record;
    gn_left_out *left_out;
    size_t left_outs, left_out_capacity;
    uint64_t rows; /* in blocks already handed out */
};

static gn_status note_left_out(gn__builder *b, int64_t line, gn_left_out_kind kind, const char *reason)
{
    gn_dataset_stream *s = b->arg;
    if (s->left_outs == s->left_out_capacity) {
        size_t n = s->left_out_capacity ? s->left_out_capacity * 2 : 64;
        void *p = gn__realloc(s->left_out, n, sizeof *s->left_out);
        if (p == NULL) return gn__no_memory(b->err, n * sizeof *s->left_out);
        s->left_out = p;
        s->left_out_capacity = n;
    }
    gn_left_out *x = &s->left_out[s->left_outs++];
    *x = (gn_left_out){.record = b->d->rows_read, .line = line, .kind = kind};
    gn__reason(x->reason, "%s", reason);
    return GN_OK;
}

/* Reads until the window holds `want` bytes or the file ends. */
static gn_status fill(gn_dataset_stream *s, size_t want, gn_error *err)
{
    if (want > s->capacity) {
        char *p = realloc(s->window, want);
        if (p == NULL) return gn__no_memory(err, want);
        s->window = p;
        s->capacity = want;
    }
    while (!s->whole && s->held < want) {
        size_t got;
        GN__TRY(gn__source_pull(s->source, s->window + s->held, want - s->held, &got, err));
        s->held += got;
        s->whole = got == 0;
    }
    return GN_OK;
}

/* Drops what has been read and brings more; false where the window is full of one record. */
static gn_status slide(gn_dataset_stream *s, bool *moved, gn_error *err)
{
    size_t used = (size_t)(s->cursor.at - s->window), left = s->held - used;
    const char *exact = s->cursor.exact_until;
    size_t exact_left = exact > s->cursor.at ? (size_t)(exact - s->cursor.at) : 0;
    *moved = left < s->most;
    if (!*moved) return GN_OK;
    memmove(s->window, s->window + used, left);
    s->held = left;
    size_t want = left < s->step ? 2 * s->step : 2 * left;
    gn_status status = fill(s, want < s->most ? want : s->most, err);
    s->cursor.at = s->window;
    s->cursor.end = s->window + s->held;
    s->cursor.exact_until = exact_left > 0 ? s->window + exact_left : NULL;
    return status;
}

/* The next record, whole. *got false: the end. */
static gn_status next_record(gn_dataset_stream *s, bool *got, gn_error *err)
{
    static const char too_long[] =
        "the record that begins on line %lld does not end within the bytes allowed for a text";
    for (;;) {
        gn__cursor before = s->cursor;
        bool no_memory = false, moved;
        s->cursor.ran_out = false;
        *got = gn__next_record(&s->cursor, &s->record, &no_memory);
        if (no_memory) return gn__no_memory(err, 64);
        if (s->whole || (*got && !s->cursor.ran_out && s->cursor.at < s->cursor.end)) return GN_OK;
        gn__cursor after = s->cursor;
        s->cursor = before;
        GN__TRY(slide(s, &moved, err));
        if (moved) continue;
        /* one record fills the window: an open quote is given up as records.c does at the end of a file; a
         * line without an end is passed over piece by piece, as one malformed record */
        s->cursor = after;
        if (after.at < after.end) return GN_OK;
        for (;;) {
            const char *newline = memchr(s->window, '\n', s->held);
            s->cursor.at = newline != NULL ? newline + 1 : s->window + s->held;
            s->cursor.end = s->window + s->held;
            s->cursor.line = before.line + 1;
            if (newline != NULL || s->whole) break;
            s->held = 0;
            GN__TRY(fill(s, s->step, err));
        }
        s->cursor.exact_until = NULL;
        s->record.problem = too_long;
        s->record.problem_line = s->record.line = before.line;
        return GN_OK;
    }
}

static gn_status open_stream(gn_dataset_stream *s, const char *path, gn_error *err)
{
    static const gn__read_limits none = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
    GN__TRY(gn__source_open(s->ctx, path, s->name, &none, true, &s->source, err));
    GN__TRY(fill(s, s->look, err));
    size_t enough = s->held;
    if (enough > SAMPLE) { /* whole lines only, so that no character is cut */
        enough = SAMPLE;
        while (enough > 0 && s->window[enough - 1] != '\n') enough--;
        if (enough == 0) enough = SAMPLE;
    }
    s->b.err = err;
    GN__TRY(gn__builder_begin(&s->b, s->window, s->held, enough, &s->cursor));
    s->most = s->b.max_text + s->step;
    if (s->most < s->look) s->most = s->look;
    s->b.arena = &s->texts;
    return GN_OK;
}

gn_status gn_dataset_stream_open(gn_context *ctx, const char *path, const gn_dataset_options *options,
                                 gn_dataset_stream **out, gn_error *err)
{
    return gn__dataset_stream_open(ctx, path, options, LOOK, STEP, out, err);
}

gn_status gn__dataset_stream_open(gn_context *ctx, const char *path, const gn_dataset_options *options,
                                  size_t look, size_t step, gn_dataset_stream **out, gn_error *err)
{
    gn_dataset_stream *s = gn__calloc(1, sizeof *s);
    if (s == NULL) return gn__no_memory(err, sizeof *s);
    s->ctx = ctx;
    s->look = look;
    s->step = step;
    if (options != NULL) s->options = *options;
    s->name = gn__strdup(strcmp(path, "-") == 0
                             ? gn__translate(err != NULL ? err->lang : GN_LANG_EN, "standard input")
                             : path);
    s->b = (gn__builder){.ctx = ctx,
                         .name = s->name,
                         .o = &s->options,
                         .d = &s->d,
                         .arena = &s->names,
                         .texts_only = true,
                         .left_out = note_left_out,
                         .arg = s};
    gn_status status = s->name != NULL ? open_stream(s, path, err) : gn__no_memory(err, strlen(path));
    if (status != GN_OK) {
        gn_dataset_stream_close(s, NULL);
        return status;
    }
    *out = s;
    return GN_OK;
}

gn_status gn_dataset_stream_next(gn_dataset_stream *s, size_t max_rows, size_t max_bytes, gn_text_block *out,
                                 gn_error *err)
{
    size_t bytes = 0;
    bool got = true;
    s->b.err = err;
    gn__arena_free(&s->texts);
    s->d.rows = s->left_outs = 0;
    for (size_t n = 1; s->d.rows < max_rows && bytes < max_bytes && s->left_outs < max_rows; n++) {
        size_t rows = s->d.rows;
        GN__TRY(next_record(s, &got, err));
        if (!got) break;
        GN__TRY(gn__builder_take(&s->b, &s->record));
        if (s->d.rows > rows) bytes += s->d.length[rows];
        if (n % CHECK_EVERY == 0) GN__TRY(gn__check_cancel(s->ctx, err));
    }
    s->rows += s->d.rows;
    *out = (gn_text_block){.rows = s->d.rows,
                           .text = s->d.text,
                           .length = s->d.length,
                           .line = s->d.line,
                           .left_out = s->left_out,
                           .left_outs = s->left_outs,
                           .last_rows_read = s->d.rows_read,
                           .end = !got};
    return GN_OK;
}

void gn_dataset_stream_info(const gn_dataset_stream *s, gn_stream_info *out)
{
    size_t read, total, ahead = s->held - (size_t)(s->cursor.at - s->window);
    gn__source_place(s->source, &read, &total);
    *out = (gn_stream_info){.format = s->d.format,
                            .encoding = s->d.encoding,
                            .text_column = s->d.text_column,
                            .rows = s->rows,
                            .rows_read = s->d.rows_read,
                            .malformed = s->d.malformed,
                            .empty = s->d.empty_texts,
                            .dropped_by_label = s->d.dropped_by_label,
                            .bytes = read > ahead ? read - ahead : read, /* packed: a little ahead */
                            .total_bytes = total};
}

void gn_dataset_stream_close(gn_dataset_stream *s, char sha256[65])
{
    if (s == NULL) return;
    gn__source_close(s->source, sha256);
    gn__builder_free(&s->b);
    gn__record_free(&s->record);
    s->d.arena = NULL; /* both arenas are ours */
    gn_dataset_free(&s->d);
    gn__arena_free(&s->names);
    gn__arena_free(&s->texts);
    free(s->left_out);
    free(s->window);
    free(s->name);
    free(s);
}
