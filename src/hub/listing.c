#include "hub/listing.h"

#include "hub/cache.h"

#include <jansson.h>

enum { MAX_FILES = 100000 };

/* ---- what is wanted ---------------------------------------------------------------------------------- */

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static bool is_one_of(const char *s, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(s, *list) == 0) return true;
    return false;
}

/* model-00001-of-00003.safetensors */
static bool is_shard(const char *s)
{
    static const char begin[] = "model-", middle[] = "-of-", end[] = ".safetensors";
    if (strncmp(s, begin, sizeof begin - 1) != 0) return false;
    s += sizeof begin - 1;
    size_t n = strspn(s, "0123456789");
    if (n == 0 || strncmp(s + n, middle, sizeof middle - 1) != 0) return false;
    s += n + sizeof middle - 1;
    n = strspn(s, "0123456789");
    return n > 0 && strcmp(s + n, end) == 0;
}

/* "1_Pooling/config.json": a module of sentence-transformers. */
static const char *inside_module(const char *path)
{
    size_t n = strspn(path, "0123456789");
    const char *slash = strchr(path, '/');
    return n > 0 && path[n] == '_' && slash != NULL && strchr(slash + 1, '/') == NULL ? slash + 1 : NULL;
}

/* whole: the weights are wanted as one file, else as shards. */
static bool is_wanted(const char *path, bool whole)
{
    static const char *const plain[] = {"config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.txt",
                                        "vocab.json",
                                        "merges.txt",
                                        "modules.json",
                                        "sentence_bert_config.json",
                                        "config_sentence_transformers.json",
                                        NULL};
    const char *name = inside_module(path);
    if (name != NULL && strcmp(name, "model.safetensors") == 0) return true;
    if (name == NULL) {
        if (strchr(path, '/') != NULL) return false;
        name = path;
    }
    if (is_one_of(name, plain) || ends_in(name, ".model")) return true;
    if (name != path) return false;
    return whole ? strcmp(name, "model.safetensors") == 0
                 : strcmp(name, "model.safetensors.index.json") == 0 || is_shard(name);
}

static bool is_whole_weights(const char *path)
{
    const char *name = inside_module(path);
    return strcmp(name ? name : path, "model.safetensors") == 0;
}

/* ---- the hub's answer -------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const gn__hub_file *)a)->path, ((const gn__hub_file *)b)->path);
}

/* What the list says of the whole model. */
typedef struct found {
    bool config, whole, shards, other_weights;
} found;

static gn_status look(const char *repo, const json_t *siblings, found *f, gn_error *err)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(siblings, i, entry)
    {
        const char *path = json_string_value(json_object_get(entry, "rfilename"));
        if (path == NULL || !gn__is_plain_path(path))
            return gn__fail(err, GN_FORMAT,
                            "%s: the hub lists a file named \"%s\", which is no path inside the model", repo,
                            path ? path : "?");
        f->config = f->config || strcmp(path, "config.json") == 0 || ends_in(path, "/config.json");
        f->whole = f->whole || (strchr(path, '/') == NULL && is_whole_weights(path)) ||
                   (strncmp(path, "0_", 2) == 0 && inside_module(path) != NULL && is_whole_weights(path));
        f->shards = f->shards || strcmp(path, "model.safetensors.index.json") == 0;
        f->other_weights = f->other_weights || ends_in(path, ".bin") || ends_in(path, ".pt");
    }
    return GN_OK;
}

static gn_status keep(const json_t *siblings, bool whole, gn__listing *l, gn_error *err)
{
    size_t i;
    const json_t *entry;
    l->file = gn__calloc(json_array_size(siblings), sizeof *l->file);
    if (l->file == NULL) return gn__no_memory(err, json_array_size(siblings) * sizeof *l->file);
    json_array_foreach(siblings, i, entry)
    {
        const char *path = json_string_value(json_object_get(entry, "rfilename"));
        const json_t *size = json_object_get(entry, "size"), *lfs = json_object_get(entry, "lfs");
        const char *sha256 = json_string_value(json_object_get(lfs, "sha256"));
        if (!is_wanted(path, whole)) continue;
        gn__hub_file *f = &l->file[l->files++];
        *f = (gn__hub_file){.path = gn__arena_strndup(&l->arena, path, strlen(path)), .size = -1};
        if (f->path == NULL) return gn__no_memory(err, strlen(path));
        if (json_is_integer(size) && json_integer_value(size) >= 0) f->size = json_integer_value(size);
        if (sha256 != NULL && strlen(sha256) == 64) memcpy(f->sha256, sha256, sizeof f->sha256);
    }
    qsort(l->file, l->files, sizeof *l->file, by_path);
    size_t kept = 0;
    for (i = 0; i < l->files; i++)
        if (kept == 0 || strcmp(l->file[i].path, l->file[kept - 1].path) != 0) l->file[kept++] = l->file[i];
    l->files = kept;
    return GN_OK;
}

gn_status gn__listing_read(const char *repo, const char *json, size_t length, gn__listing *out, gn_error *err)
{
    json_error_t where;
    *out = (gn__listing){0};
    json_t *root = json_loadb(json, length, 0, &where);
    const char *commit = json_string_value(json_object_get(root, "sha"));
    const json_t *siblings = json_object_get(root, "siblings");
    found f = {0};
    gn_status status;
    if (commit == NULL || !gn__is_commit(commit) || !json_is_array(siblings) ||
        json_array_size(siblings) > MAX_FILES) {
        status = gn__fail(err, GN_FORMAT, "%s: the hub's answer is not a description of a model", repo);
        goto done;
    }
    memcpy(out->commit, commit, sizeof out->commit);
    GN__TRY_GOTO(look(repo, siblings, &f, err), done);
    if (!f.config)
        status = gn__fail(err, GN_UNSUPPORTED,
                          "%s has no config.json on the hub: it is not a transformers model", repo);
    else if (!f.whole && !f.shards && f.other_weights)
        status = gn__fail(
            err, GN_UNSUPPORTED,
            "%1$s has no safetensors on the hub, only a pickle, which can run code when it is read; "
            "convert it once in Python: from transformers import AutoModel; "
            "AutoModel.from_pretrained(\"%1$s\").save_pretrained(\"folder\", safe_serialization=True)",
            repo);
    else if (!f.whole && !f.shards)
        status = gn__fail(err, GN_UNSUPPORTED, "%s has no safetensors on the hub", repo);
    else
        status = keep(siblings, f.whole, out, err);
done:
    json_decref(root);
    return status;
}

void gn__listing_free(gn__listing *l)
{
    free(l->file);
    gn__arena_free(&l->arena);
    *l = (gn__listing){0};
}
