/* Texts of a file to a file of vectors. Three things go on at once: one thread reads the next block, the pool
 * embeds this one, one thread writes the last one. */
#include "model/learn.h"
#include "pipeline/aside.h"
#include "pipeline/fingerprint.h"
#include "pipeline/journal.h"
#include "pipeline/sidecar.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_ROWS = 8192, FEWEST_ROWS = 64, BLOCK_VECTORS = 16 << 20, BLOCK_TEXT = 16 << 20 };

/* A block on its way from the file: the rows that are to be embedded, copied out of the stream. */
typedef struct slot {
    gn__buf bytes;
    const char **text; /* [rows] */
    uint32_t *length;
    size_t rows, room;
    uint64_t kept; /* rows of the file up to here, embedded or not */
    char texts[65];
    gn_stream_info place;
    bool end;
    gn_status status;
    gn_error error;
} slot;

typedef struct job {
    gn_context *ctx;
    const gn_model *m;
    const gn_embed_file_options *o;
    gn_error *err;
    gn_dataset_stream *stream;
    gn__idf idf;
    gn__layout layout;
    size_t block_rows;
    uint64_t total, first, last; /* rows of the input (0: not counted); those wanted are [first, last) */
    char *list, *list_partial;   /* OUT.left-out.jsonl, and while it is being written */
    FILE *left_out; /* written from the start by every run, as the input is read from the start */
    size_t left_outs;
    gn__journal journal;
    gn__sidecar side;
    char *column; /* side.input.text_column, once the stream is closed */
    slot slots[2], *reading;
    /* what the writing thread works on */
    gn_matrix vectors;
    gn__block_note note;
    unsigned char *converted;
    size_t converted_room;
    off_t at;
    uint64_t written;
    gn__sha256 sha;
    gn_status write_status;
    gn_error write_error;
} job;

static const char *const kinds[] = {"malformed", "empty", "dropped"};

/* ---- reading ------------------------------------------------------------------------------------ */

static gn_status list_left_out(job *j, const gn_text_block *b, gn_error *err)
{
    for (size_t i = 0; i < b->left_outs; i++) {
        const gn_left_out *x = &b->left_out[i];
        json_t *line = json_pack("{s:I, s:I, s:s}", "record", (json_int_t)x->record, "line",
                                 (json_int_t)x->line, "why", kinds[x->kind]);
        if (line != NULL && x->reason[0] != '\0') json_object_set_new(line, "reason", json_string(x->reason));
        char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
        json_decref(line);
        if (text == NULL) return gn__no_memory(err, 256);
        fprintf(j->left_out, "%s\n", text); /* a failure shows when it is closed */
        free(text);
    }
    j->left_outs += b->left_outs;
    return GN_OK;
}

/* Copies the wanted rows of a block and hashes them. */
static gn_status keep_rows(job *j, slot *s, const gn_text_block *b, gn_error *err)
{
    uint64_t begin = s->kept - b->rows;
    gn__sha256 h;
    s->rows = s->bytes.length = 0;
    if (b->rows > s->room) {
        void *text = gn__realloc(s->text, b->rows, sizeof *s->text);
        if (text != NULL) s->text = text;
        void *length = gn__realloc(s->length, b->rows, sizeof *s->length);
        if (length != NULL) s->length = length;
        if (text == NULL || length == NULL) return gn__no_memory(err, b->rows * sizeof *s->text);
        s->room = b->rows;
    }
    GN__TRY(gn__sha256_begin(&h, err));
    for (size_t i = 0; i < b->rows; i++) {
        if (begin + i < j->first || begin + i >= j->last) continue;
        s->length[s->rows++] = b->length[i];
        gn__buf_append(&s->bytes, b->text[i], (size_t)b->length[i] + 1); /* the NUL parts the texts */
    }
    if (s->bytes.length > 0) gn__sha256_update(&h, s->bytes.data, s->bytes.length);
    gn__sha256_end(&h, s->texts);
    if (s->bytes.failed) return gn__no_memory(err, s->bytes.length);
    const char *at = s->bytes.data;
    for (size_t i = 0; i < s->rows; at += (size_t)s->length[i++] + 1) s->text[i] = at;
    return GN_OK;
}

/* A task of the reading thread: the next block with a wanted row, or the end. */
static void read_block(void *arg)
{
    job *j = arg;
    slot *s = j->reading;
    gn_text_block b = {0};
    s->rows = 0;
    s->error.message[0] = '\0';
    do {
        s->status = gn_dataset_stream_next(j->stream, j->block_rows, BLOCK_TEXT, &b, &s->error);
        if (s->status != GN_OK) return;
        gn_dataset_stream_info(j->stream, &s->place);
        s->kept = s->place.rows;
        s->end = b.end;
        s->status = list_left_out(j, &b, &s->error);
        if (s->status == GN_OK) s->status = keep_rows(j, s, &b, &s->error);
    } while (s->status == GN_OK && s->rows == 0 && !s->end);
}

/* A first pass over the input: how many rows, and what the model learns from them. */
static gn_status count_rows(job *j)
{
    gn_dataset_stream *s;
    gn_text_block b = {0};
    gn_stream_info info;
    gn_status status = GN_OK;
    if (strcmp(j->o->input, "-") == 0)
        return gn__fail(j->err, GN_INVALID_ARGUMENT,
                        "%s has to be read twice here (for a shard, or for %s): give a file",
                        gn__translate(j->err ? j->err->lang : GN_LANG_EN, "standard input"),
                        gn_model_get_info(j->m)->name);
    GN__TRY(gn_dataset_stream_open(j->ctx, j->o->input, &j->o->read, &s, j->err));
    while (status == GN_OK && !b.end) {
        GN__TRY_GOTO(gn_dataset_stream_next(s, j->block_rows, BLOCK_TEXT, &b, j->err), done);
        gn_dataset_stream_info(s, &info);
        j->total = info.rows;
        gn__progress(j->ctx, GN_STAGE_READ, info.bytes, info.total_bytes);
        status =
            gn__model_learn(j->ctx, j->m, (const char *const *)b.text, b.length, b.rows, &j->idf, j->err);
    }
done:
    gn_dataset_stream_close(s, NULL);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------ */

static gn_status write_rows(job *j, gn_error *err)
{
    const gn__layout *l = &j->layout;
    size_t cells = j->vectors.rows * j->vectors.cols, bytes = j->vectors.rows * gn__layout_row(l), bad;
    gn__sha256 one;
    if (bytes > j->converted_room) {
        void *p = realloc(j->converted, bytes);
        if (p == NULL) return gn__no_memory(err, bytes);
        j->converted = p;
        j->converted_room = bytes;
    }
    if (!gn__layout_convert(l, j->vectors.data, cells, j->converted, &bad))
        return gn__fail(err, GN_NUMERIC, "row %llu has the value %g, which %s cannot hold",
                        (unsigned long long)(j->written + bad / l->dim + 1), (double)j->vectors.data[bad],
                        gn_output_type_name(l->type));
    GN__TRY(gn__sha256_begin(&one, err));
    gn__sha256_update(&one, j->converted, bytes);
    gn__sha256_end(&one, j->note.data);
    gn__sha256_update(&j->sha, j->converted, bytes);
    GN__TRY(gn__journal_add(&j->journal, j->at, j->converted, bytes, &j->note, err));
    j->at += (off_t)bytes;
    j->written += j->note.rows;
    j->side.cut += j->note.cut;
    return GN_OK;
}

/* A task of the writing thread. */
static void write_block(void *arg)
{
    job *j = arg;
    j->write_status = write_rows(j, &j->write_error);
    gn_matrix_free(&j->vectors);
}

static gn_status written(job *j, gn__aside *writer)
{
    gn__aside_wait(writer);
    if (j->write_status != GN_OK && j->err != NULL) *j->err = j->write_error;
    return j->write_status;
}

/* ---- the blocks --------------------------------------------------------------------------------- */

/* A block that an earlier run has finished: its texts have to be the same. */
static gn_status check_texts(const job *j, const slot *s, size_t block)
{
    const gn__block_note *n = &j->journal.block[block];
    if (n->rows == s->rows && strcmp(n->texts, s->texts) == 0) return GN_OK;
    return gn__fail(j->err, GN_INVALID_ARGUMENT,
                    "%s holds other texts than when the unfinished %s was begun (in the %zu rows up to the "
                    "%llu-th); ask for a restart to begin anew",
                    j->o->input, j->journal.partial, s->rows, (unsigned long long)s->kept);
}

/* Rows of the whole, as far as can be told. */
static size_t expected_rows(const job *j, const slot *s)
{
    if (j->total > 0) return (size_t)(j->last - j->first);
    if (s->place.bytes == 0) return (size_t)s->kept;
    return (size_t)((double)s->kept * (double)s->place.total_bytes / (double)s->place.bytes);
}

static gn_status embed_block(job *j, const slot *s, uint64_t before, gn__aside *writer)
{
    gn_matrix x = {0};
    uint64_t cuts = 0;
    unsigned char *cut = gn__calloc(s->rows, 1);
    if (cut == NULL) return gn__no_memory(j->err, s->rows);
    gn__progress_within(j->ctx, (size_t)before, expected_rows(j, s));
    gn_status status = gn__model_embed(j->ctx, j->m, j->idf.df != NULL ? &j->idf : NULL, s->text, s->length,
                                       s->rows, &x, cut, NULL, NULL, j->err);
    if (status == GN_OK) gn__progress(j->ctx, GN_STAGE_EMBED, s->rows, s->rows);
    gn__progress_within(j->ctx, 0, 0);
    for (size_t i = 0; i < s->rows && status == GN_OK; i++) cuts += cut[i];
    free(cut);
    if (status == GN_OK) status = written(j, writer);
    if (status != GN_OK) {
        gn_matrix_free(&x);
        return status;
    }
    j->vectors = x;
    j->note = (gn__block_note){.rows = s->rows, .cut = cuts};
    memcpy(j->note.texts, s->texts, sizeof s->texts);
    gn__aside_start(writer, write_block, j);
    return GN_OK;
}

static gn_status run_blocks(job *j, gn__aside *reader, gn__aside *writer)
{
    size_t block = 0, done = j->journal.blocks;
    uint64_t before = 0;
    gn_status status = GN_OK;
    j->reading = &j->slots[0];
    gn__aside_start(reader, read_block, j);
    for (bool end = false; status == GN_OK && !end;) {
        gn__aside_wait(reader);
        slot *s = j->reading;
        if (s->status != GN_OK) {
            if (j->err != NULL) *j->err = s->error;
            return s->status;
        }
        end = s->end;
        if (!end) {
            j->reading = s == &j->slots[0] ? &j->slots[1] : &j->slots[0];
            gn__aside_start(reader, read_block, j);
        }
        if (s->rows > 0 && block < done)
            status = check_texts(j, s, block);
        else if (s->rows > 0)
            status = embed_block(j, s, before, writer);
        block += s->rows > 0;
        before += s->rows;
        j->side.input = s->place;
        if (status == GN_OK) status = gn__check_cancel(j->ctx, j->err);
    }
    if (status == GN_OK && block < done)
        return gn__fail(j->err, GN_INVALID_ARGUMENT,
                        "%s has fewer rows than when the unfinished %s was begun; ask for a restart to begin "
                        "anew",
                        j->o->input, j->journal.partial);
    return status;
}

/* ---- before and after --------------------------------------------------------------------------- */

static gn_status hash_of(const void *data, size_t n, char hex[65], gn_error *err)
{
    gn__sha256 h;
    GN__TRY(gn__sha256_begin(&h, err));
    gn__sha256_update(&h, data, n);
    gn__sha256_end(&h, hex);
    return GN_OK;
}

/* Everything that a run has in common with the one it goes on with. */
static gn_status options_of(job *j, json_t **out)
{
    const gn_embed_file_options *o = j->o;
    const gn_dataset_options *r = &o->read;
    struct stat st;
    char idf[65] = "";
    json_int_t bytes = strcmp(o->input, "-") != 0 && stat(o->input, &st) == 0 && S_ISREG(st.st_mode)
                           ? (json_int_t)st.st_size
                           : 0;
    if (j->idf.df != NULL)
        GN__TRY(hash_of(j->idf.df, GN__CHAR_NGRAM_BUCKETS * sizeof *j->idf.df, idf, j->err));
    const gn_model_info *m = gn_model_get_info(j->m);
    *out = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s?, "
        "s:s?, s:s?, s:s?, s:b, s:I}",
        "schema", "genchi.embed-state/1", "version", gn_version(), "model", m->name, "model_key",
        j->side.model_key, "pooling", gn__pooling_text(m), "dtype", gn_dtype_name(m->dtype), "max_length",
        (json_int_t)m->max_length, "normalize", (int)m->normalize, "output",
        j->layout.safetensors ? "safetensors" : "npy", "output_type", gn_output_type_name(j->layout.type),
        "block_rows", (json_int_t)j->block_rows, "first_row", (json_int_t)j->first, "last_row",
        (json_int_t)(j->total > 0 ? j->last : 0), "input_bytes", bytes, "learnt", idf, "format",
        gn_format_name(r->format), "encoding", gn_encoding_name(r->encoding), "header",
        r->header == GN_HEADER_AUTO  ? "auto"
        : r->header == GN_HEADER_YES ? "yes"
                                     : "no",
        "text", r->text, "label", r->label, "label_map", r->label_map, "drop_label", r->drop_labels, "strict",
        (int)r->strict, "max_text_bytes", (json_int_t)r->max_text_bytes);
    return *out != NULL ? GN_OK : gn__no_memory(j->err, 1024);
}

static gn_status prepare(job *j)
{
    const gn_embed_file_options *o = j->o;
    const gn_model_info *m = gn_model_get_info(j->m);
    if (o->shards > 0 && (o->shard < 1 || o->shard > o->shards))
        return gn__fail(j->err, GN_INVALID_ARGUMENT, "there is no part %u of %u", o->shard, o->shards);
    j->layout = (gn__layout){gn__is_safetensors(o->out), o->type, m->dim};
    j->block_rows = o->block_rows ? o->block_rows : BLOCK_VECTORS / (m->dim * sizeof(float));
    if (o->block_rows == 0 && j->block_rows > BLOCK_ROWS) j->block_rows = BLOCK_ROWS;
    if (o->block_rows == 0 && j->block_rows < FEWEST_ROWS) j->block_rows = FEWEST_ROWS;
    GN__TRY(gn__model_fingerprint(m, j->side.model_key, j->err));
    j->last = UINT64_MAX;
    if (o->shards > 0 || gn__model_learns(j->m)) {
        GN__TRY(count_rows(j));
        j->last = j->total;
    }
    if (o->shards > 0) {
        uint64_t n = j->total, whole = n / o->shards, rest = n % o->shards; /* ⌊k n / shards⌋ */
        j->first = whole * (o->shard - 1) + rest * (o->shard - 1) / o->shards;
        j->last = whole * o->shard + rest * o->shard / o->shards;
    }
    return GN_OK;
}

static gn_status no_rows(const job *j)
{
    const gn_stream_info *i = &j->side.input;
    return gn__fail(
        j->err, GN_DATA,
        "%s holds no usable row: of %llu, %llu are malformed, %llu are without text and %llu were "
        "dropped by their label",
        j->o->input, (unsigned long long)i->rows_read, (unsigned long long)i->malformed,
        (unsigned long long)i->empty, (unsigned long long)i->dropped_by_label);
}

static gn_status close_list(job *j)
{
    bool failed = ferror(j->left_out) != 0 || fflush(j->left_out) != 0 || fsync(fileno(j->left_out)) != 0;
    failed = fclose(j->left_out) != 0 || failed;
    j->left_out = NULL;
    if (!failed && j->left_outs > 0) failed = rename(j->list_partial, j->list) != 0;
    if (failed) return gn__fail(j->err, GN_IO, "cannot write %s: %s", j->list, strerror(errno));
    if (j->left_outs == 0) {
        unlink(j->list_partial);
        unlink(j->list); /* of an earlier run, if any */
    }
    return GN_OK;
}

/* OUT.left-out.jsonl, OUT.json and, last, OUT. */
static gn_status finish(job *j)
{
    const gn_embed_file_options *o = j->o;
    gn__sidecar *side = &j->side;
    char header[GN__HEADER_MOST];
    char *beside = gn__with_suffix(o->out, ".json");
    json_t *json = NULL;
    gn_status status;
    if (beside == NULL) return gn__no_memory(j->err, strlen(o->out));
    side->layout = j->layout;
    side->rows = j->written;
    side->shard = o->shards > 0 ? o->shard : 0;
    side->shards = o->shards;
    side->first_row = j->first;
    side->left_out = j->left_outs > 0;
    gn__sha256_end(&j->sha, side->data_sha256);
    json = gn__sidecar_json(side, gn_model_get_info(j->m), o->input);
    if (json == NULL) {
        status = gn__no_memory(j->err, 4096);
        goto done;
    }
    GN__TRY_GOTO(close_list(j), done);
    GN__TRY_GOTO(gn__json_write(beside, json, j->err), done);
    gn__layout_write(&j->layout, j->written, header);
    GN__TRY_GOTO(gn__journal_finish(&j->journal, header, gn__layout_header(&j->layout), j->err), done);
done:
    json_decref(json);
    free(beside);
    return status;
}

static gn_status run(job *j, gn_embed_file_result *result)
{
    gn__aside reader = {0}, writer = {0};
    json_t *options = NULL;
    gn_status status;
    j->list = gn__with_suffix(j->o->out, ".left-out.jsonl");
    j->list_partial = gn__with_suffix(j->o->out, ".left-out.partial");
    if (j->list == NULL || j->list_partial == NULL) return gn__no_memory(j->err, strlen(j->o->out));
    GN__TRY_GOTO(prepare(j), done);
    GN__TRY_GOTO(options_of(j, &options), done);
    GN__TRY_GOTO(gn__sha256_begin(&j->sha, j->err), done);
    GN__TRY_GOTO(gn_dataset_stream_open(j->ctx, j->o->input, &j->o->read, &j->stream, j->err), done);
    GN__TRY_GOTO(gn__journal_open(j->o->out, options, j->o->restart, &j->journal, j->err), done);
    GN__TRY_GOTO(gn__journal_verify(j->ctx, &j->journal, &j->layout, &j->sha, j->err), done);
    j->left_out = fopen(j->list_partial, "we");
    if (j->left_out == NULL) {
        status = gn__fail(j->err, GN_IO, "cannot write %s: %s", j->list, strerror(errno));
        goto done;
    }
    for (size_t b = 0; b < j->journal.blocks; b++) {
        j->written += j->journal.block[b].rows;
        j->side.cut += j->journal.block[b].cut;
    }
    result->resumed_rows = j->written;
    j->at = (off_t)(gn__layout_header(&j->layout) + j->written * gn__layout_row(&j->layout));
    GN__TRY_GOTO(gn__aside_open(&reader, j->err), done);
    GN__TRY_GOTO(gn__aside_open(&writer, j->err), done);
    status = run_blocks(j, &reader, &writer);
    /* what is computed is kept, whatever stopped the rest */
    gn__aside_wait(&writer);
    gn__aside_wait(&reader);
    if (status == GN_OK) status = written(j, &writer);
    if (j->side.input.text_column != NULL) { /* owned by the stream */
        j->column = gn__strdup(j->side.input.text_column);
        if (j->column == NULL && status == GN_OK) status = gn__no_memory(j->err, 64);
        j->side.input.text_column = j->column;
    }
    gn_dataset_stream_close(j->stream, j->side.input_sha256);
    j->stream = NULL;
    if (status == GN_OK && j->side.input.rows == 0) status = no_rows(j);
    if (status == GN_OK) status = finish(j);
done:
    gn__aside_close(&writer);
    gn__aside_close(&reader);
    json_decref(options);
    return status;
}

gn_status gn_embed_file(gn_context *ctx, const gn_model *m, const gn_embed_file_options *options,
                        gn_embed_file_result *result, gn_error *err)
{
    double start = gn__now();
    gn_lang lang = err != NULL ? err->lang : GN_LANG_EN;
    job j = {.ctx = ctx,
             .m = m,
             .o = options,
             .err = err,
             .journal = {.state_fd = -1, .data_fd = -1},
             .write_error = {.lang = lang}};
    for (size_t i = 0; i < 2; i++) j.slots[i].error.lang = lang;
    *result = (gn_embed_file_result){.dim = gn_model_get_info(m)->dim};
    gn_status status = run(&j, result);
    const gn_stream_info *in = &j.side.input;
    result->rows = j.written;
    result->cut = j.side.cut;
    result->rows_read = in->rows_read;
    result->malformed = in->malformed;
    result->empty = in->empty;
    result->dropped_by_label = in->dropped_by_label;
    result->seconds = gn__now() - start;
    if (j.sha.state != NULL) {
        char unused[65];
        gn__sha256_end(&j.sha, unused);
    }
    gn_dataset_stream_close(j.stream, NULL);
    gn__journal_close(&j.journal);
    if (j.left_out != NULL) {
        fclose(j.left_out);
        unlink(j.list_partial);
    }
    free(j.column);
    free(j.list);
    free(j.list_partial);
    for (size_t i = 0; i < 2; i++) {
        gn__buf_free(&j.slots[i].bytes);
        free(j.slots[i].text);
        free(j.slots[i].length);
    }
    gn_matrix_free(&j.vectors);
    free(j.converted);
    free(j.idf.df);
    return status;
}
