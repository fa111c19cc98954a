/* Label rules (mapping, dropping) and the one order of classes. */
#include "data/data.h"

static bool grow_to(gn__label_rules *r, char *name)
{
    size_t n = r->from.count;
    char **to = gn__realloc(r->to, n + 1, sizeof *to);
    if (to == NULL) return false;
    r->to = to;
    to[n] = name;
    return true;
}

/* The next piece of *list up to a comma, trimmed; false at the end. */
static bool next_item(const char **list, const char **item, size_t *n)
{
    if (*list == NULL) return false;
    const char *comma = strchr(*list, ',');
    *item = *list;
    *n = comma != NULL ? (size_t)(comma - *list) : strlen(*list);
    *list = comma != NULL ? comma + 1 : NULL;
    gn__trim(item, n);
    return true;
}

static gn_status add_mapping(gn__label_rules *r, const char *item, size_t n, gn_error *err)
{
    const char *equals = memchr(item, '=', n);
    const char *key = item, *name = equals != NULL ? equals + 1 : item;
    size_t key_n = equals != NULL ? (size_t)(equals - item) : 0, name_n = n - (size_t)(name - item);
    gn__trim(&key, &key_n);
    gn__trim(&name, &name_n);
    if (equals == NULL || key_n == 0 || name_n == 0)
        return gn__fail(
            err, GN_INVALID_ARGUMENT,
            "the label map has \"%.*s\" where \"label=name\" was expected (as in 0=negative,4=positive)",
            (int)(n < 100 ? n : 100), item);
    int64_t old = gn__map_get(&r->from, key, key_n);
    if (old >= 0) {
        if (strlen(r->to[old]) == name_n && memcmp(r->to[old], name, name_n) == 0) return GN_OK;
        return gn__fail(err, GN_INVALID_ARGUMENT, "the label map gives \"%.*s\" two names",
                        (int)(key_n < 100 ? key_n : 100), key);
    }
    char *copy = gn__arena_strndup(&r->arena, name, name_n);
    if (copy == NULL || !grow_to(r, copy) ||
        !gn__map_put(&r->from, key, key_n, (uint32_t)r->from.count, NULL))
        return gn__no_memory(err, n);
    return GN_OK;
}

gn_status gn__label_rules_make(const gn_dataset_options *o, gn__label_rules *out, gn_error *err)
{
    gn__label_rules r = {0};
    gn_status status = GN_OK;
    const char *item, *list = o->label_map;
    size_t n;
    while (status == GN_OK && next_item(&list, &item, &n))
        if (n > 0 || list != NULL) status = add_mapping(&r, item, n, err); /* a comma may end the list */
    list = o->drop_labels;
    while (status == GN_OK && next_item(&list, &item, &n))
        if (n > 0 && !gn__map_put(&r.drop, item, n, 0, NULL)) status = gn__no_memory(err, n);
    if (status != GN_OK)
        gn__label_rules_free(&r);
    else
        *out = r;
    return status;
}

void gn__label_rules_free(gn__label_rules *r)
{
    gn__map_free(&r->from);
    gn__map_free(&r->drop);
    gn__arena_free(&r->arena);
    free(r->to);
    *r = (gn__label_rules){0};
}

const char *gn__label_apply(const gn__label_rules *r, const char *label, bool *dropped)
{
    int64_t at = gn__map_get(&r->from, label, strlen(label));
    const char *name = at >= 0 ? r->to[at] : label;
    *dropped =
        gn__map_get(&r->drop, label, strlen(label)) >= 0 || gn__map_get(&r->drop, name, strlen(name)) >= 0;
    return name;
}

typedef struct ranked {
    char *name;
    double value;
    size_t old;
} ranked;

static int by_bytes(const void *a, const void *b)
{
    return strcmp(((const ranked *)a)->name, ((const ranked *)b)->name);
}

static int by_value(const void *a, const void *b)
{
    double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    if (x != y) return x < y ? -1 : 1;
    return by_bytes(a, b);
}

gn_status gn__sort_classes(char **names, size_t n, int *rank, gn_error *err)
{
    ranked *r = gn__calloc(n, sizeof *r);
    if (r == NULL) return gn__no_memory(err, n * sizeof *r);
    bool numbers = true;
    for (size_t i = 0; i < n; i++) {
        r[i] = (ranked){.name = names[i], .old = i};
        numbers = gn__number(names[i], &r[i].value) && numbers;
    }
    qsort(r, n, sizeof *r, numbers ? by_value : by_bytes);
    for (size_t i = 0; i < n; i++) {
        names[i] = r[i].name;
        rank[r[i].old] = (int)i;
    }
    free(r);
    return GN_OK;
}
