/* What is done to datasets once they are read: one class list for both, leaving rows out, presets. */
#include "data/data.h"

#include <stdio.h>

static void renumber(gn_dataset *d, const int *to)
{
    if (d->label == NULL) return;
    for (size_t i = 0; i < d->rows; i++)
        if (d->label[i] >= 0) d->label[i] = to[d->label[i]];
}

/* An array of the names, copied into the dataset's own arena. */
static char **own_names(gn_dataset *d, char **names, size_t n)
{
    char **own = gn__calloc(n, sizeof *own);
    for (size_t i = 0; own != NULL && i < n; i++) {
        own[i] = gn__arena_strndup(d->arena, names[i], strlen(names[i]));
        if (own[i] == NULL) {
            free(own);
            return NULL;
        }
    }
    return own;
}

gn_status gn_dataset_align_classes(gn_dataset *train, gn_dataset *test, gn_error *err)
{
    gn_dataset *const set[2] = {train, test};
    gn__map known = {0};
    size_t n = 0, most = (size_t)train->classes + (size_t)test->classes;
    char **names = gn__calloc(most, sizeof *names), **own[2] = {NULL, NULL};
    int *rank = gn__calloc(most, sizeof *rank), *to[2] = {NULL, NULL};
    gn_status status = GN_OK;
    bool no_memory = names == NULL || rank == NULL;
    for (int s = 0; s < 2 && !no_memory; s++) {
        to[s] = gn__calloc((size_t)set[s]->classes, sizeof *to[s]);
        no_memory = to[s] == NULL;
        for (int i = 0; i < set[s]->classes && !no_memory; i++) {
            char *name = set[s]->class_names[i];
            uint32_t found;
            no_memory = !gn__map_put(&known, name, strlen(name), (uint32_t)n, &found);
            if (no_memory) break;
            if (found == n) names[n++] = name;
            to[s][i] = (int)found;
        }
    }
    if (!no_memory) GN__TRY_GOTO(gn__sort_classes(names, n, rank, err), done);
    for (int s = 0; s < 2 && !no_memory; s++) {
        own[s] = own_names(set[s], names, n);
        no_memory = own[s] == NULL;
    }
    if (no_memory) {
        status = gn__no_memory(err, most * sizeof *names);
        goto done;
    }
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < set[s]->classes; i++) to[s][i] = rank[to[s][i]];
        renumber(set[s], to[s]);
        free(set[s]->class_names);
        set[s]->class_names = own[s];
        set[s]->classes = (int)n;
        own[s] = NULL;
    }
done:
    for (int s = 0; s < 2; s++) {
        free(to[s]);
        free(own[s]);
    }
    free(names);
    free(rank);
    gn__map_free(&known);
    return status;
}

gn_status gn_dataset_filter(gn_dataset *d, const unsigned char *keep, gn_error *err)
{
    uint32_t *to = NULL, groups = 0;
    char **names = NULL;
    size_t rows = 0;
    if (d->group != NULL) {
        to = gn__calloc(d->groups, sizeof *to);
        names = gn__calloc(d->groups, sizeof *names);
        if (to == NULL || names == NULL) {
            free(to);
            free(names);
            return gn__no_memory(err, d->groups * sizeof *names);
        }
        memset(to, 0xFF, d->groups * sizeof *to); /* UINT32_MAX: not met yet */
    }
    for (size_t i = 0; i < d->rows; i++) {
        if (!keep[i]) {
            if (d->label != NULL && d->label[i] < 0) d->unlabelled--;
            continue;
        }
        d->text[rows] = d->text[i];
        d->length[rows] = d->length[i];
        d->line[rows] = d->line[i];
        if (d->label != NULL) d->label[rows] = d->label[i];
        if (d->id != NULL) d->id[rows] = d->id[i];
        if (d->group != NULL) {
            uint32_t g = d->group[i];
            if (to[g] == UINT32_MAX) {
                names[groups] = d->group_name[g];
                to[g] = groups++;
            }
            d->group[rows] = to[g];
        }
        rows++;
    }
    d->rows = rows;
    if (d->group != NULL) {
        free(d->group_name);
        d->group_name = names;
        d->groups = groups;
    }
    free(to);
    return GN_OK;
}

static const struct {
    const char *name;
    gn_dataset_options train, test;
} presets[] = {
    {.name = "sentiment140",
     .train = {.format = GN_FORMAT_CSV,
               .encoding = GN_ENCODING_LATIN1,
               .header = GN_HEADER_NO,
               .text = "6",
               .label = "1",
               .id = "2",
               .label_map = "0=negative,4=positive",
               .drop_labels = "2"},
     .test = {.format = GN_FORMAT_CSV,
              .encoding = GN_ENCODING_LATIN1,
              .header = GN_HEADER_NO,
              .text = "6",
              .label = "1",
              .id = "2",
              .group = "4",
              .label_map = "0=negative,4=positive",
              .drop_labels = "2",
              .group_alone = "NO_QUERY"}},
};

gn_status gn_dataset_preset(const char *name, bool for_test, gn_dataset_options *out, gn_error *err)
{
    gn__buf known = {0};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *out = for_test ? presets[i].test : presets[i].train;
            gn__buf_free(&known);
            return GN_OK;
        }
        gn__buf_printf(&known, "%s%s", i > 0 ? ", " : "", presets[i].name);
    }
    gn_status status = known.failed
                           ? gn__no_memory(err, 64)
                           : gn__fail(err, GN_INVALID_ARGUMENT,
                                      "there is no preset \"%s\"; the presets are: %s", name, known.data);
    gn__buf_free(&known);
    return status;
}
