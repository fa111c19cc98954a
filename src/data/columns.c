/* Which column holds the texts, the labels, the ids and the groups, and whether row 1 is a header. */
#include "data/data.h"

#include <stdio.h>
#include <strings.h>

enum { LOOK_AHEAD = 100, LISTED = 40, NAME_SHOWN = 40 };

/* Names that stand for a role when none is given, the most telling first; any case. */
static const char *const fallback[GN__ROLES][12] = {
    [GN__TEXT] = {"text", "sentence", "content", "body", "tweet", "review", "本文", "文", "テキスト"},
    [GN__LABEL] = {"label", "class", "category", "polarity", "sentiment", "target", "ラベル"},
    [GN__ID] = {"id", "uid"},
    [GN__GROUP] = {NULL}, /* grouping is a statement about the data, never guessed */
};

static const char *wanted(const gn_dataset_options *o, gn__role role)
{
    const char *const want[GN__ROLES] = {
        [GN__TEXT] = o->text, [GN__LABEL] = o->label, [GN__ID] = o->id, [GN__GROUP] = o->group};
    return want[role];
}

static bool is_position(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 6 && strspn(s, "0123456789") == n;
}

bool gn__is_column_name(const char *s, size_t n)
{
    for (int role = GN__TEXT; role <= GN__LABEL; role++)
        for (const char *const *f = fallback[role]; *f != NULL; f++)
            if (strlen(*f) == n && strncasecmp(s, *f, n) == 0) return true;
    return false;
}

/* 1 "polarity", 2 "text", …; bare numbers where there is no header. */
static void list_columns(const gn__columns *c, bool named, gn__buf *out)
{
    for (size_t i = 0; i < c->count && i < LISTED; i++) {
        const char *s = c->name[i];
        size_t n = strlen(s), shown = gn__utf8_prefix(s, n, NAME_SHOWN);
        if (i > 0) gn__buf_puts(out, ", ");
        if (named)
            gn__buf_printf(out, "%zu \"%.*s%s\"", i + 1, (int)shown, s, shown < n ? "…" : "");
        else
            gn__buf_puts(out, s);
    }
    if (c->count > LISTED) gn__buf_puts(out, ", …");
}

static gn_status fail_listing(gn_error *err, const char *name, const gn__columns *c, bool named,
                              const char *format, const char *want)
{
    gn__buf list = {0};
    list_columns(c, named, &list);
    gn_status status = want != NULL ? gn__fail(err, GN_INVALID_ARGUMENT, format, name, want, list.data)
                                    : gn__fail(err, GN_INVALID_ARGUMENT, format, name, list.data);
    if (list.failed) status = gn__no_memory(err, 64);
    gn__buf_free(&list);
    return status;
}

static int find_name(const gn__columns *c, const char *name, bool any_case, bool *twice)
{
    int at = -1;
    for (size_t i = 0; i < c->count; i++) {
        if ((any_case ? strcasecmp : strcmp)(c->name[i], name) != 0) continue;
        if (at >= 0) {
            *twice = true;
            break;
        }
        at = (int)i;
    }
    return at;
}

/* `named`: columns have names (a header, or JSON keys); `numbered`: a position will do. */
static gn_status resolve(const char *name, const gn_dataset_options *o, bool named, bool numbered,
                         gn__columns *c, gn_error *err)
{
    for (int role = 0; role < GN__ROLES; role++) {
        const char *want = wanted(o, role);
        bool twice = false;
        c->at[role] = -1;
        if (want != NULL && *want == '\0' && role != GN__TEXT) continue;
        if (want != NULL && *want != '\0') {
            if (named) c->at[role] = find_name(c, want, false, &twice);
            if (twice)
                return fail_listing(
                    err, name, c, named,
                    "%s has several columns named \"%s\": give its number (the columns are: %s)", want);
            if (c->at[role] < 0 && numbered && is_position(want)) {
                long position = strtol(want, NULL, 10);
                if (position >= 1 && (size_t)position <= c->count) c->at[role] = (int)position - 1;
            }
            if (c->at[role] < 0)
                return fail_listing(err, name, c, named, "%s has no column \"%s\"; its columns are: %s",
                                    want);
            continue;
        }
        for (const char *const *f = fallback[role]; named && *f != NULL && c->at[role] < 0; f++)
            c->at[role] = find_name(c, *f, true, &twice);
        if (role != GN__TEXT || c->at[role] >= 0) continue;
        if (c->count != 1)
            return fail_listing(err, name, c, named,
                                "%s does not say which column holds the texts: name it; its columns are: %s",
                                NULL);
        c->at[role] = 0;
    }
    return GN_OK;
}

/* What the first records show about the columns. */
typedef struct survey {
    size_t widths[LOOK_AHEAD], records;
    signed char *number; /* [first width] 1: a number in every later row, 0: not looked at, -1: not */
} survey;

/* The field as trimmed UTF-8, in the arena; "" where it cannot be decoded. NULL: no memory. */
static char *cell(const gn__field *f, const gn__decoder *d, gn__arena *arena)
{
    gn__buf raw = {0}, text = {0};
    size_t bad;
    char *copy = NULL;
    gn__field_content(f, &raw);
    bool good = !raw.failed && gn__decode(d, raw.data, raw.length, &text, &bad);
    if (!raw.failed && !text.failed) {
        const char *s = good && text.data != NULL ? text.data : "";
        size_t n = good ? text.length : 0;
        gn__trim(&s, &n);
        copy = gn__arena_strndup(arena, s, n);
    }
    gn__buf_free(&raw);
    gn__buf_free(&text);
    return copy;
}

static gn_status look_ahead(gn__cursor c, const gn__decoder *d, gn__columns *out, char *problem,
                            int64_t *problem_line, survey *s, gn_error *err)
{
    gn__record r = {0};
    gn__arena scratch = {0};
    bool no_memory = false;
    while (s->records < LOOK_AHEAD && !no_memory && gn__next_record(&c, &r, &no_memory)) {
        if (r.blank) continue;
        bool first = s->records == 0;
        s->widths[s->records++] = r.problem == NULL ? r.fields : 0;
        if (first) {
            if (r.problem != NULL) {
                gn__reason(problem, gn__translate(err ? err->lang : GN_LANG_EN, r.problem),
                           (long long)r.problem_line);
                *problem_line = r.line;
                continue;
            }
            out->name = gn__arena_alloc(&out->arena, r.fields * sizeof *out->name);
            s->number = gn__arena_alloc(&out->arena, r.fields);
            no_memory = out->name == NULL || s->number == NULL;
            if (no_memory) break;
            memset(s->number, 0, r.fields);
            for (size_t i = 0; i < r.fields; i++) {
                out->name[i] = cell(&r.field[i], d, &out->arena);
                if (out->name[i] == NULL) no_memory = true;
            }
            out->count = r.fields;
        } else if (out->name != NULL && r.problem == NULL) {
            for (size_t i = 0; i < r.fields && i < out->count; i++) {
                double x;
                if (s->number[i] < 0 || r.field[i].length == 0) continue;
                const char *text = r.field[i].length < 64 ? cell(&r.field[i], d, &scratch) : "-";
                if (text == NULL) no_memory = true;
                s->number[i] = text != NULL && gn__number(text, &x) ? 1 : -1;
            }
        }
    }
    gn__record_free(&r);
    gn__arena_free(&scratch);
    return no_memory ? gn__no_memory(err, 64) : GN_OK;
}

/* The rule stands in README.md, "Is there a header?". */
static bool detect_header(const gn__columns *c, const survey *s, const gn_dataset_options *o)
{
    bool labels_below = false;
    for (int role = 0; role < GN__ROLES; role++) {
        const char *want = wanted(o, role);
        if (want != NULL && *want != '\0' && !is_position(want)) return true;
    }
    for (size_t i = 0; i < c->count; i++)
        if (gn__is_column_name(c->name[i], strlen(c->name[i]))) return true;
    for (size_t i = 0; i < c->count; i++) {
        double x;
        if (gn__number(c->name[i], &x)) return false;
        if (s->number[i] == 1 && c->name[i][0] != '\0') labels_below = true;
    }
    return labels_below;
}

/* The width most of the first records have; the earlier one of equals. */
static size_t usual_width(const survey *s)
{
    size_t best = 0, width = 0;
    for (size_t i = 0; i < s->records; i++) {
        size_t n = 0;
        for (size_t j = 0; j < s->records; j++) n += s->widths[j] == s->widths[i];
        if (s->widths[i] > 0 && n > best) {
            best = n;
            width = s->widths[i];
        }
    }
    return width;
}

static gn_status number_columns(gn__columns *c, size_t width, gn_error *err)
{
    c->name = gn__arena_alloc(&c->arena, width * sizeof *c->name);
    if (c->name == NULL) return gn__no_memory(err, width * sizeof *c->name);
    c->count = width;
    for (size_t i = 0; i < width; i++) {
        char digits[24];
        int n = snprintf(digits, sizeof digits, "%zu", i + 1);
        c->name[i] = gn__arena_strndup(&c->arena, digits, (size_t)n);
        if (c->name[i] == NULL) return gn__no_memory(err, 24);
    }
    return GN_OK;
}

gn_status gn__columns_of_table(const char *name, gn__cursor start, const gn__decoder *d,
                               const gn_dataset_options *o, gn__columns *out, gn_error *err)
{
    gn__columns c = {0};
    survey s = {0};
    char problem[120] = "";
    int64_t problem_line = 0;
    gn_status status;
    GN__TRY_GOTO(look_ahead(start, d, &c, problem, &problem_line, &s, err), failed);
    c.header = o->header == GN_HEADER_YES || (o->header == GN_HEADER_AUTO && detect_header(&c, &s, o));
    if (c.header && c.name == NULL && s.records > 0) {
        status = gn__fail_at(err, GN_FORMAT, problem_line, "%s, line %lld: the header cannot be read: %s",
                             name, (long long)problem_line, problem);
        goto failed;
    }
    if (!c.header) GN__TRY_GOTO(number_columns(&c, usual_width(&s), err), failed);
    /* with nothing to choose from the caller says that there are no rows */
    for (int role = 0; role < GN__ROLES; role++) c.at[role] = -1;
    if (c.count > 0) GN__TRY_GOTO(resolve(name, o, c.header, true, &c, err), failed);
    *out = c;
    return GN_OK;
failed:
    gn__columns_free(&c);
    return status;
}

typedef struct key_list {
    gn__columns *c;
    gn__map seen;
    size_t capacity;
    char **name; /* [capacity] */
    bool no_memory;
} key_list;

static void add_key(void *arg, const char *key)
{
    key_list *k = arg;
    uint32_t found, at = (uint32_t)k->c->count;
    if (k->no_memory || at >= 4096) return; /* keys beyond are not columns but data */
    k->no_memory = !gn__map_put(&k->seen, key, strlen(key), at, &found);
    if (k->no_memory || found != at) return;
    if (k->c->count == k->capacity) {
        size_t capacity = k->capacity ? k->capacity * 2 : 16;
        char **name = gn__realloc(k->name, capacity, sizeof *name);
        k->no_memory = name == NULL;
        if (k->no_memory) return;
        k->name = name;
        k->capacity = capacity;
    }
    k->name[at] = gn__arena_strndup(&k->c->arena, key, strlen(key));
    k->no_memory = k->name[at] == NULL;
    if (!k->no_memory) k->c->count++;
}

gn_status gn__columns_of_jsonl(const char *name, gn__cursor start, const gn__decoder *d,
                               const gn_dataset_options *o, gn__columns *out, gn_error *err)
{
    gn__columns c = {0};
    key_list keys = {.c = &c};
    gn__record r = {0};
    gn__buf line = {0};
    bool no_memory = false;
    size_t records = 0;
    while (records < LOOK_AHEAD && gn__next_record(&start, &r, &no_memory)) {
        size_t bad;
        char reason[120];
        if (r.blank) continue;
        records++;
        line.length = 0;
        if (!gn__decode(d, r.field[0].at, r.field[0].length, &line, &bad) || line.failed) continue;
        gn__json *j = gn__json_line(line.data, line.length, GN_LANG_EN, reason);
        if (j != NULL) gn__json_keys(j, add_key, &keys);
        gn__json_free(j);
    }
    gn__record_free(&r);
    gn__map_free(&keys.seen);
    gn_status status = GN_OK;
    if (c.count > 0) c.name = gn__arena_alloc(&c.arena, c.count * sizeof *c.name);
    if (no_memory || keys.no_memory || line.failed || (c.count > 0 && c.name == NULL))
        status = gn__no_memory(err, 64);
    else if (c.count > 0)
        memcpy(c.name, keys.name, c.count * sizeof *c.name);
    free(keys.name);
    gn__buf_free(&line);
    for (int role = 0; role < GN__ROLES; role++) c.at[role] = -1;
    if (status == GN_OK && c.count > 0) status = resolve(name, o, true, false, &c, err);
    if (status == GN_OK)
        *out = c;
    else
        gn__columns_free(&c);
    return status;
}

void gn__columns_free(gn__columns *c)
{
    gn__arena_free(&c->arena);
    *c = (gn__columns){0};
}
