/* From bytes to a dataset: the one loop over the records of a file. */
#include "data/builder.h"

#include <stdio.h>
#include <strings.h>

/* More malformed rows than this mean that the file is read the wrong way; each listed row costs 128 bytes. */
enum { MALFORMED_LIMIT = 1000000, CHECK_EVERY = 1024 };
#define MAX_TEXT_DEFAULT ((uint64_t)64 << 20)
#define MAX_TEXT_LIMIT ((uint64_t)1 << 30)

typedef gn__builder builder;

static const char *tr(const builder *b, const char *english)
{
    return gn__translate(b->err != NULL ? b->err->lang : GN_LANG_EN, english);
}

/* Makes room for one more element of an array of `size` bytes each. */
static bool room(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    size_t bigger = *capacity ? *capacity * 2 : 256;
    void *p = gn__realloc(*array, bigger, size);
    if (p == NULL) return false;
    *array = p;
    *capacity = bigger;
    return true;
}

static gn_status add_malformed(builder *b, int64_t line, const char *reason)
{
    gn_dataset *d = b->d;
    if (b->o->strict)
        return gn__fail_at(b->err, GN_FORMAT, line, "%s, line %lld: %s", b->name, (long long)line, reason);
    bool listed = b->left_out == NULL;
    if (d->malformed >= MALFORMED_LIMIT && (listed || d->malformed > d->rows_read - d->malformed))
        return gn__fail_at(
            b->err, GN_FORMAT, d->malformed_rows[0].line,
            "%s has more than %d malformed rows: is it %s in %s? The first is on line %lld: %s", b->name,
            (int)MALFORMED_LIMIT, gn_format_name(d->format), gn_encoding_name(d->encoding),
            (long long)d->malformed_rows[0].line, d->malformed_rows[0].reason);
    if (!listed) {
        GN__TRY(b->left_out(b, line, GN_LEFT_OUT_MALFORMED, reason));
        if (d->malformed++ > 0) return GN_OK; /* the first is kept for messages */
        d->malformed_rows = gn__calloc(1, sizeof *d->malformed_rows);
        if (d->malformed_rows == NULL) return gn__no_memory(b->err, sizeof *d->malformed_rows);
        d->malformed_rows->line = line;
        gn__reason(d->malformed_rows->reason, "%s", reason);
        return GN_OK;
    }
    void *rows = d->malformed_rows;
    if (!room(&rows, d->malformed, &b->malformed_capacity, sizeof *d->malformed_rows))
        return gn__no_memory(b->err, d->malformed * sizeof *d->malformed_rows);
    d->malformed_rows = rows;
    gn_malformed_row *row = &d->malformed_rows[d->malformed++];
    row->line = line;
    gn__reason(row->reason, "%s", reason);
    return GN_OK;
}

/* One growth for all arrays of rows. */
static gn_status room_for_row(builder *b)
{
    gn_dataset *d = b->d;
    if (d->rows < b->capacity) return GN_OK;
    size_t n = b->capacity ? b->capacity * 2 : 1024;
    const bool wanted[] = {true,
                           true,
                           true,
                           !b->texts_only && b->columns.at[GN__LABEL] >= 0,
                           !b->texts_only && b->columns.at[GN__ID] >= 0,
                           !b->texts_only && b->columns.at[GN__GROUP] >= 0};
    void **const array[] = {(void **)&d->text,  (void **)&d->length, (void **)&d->line,
                            (void **)&d->label, (void **)&d->id,     (void **)&d->group};
    const size_t size[] = {sizeof *d->text,  sizeof *d->length, sizeof *d->line,
                           sizeof *d->label, sizeof *d->id,     sizeof *d->group};
    for (size_t i = 0; i < sizeof array / sizeof *array; i++) {
        if (!wanted[i]) continue;
        void *p;
        memcpy(&p, array[i], sizeof p);
        p = gn__realloc(p, n, size[i]);
        if (p == NULL) return gn__no_memory(b->err, n * size[i]);
        memcpy(array[i], &p, sizeof p);
    }
    b->capacity = n;
    return GN_OK;
}

/* The number of a class or group name, new or known. */
static bool intern(gn__map *map, gn__arena *arena, char ***names, size_t *count, size_t *capacity,
                   const char *s, size_t n, uint32_t *found)
{
    uint32_t next = (uint32_t)*count;
    bool alone = map == NULL; /* a name of its own, even if it occurs already */
    *found = next;
    if (!alone && !gn__map_put(map, s, n, next, found)) return false;
    if (*found != next) return true;
    void *p = *names;
    if (next == UINT32_MAX || !room(&p, *count, capacity, sizeof **names)) return false;
    *names = p;
    (*names)[next] = gn__arena_strndup(arena, s, n);
    if ((*names)[next] == NULL) return false;
    ++*count;
    return true;
}

static gn_status add_label(builder *b, const char *label)
{
    gn_dataset *d = b->d;
    if (*label == '\0') {
        d->label[d->rows] = -1;
        d->unlabelled++;
        return GN_OK;
    }
    size_t classes = (size_t)d->classes;
    uint32_t found;
    if (!intern(&b->classes, b->arena, &d->class_names, &classes, &b->class_capacity, label, strlen(label),
                &found) ||
        classes > INT32_MAX)
        return gn__no_memory(b->err, strlen(label));
    d->classes = (int)classes;
    d->label[d->rows] = (int)found;
    return GN_OK;
}

/* The trimmed content of a role's cell. */
static const char *trimmed(builder *b, gn__role role)
{
    gn__buf *cell = &b->cell[role];
    if (!b->has[role] || cell->length == 0) return "";
    const char *s = cell->data;
    size_t n = cell->length;
    gn__trim(&s, &n);
    cell->data[(size_t)(s - cell->data) + n] = '\0';
    return s;
}

/* The cells of one whole record, all decoded, become a row or are counted. */
static gn_status add_row(builder *b, int64_t line)
{
    gn_dataset *d = b->d;
    gn__buf *text = &b->cell[GN__TEXT];
    for (int role = 0; role < GN__ROLES; role++)
        if (b->cell[role].failed) return gn__no_memory(b->err, b->cell[role].capacity);
    if (text->length > b->max_text) {
        char reason[120];
        gn__reason(reason, tr(b, "the text has %zu bytes, more than the %llu allowed"), text->length,
                   (unsigned long long)b->max_text);
        return add_malformed(b, line, reason);
    }
    bool dropped = false;
    const char *label = trimmed(b, GN__LABEL);
    if (*label != '\0') label = gn__label_apply(&b->rules, label, &dropped);
    if (dropped) {
        d->dropped_by_label++;
        return b->left_out != NULL ? b->left_out(b, line, GN_LEFT_OUT_DROPPED, "") : GN_OK;
    }
    const char *content = text->data;
    size_t left = text->length;
    gn__trim(&content, &left);
    if (left == 0) {
        d->empty_texts++;
        return b->left_out != NULL ? b->left_out(b, line, GN_LEFT_OUT_EMPTY, "") : GN_OK;
    }
    GN__TRY(room_for_row(b));
    size_t row = d->rows;
    d->text[row] = gn__arena_strndup(b->arena, text->data, text->length);
    if (d->text[row] == NULL) return gn__no_memory(b->err, text->length);
    d->length[row] = (uint32_t)text->length;
    d->line[row] = line;
    if (d->label != NULL) GN__TRY(add_label(b, label));
    if (d->id != NULL) {
        const char *id = trimmed(b, GN__ID);
        d->id[row] = gn__arena_strndup(b->arena, id, strlen(id));
        if (d->id[row] == NULL) return gn__no_memory(b->err, strlen(id));
    }
    if (d->group != NULL) {
        const char *group = trimmed(b, GN__GROUP), *alone = b->o->group_alone;
        bool stands_alone = *group == '\0' || (alone != NULL && strcmp(group, alone) == 0);
        if (stands_alone) group = "";
        if (!intern(stands_alone ? NULL : &b->groups, b->arena, &d->group_name, &d->groups,
                    &b->group_capacity, group, strlen(group), &d->group[row]))
            return gn__no_memory(b->err, strlen(group));
    }
    d->rows++;
    return GN_OK;
}

static gn_status table_row(builder *b, const gn__record *r)
{
    char reason[120];
    if (r->problem != NULL) {
        gn__reason(reason, tr(b, r->problem), (long long)r->problem_line);
        return add_malformed(b, r->line, reason);
    }
    if (r->fields != b->columns.count) {
        gn__reason(reason, tr(b, "columns found: %zu, expected: %zu"), r->fields, b->columns.count);
        return add_malformed(b, r->line, reason);
    }
    for (int role = 0; role < GN__ROLES; role++) {
        int at = b->columns.at[role];
        size_t bad;
        if (at < 0) continue;
        gn__buf *cell = &b->cell[role];
        cell->length = b->raw.length = 0;
        const gn__field *f = &r->field[at];
        const char *s = f->at;
        size_t n = f->length;
        if (f->doubled) {
            gn__field_content(f, &b->raw);
            if (b->raw.failed) return gn__no_memory(b->err, n);
            s = b->raw.data;
            n = b->raw.length;
        }
        b->has[role] = true;
        if (gn__decode(&b->decoder, s, n, cell, &bad)) continue;
        gn__reason(reason, tr(b, "byte %zu of column %d is not valid %s"), bad + 1, at + 1,
                   gn_encoding_name(b->d->encoding));
        return add_malformed(b, r->line, reason);
    }
    return add_row(b, r->line);
}

static gn_status jsonl_row(builder *b, const gn__record *r)
{
    char reason[120];
    size_t bad;
    b->raw.length = 0;
    if (!gn__decode(&b->decoder, r->field[0].at, r->field[0].length, &b->raw, &bad)) {
        gn__reason(reason, tr(b, "byte %zu of the line is not valid %s"), bad + 1,
                   gn_encoding_name(b->d->encoding));
        return add_malformed(b, r->line, reason);
    }
    if (b->raw.failed) return gn__no_memory(b->err, r->field[0].length);
    gn__json *j =
        gn__json_line(b->raw.data, b->raw.length, b->err != NULL ? b->err->lang : GN_LANG_EN, reason);
    if (j == NULL) return add_malformed(b, r->line, reason);
    const char *problem = NULL, *key = "";
    for (int role = 0; role < GN__ROLES && problem == NULL; role++) {
        if (b->columns.at[role] < 0) continue;
        key = b->columns.name[b->columns.at[role]];
        b->cell[role].length = 0;
        gn__json_kind kind = gn__json_value(j, key, &b->cell[role]);
        b->has[role] = kind == GN__JSON_STRING || kind == GN__JSON_SCALAR;
        if (kind == GN__JSON_NESTED) problem = "key \"%s\" holds an array or an object";
        if (role != GN__TEXT) continue;
        if (kind == GN__JSON_MISSING) problem = "key \"%s\" is missing";
        if (kind == GN__JSON_SCALAR) problem = "key \"%s\" holds a number or a truth value, not text";
    }
    gn__json_free(j);
    if (problem == NULL && b->columns.at[GN__TEXT] >= 0) return add_row(b, r->line);
    gn__reason(reason, tr(b, problem != NULL ? problem : "the object is empty"), key);
    return add_malformed(b, r->line, reason);
}

gn_status gn__builder_take(gn__builder *b, const gn__record *r)
{
    bool keep_blank = b->d->format != GN_FORMAT_JSONL && b->columns.count <= 1;
    if (r->blank && (b->header_due || !keep_blank)) return GN_OK;
    if (b->header_due) {
        b->header_due = false;
        return GN_OK;
    }
    b->d->rows_read++;
    return b->d->format == GN_FORMAT_JSONL ? jsonl_row(b, r) : table_row(b, r);
}

static gn_status read_records(builder *b, gn__cursor c)
{
    const char *begin = c.at;
    size_t total = (size_t)(c.end - begin), seen = 0, marked = 0;
    gn__record r = {0};
    gn_status status = GN_OK;
    bool no_memory = false;
    while (status == GN_OK && gn__next_record(&c, &r, &no_memory)) {
        size_t done = (size_t)(c.at - begin);
        if (++seen % CHECK_EVERY == 0 || done - marked > (16u << 20)) {
            marked = done;
            gn__progress(b->ctx, GN_STAGE_READ, total + done, 2 * total); /* source.c was the first half */
            status = gn__check_cancel(b->ctx, b->err);
            if (status != GN_OK) break;
        }
        status = gn__builder_take(b, &r);
    }
    gn__record_free(&r);
    if (status == GN_OK && no_memory) status = gn__no_memory(b->err, 64);
    if (status == GN_OK) gn__progress(b->ctx, GN_STAGE_READ, 2 * total, 2 * total);
    return status;
}

static gn_status order_classes(builder *b)
{
    gn_dataset *d = b->d;
    if (d->classes == 0) return GN_OK;
    int *rank = gn__calloc((size_t)d->classes, sizeof *rank);
    if (rank == NULL) return gn__no_memory(b->err, (size_t)d->classes * sizeof *rank);
    gn_status status = gn__sort_classes(d->class_names, (size_t)d->classes, rank, b->err);
    for (size_t i = 0; status == GN_OK && i < d->rows; i++)
        if (d->label[i] >= 0) d->label[i] = rank[d->label[i]];
    free(rank);
    return status;
}

gn_status gn__builder_no_rows(const gn__builder *b)
{
    const gn_dataset *d = b->d;
    if (d->rows_read == 0) return gn__fail(b->err, GN_DATA, "%s holds no rows", b->name);
    if (d->malformed == 0)
        return gn__fail(
            b->err, GN_DATA,
            "%s holds no usable row: of %zu, %zu are without text and %zu were dropped by their label",
            b->name, d->rows_read, d->empty_texts, d->dropped_by_label);
    return gn__fail_at(
        b->err, GN_DATA, d->malformed_rows[0].line,
        "%s holds no usable row: of %zu, %zu are malformed (the first on line %lld: %s), %zu are "
        "without text and %zu were dropped by their label",
        b->name, d->rows_read, d->malformed, (long long)d->malformed_rows[0].line,
        d->malformed_rows[0].reason, d->empty_texts, d->dropped_by_label);
}

static gn_status choose_format(builder *b, const char *s, size_t n)
{
    const gn_dataset_options *o = b->o;
    gn_format f = o->format;
    if (f == GN_FORMAT_AUTO) f = gn__format_by_name(b->name);
    if (f == GN_FORMAT_AUTO) {
        size_t k = strlen(b->name), at = 0;
        while (at < n && strchr(" \t\r\n", s[at]) != NULL && s[at] != '\0') at++;
        if (k > 5 && strcasecmp(b->name + k - 5, ".json") == 0 && at < n && s[at] == '[')
            return gn__fail(b->err, GN_UNSUPPORTED,
                            "%s is one JSON array; write one object a line instead (jq -c '.[]')", b->name);
        bool columns = o->text != NULL || o->label != NULL || o->id != NULL || o->group != NULL;
        f = gn__format_by_content(s, n, columns);
    }
    if (f == GN_FORMAT_TEXT)
        for (int i = 0; i < GN__ROLES; i++) {
            const char *const want[GN__ROLES] = {o->text, o->label, o->id, o->group};
            if (want[i] != NULL && *want[i] != '\0')
                return gn__fail(b->err, GN_INVALID_ARGUMENT,
                                "%s is read as one text a line and has no column \"%s\": name its format",
                                b->name, want[i]);
        }
    b->d->format = f;
    return GN_OK;
}

static gn_status copy_name(builder *b, gn__role role, char **out)
{
    if (b->d->format == GN_FORMAT_TEXT || b->columns.at[role] < 0) return GN_OK;
    const char *s = b->columns.name[b->columns.at[role]];
    *out = gn__arena_strndup(b->arena, s, strlen(s));
    return *out != NULL ? GN_OK : gn__no_memory(b->err, strlen(s));
}

static gn_status find_columns(builder *b, gn__cursor c)
{
    if (c.format == GN_FORMAT_TEXT) {
        b->columns = (gn__columns){.count = 1, .at = {[GN__TEXT] = 0, -1, -1, -1}};
        return GN_OK;
    }
    if (c.format == GN_FORMAT_JSONL)
        GN__TRY(gn__columns_of_jsonl(b->name, c, &b->decoder, b->o, &b->columns, b->err));
    else
        GN__TRY(gn__columns_of_table(b->name, c, &b->decoder, b->o, &b->columns, b->err));
    GN__TRY(copy_name(b, GN__TEXT, &b->d->text_column));
    GN__TRY(copy_name(b, GN__LABEL, &b->d->label_column));
    return copy_name(b, GN__GROUP, &b->d->group_column);
}

gn_status gn__builder_begin(gn__builder *b, const char *s, size_t n, size_t enough, gn__cursor *out)
{
    b->max_text = b->o->max_text_bytes != 0 ? b->o->max_text_bytes : MAX_TEXT_DEFAULT;
    if (b->max_text > MAX_TEXT_LIMIT) b->max_text = MAX_TEXT_LIMIT;
    if (b->o->encoding == GN_ENCODING_AUTO && n >= 2 &&
        (memcmp(s, "\xFF\xFE", 2) == 0 || memcmp(s, "\xFE\xFF", 2) == 0))
        return gn__fail(b->err, GN_UNSUPPORTED, "%s is in UTF-16: save it as UTF-8", b->name);
    gn_encoding e = b->o->encoding != GN_ENCODING_AUTO ? b->o->encoding : gn__detect_encoding(s, enough);
    b->d->encoding = e;
    if (e == GN_ENCODING_UTF8 && n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) {
        s += 3;
        n -= 3;
    }
    GN__TRY(choose_format(b, s, n));
    GN__TRY(gn__label_rules_make(b->o, &b->rules, b->err));
    GN__TRY(gn__decoder_open(&b->decoder, e, b->err));
    *out = (gn__cursor){.at = s, .end = s + n, .line = 1, .format = b->d->format};
    GN__TRY(find_columns(b, *out));
    b->header_due = b->columns.header;
    return room_for_row(b); /* so that label, id and group tell from now on whether there is a column */
}

void gn__builder_free(gn__builder *b)
{
    gn__decoder_close(&b->decoder);
    gn__columns_free(&b->columns);
    gn__label_rules_free(&b->rules);
    gn__map_free(&b->classes);
    gn__map_free(&b->groups);
    gn__buf_free(&b->raw);
    for (int role = 0; role < GN__ROLES; role++) gn__buf_free(&b->cell[role]);
}

static gn_status build(builder *b, const char *s, size_t n)
{
    gn__cursor c;
    GN__TRY(gn__builder_begin(b, s, n, n, &c));
    GN__TRY(read_records(b, c));
    if (b->d->rows == 0) return gn__builder_no_rows(b);
    return order_classes(b);
}

gn_status gn__dataset_parse(gn_context *ctx, const char *name, const char *bytes, size_t length,
                            const gn_dataset_options *options, gn_dataset *out, gn_error *err)
{
    static const gn_dataset_options none;
    gn_dataset d = {0};
    gn__arena *arena = gn__calloc(1, sizeof *arena);
    if (arena == NULL) return gn__no_memory(err, sizeof *arena);
    d.arena = arena;
    builder b = {.ctx = ctx, .name = name, .o = options != NULL ? options : &none, .err = err, .d = &d};
    b.arena = arena;
    d.path = gn__arena_strndup(arena, name, strlen(name));
    gn_status status = d.path != NULL ? build(&b, bytes, length) : gn__no_memory(err, strlen(name));
    gn__builder_free(&b);
    if (status == GN_OK)
        *out = d;
    else
        gn_dataset_free(&d);
    return status;
}

gn_status gn_dataset_read(gn_context *ctx, const char *path, const gn_dataset_options *options,
                          gn_dataset *out, gn_error *err)
{
    char *bytes, sha256[65];
    size_t length;
    const char *name =
        strcmp(path, "-") == 0 ? gn__translate(err != NULL ? err->lang : GN_LANG_EN, "standard input") : path;
    GN__TRY(gn__source_read(ctx, path, name, &(gn__read_limits){0}, &bytes, &length, sha256, err));
    gn_status status = gn__dataset_parse(ctx, name, bytes, length, options, out, err);
    free(bytes);
    if (status != GN_OK) return status;
    memcpy(out->sha256, sha256, sizeof sha256);
    memcpy(out->path, path, strlen(path) + 1); /* "-" instead of the longer name that messages use */
    return GN_OK;
}

void gn_dataset_free(gn_dataset *d)
{
    if (d == NULL) return;
    void *const owned[] = {d->text,        d->length,     d->label,          d->id, d->line, d->group,
                           d->class_names, d->group_name, d->malformed_rows, NULL};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    gn__arena *arena = d->arena;
    if (arena != NULL) gn__arena_free(arena);
    free(arena);
    *d = (gn_dataset){0};
}
