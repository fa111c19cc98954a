#include "model/trained_names.h"

size_t gn__prefix_length(const gn_model *m)
{
    const gn__tensor_names *names = m->recipe.names;
    const char *const bare[] = {names->words, names->words_too};
    size_t n = strlen(m->words->name);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; bare[k] != NULL && names->prefix[i] != NULL; i++) {
            size_t prefix = strlen(names->prefix[i]);
            if (prefix + strlen(bare[k]) == n && strncmp(m->words->name, names->prefix[i], prefix) == 0 &&
                strcmp(m->words->name + prefix, bare[k]) == 0)
                return prefix;
        }
    return 0;
}

static bool begins(const char *name, const char *with)
{
    return with != NULL && strncmp(name, with, strlen(with)) == 0;
}

size_t gn__tensor_place(const gn_model *m, const char *name)
{
    const gn__tensor_names *names = m->recipe.names;
    size_t prefix = gn__prefix_length(m), layer = strlen(names->layer);
    if (strlen(name) > prefix) name += prefix;
    if (begins(name, names->layer) && name[layer] >= '0' && name[layer] <= '9') {
        char *rest;
        size_t number = strtoul(name + layer, &rest, 10), group = m->recipe.group;
        if (group > 1 && begins(rest, names->inside))
            number = number * group + strtoul(rest + strlen(names->inside), NULL, 10);
        return number < m->recipe.stored ? 1 + number : 1 + m->recipe.stored;
    }
    if (m->recipe.conv > 0 && (begins(name, names->conv) || begins(name, names->conv_norm))) return 1;
    const char *const embedding[] = {names->words,       names->words_too,      names->positions,
                                     names->token_types, names->embedding_norm, names->projection};
    for (size_t i = 0; i < sizeof embedding / sizeof *embedding; i++)
        if (begins(name, embedding[i])) return 0;
    return 1 + m->recipe.stored;
}

bool gn__tensor_unused(const gn_model *m, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = m->info.unused; (at = strstr(at, name)) != NULL; at += n) {
        bool begin = at == m->info.unused || (at >= m->info.unused + 2 && memcmp(at - 2, ", ", 2) == 0);
        if (begin && (at[n] == '\0' || at[n] == ',')) return true;
    }
    return false;
}

bool gn__is_adapter(const gn__parameter *a, const gn__parameter *b)
{
    static const char end_a[] = ".lora_A", end_b[] = ".lora_B";
    size_t n = strlen(a->name), tail = sizeof end_a - 1;
    return n > tail && strlen(b->name) == n && strcmp(a->name + n - tail, end_a) == 0 &&
           strcmp(b->name + n - tail, end_b) == 0 && strncmp(a->name, b->name, n - tail) == 0;
}
