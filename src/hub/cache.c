#include "hub/cache.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_LENGTH = 96, REVISION_MAX_LENGTH = 200, ETAG_MAX_LENGTH = 128 };

/* ---- names --------------------------------------------------------------------------------------- */

static bool is_word(const char *s, size_t n)
{
    if (n == 0 || s[0] == '.' || s[0] == '-' || s[n - 1] == '.' || s[n - 1] == '-') return false;
    for (size_t i = 0; i < n; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
        if (!letter && !(s[i] >= '0' && s[i] <= '9') && strchr("-_.", s[i]) == NULL) return false;
        if (i > 0 && s[i] == s[i - 1] && (s[i] == '-' || s[i] == '.'))
            return false; /* "--" parts org and name */
    }
    return true;
}

bool gn__is_plain_path(const char *s)
{
    if (*s == '\0' || strlen(s) > 1000) return false;
    for (const char *part = s;;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > 255 || (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.')))) return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)part[i] < 0x20 || part[i] == 0x7F || part[i] == '\\') return false;
        if (part[n] == '\0') return true;
        part += n + 1;
    }
}

static bool is_name(const char *name, size_t *repo_length)
{
    size_t n = strcspn(name, "@"), slash = strcspn(name, "/");
    *repo_length = n;
    if (n > NAME_MAX_LENGTH) return false;
    if (slash < n ? !is_word(name, slash) || !is_word(name + slash + 1, n - slash - 1) : !is_word(name, n))
        return false;
    if (name[n] == '\0') return true;
    return strlen(name + n + 1) <= REVISION_MAX_LENGTH && gn__is_plain_path(name + n + 1) &&
           strstr(name + n + 1, "..") == NULL;
}

bool gn_hub_is_name(const char *name)
{
    size_t n;
    return is_name(name, &n);
}

bool gn__is_commit(const char *s)
{
    return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

bool gn__is_etag(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > ETAG_MAX_LENGTH || s[0] == '.') return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

gn_status gn__hub_name_parse(const char *name, const char *cache, gn__hub_name *out, gn_error *err)
{
    size_t n;
    *out = (gn__hub_name){0};
    if (!is_name(name, &n))
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "\"%s\" is not a model's name on the hub (org/name or name, with @revision)", name);
    if (cache == NULL || *cache == '\0')
        return gn__fail(err, GN_INVALID_ARGUMENT, "no folder was given for the cache of models");
    gn__buf folder = {0};
    gn__buf_puts(&folder, "models--");
    for (size_t i = 0; i < n; i++) gn__buf_puts(&folder, name[i] == '/' ? "--" : (const char[]){name[i], 0});
    char *locks = gn__path_join(cache, ".locks");
    out->repo = gn__strndup(name, n);
    out->revision = gn__strdup(name[n] == '@' ? name + n + 1 : "main");
    if (!folder.failed) {
        out->folder = gn__path_join(cache, folder.data);
        if (locks != NULL) out->locks = gn__path_join(locks, folder.data);
    }
    free(locks);
    gn__buf_free(&folder);
    return out->repo && out->revision && out->folder && out->locks ? GN_OK : gn__no_memory(err, n);
}

void gn__hub_name_free(gn__hub_name *n)
{
    free(n->repo);
    free(n->revision);
    free(n->folder);
    free(n->locks);
    *n = (gn__hub_name){0};
}

/* ---- what is there -------------------------------------------------------------------------------- */

static char *path_of(const char *folder, const char *kind, const char *name)
{
    char *a = gn__path_join(folder, kind), *b = a ? gn__path_join(a, name) : NULL;
    free(a);
    return b;
}

/* The commit that refs/<revision> names; empty where there is none. */
static gn_status read_ref(const gn__hub_name *n, char commit[41], gn_error *err)
{
    char *path = path_of(n->folder, "refs", n->revision), *text = NULL;
    size_t length;
    commit[0] = '\0';
    if (path == NULL) return gn__no_memory(err, 64);
    gn_status status = GN_OK;
    if (gn__file_exists(path)) status = gn__read_file(path, 4096, &text, &length, err);
    if (status == GN_OK && text != NULL) {
        while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL) text[--length] = '\0';
        if (gn__is_commit(text))
            memcpy(commit, text, 41);
        else
            status = gn__fail(err, GN_FORMAT, "%s does not hold a commit (40 hexadecimal digits)", path);
    }
    free(text);
    free(path);
    return status;
}

/* Whether some file of the folder has weights in it, be it a format that cannot be read. */
static bool has_weights(const char *directory)
{
    DIR *d = opendir(directory);
    bool found = false;
    if (d == NULL) return false;
    for (const struct dirent *e; !found && (e = readdir(d)) != NULL;) {
        const char *dot = strrchr(e->d_name, '.');
        found = dot != NULL && (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".bin") == 0 ||
                                strcmp(dot, ".pt") == 0 || strcmp(dot, ".h5") == 0);
    }
    closedir(d);
    return found;
}

static bool has_file(const char *directory, const char *name)
{
    char *path = gn__path_join(directory, name);
    bool found = path != NULL && gn__file_exists(path);
    free(path);
    return found;
}

/* Some snapshots keep the transformer in a folder of its own, as sentence-transformers once did. */
static bool is_whole(const char *snapshot)
{
    char *inner = gn__path_join(snapshot, "0_Transformer");
    bool whole = (has_file(snapshot, "config.json") && has_weights(snapshot)) ||
                 (inner != NULL && has_file(inner, "config.json") && has_weights(inner));
    free(inner);
    return whole;
}

gn_status gn_hub_find(const char *name, const gn_hub_options *options, char **directory, gn_error *err)
{
    gn__hub_name n;
    char commit[41] = "", *found = NULL;
    gn_status status = gn__hub_name_parse(name, options->cache, &n, err);
    if (status != GN_OK) goto done;
    if (gn__is_commit(n.revision))
        memcpy(commit, n.revision, sizeof commit);
    else
        GN__TRY_GOTO(read_ref(&n, commit, err), done);
    if (commit[0] != '\0') {
        found = path_of(n.folder, "snapshots", commit);
        if (found == NULL) {
            status = gn__no_memory(err, 64);
            goto done;
        }
    }
    if (found == NULL || !gn__is_directory(found))
        status = gn__fail(
            err, GN_IO,
            "%s is neither a folder nor a model in the cache %s; download it with: genchi model pull %s",
            name, options->cache, name);
    else if (!is_whole(found))
        status =
            gn__fail(err, GN_IO,
                     "only parts of %s are in the cache (%s); download the rest with: genchi model pull %s",
                     name, found, name);
done:
    gn__hub_name_free(&n);
    if (status == GN_OK)
        *directory = found;
    else
        free(found);
    return status;
}

/* ---- putting there ----------------------------------------------------------------------------------- */

static gn_status make_parent(const char *path, gn_error *err)
{
    char *copy = gn__strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
    if (copy == NULL) return gn__no_memory(err, strlen(path));
    gn_status status = GN_OK;
    if (slash != NULL && slash != copy) {
        *slash = '\0';
        status = gn__make_directory(copy, err);
    }
    free(copy);
    return status;
}

gn_status gn__cache_link(const gn__hub_name *n, const char *commit, const char *file, const char *etag,
                         gn_error *err)
{
    char *snapshot = path_of(n->folder, "snapshots", commit), *blob = path_of(n->folder, "blobs", etag);
    char *path = snapshot ? gn__path_join(snapshot, file) : NULL;
    gn__buf target = {0}, aside = {0};
    gn_status status;
    gn__buf_puts(&target, "../../");
    for (const char *c = file; *c != '\0'; c++)
        if (*c == '/') gn__buf_puts(&target, "../");
    gn__buf_printf(&target, "blobs/%s", etag);
    if (path != NULL) gn__buf_printf(&aside, "%s.tmp-%ld", path, (long)gettid());
    if (path == NULL || blob == NULL || target.failed || aside.failed) {
        status = gn__no_memory(err, strlen(file));
        goto done;
    }
    GN__TRY_GOTO(make_parent(path, err), done);
    unlink(aside.data);
    /* a file system without links gets a second name of the same file instead */
    if ((symlink(target.data, aside.data) != 0 && link(blob, aside.data) != 0) ||
        rename(aside.data, path) != 0)
        status = gn__fail(err, GN_IO, "cannot write %s: %s", path, strerror(errno));
    unlink(aside.data); /* still there where both names already meant one file */
done:
    free(snapshot);
    free(blob);
    free(path);
    gn__buf_free(&target);
    gn__buf_free(&aside);
    return status;
}

gn_status gn__cache_set_ref(const gn__hub_name *n, const char *commit, gn_error *err)
{
    if (strcmp(n->revision, commit) == 0) return GN_OK;
    char *path = path_of(n->folder, "refs", n->revision);
    if (path == NULL) return gn__no_memory(err, 64);
    gn_status status = make_parent(path, err);
    /* threads of one process may pull the same model: each has a file of its own before it is renamed */
    gn__buf aside = {0};
    gn__buf_printf(&aside, "%s.tmp-%ld", path, (long)gettid());
    if (status == GN_OK)
        status =
            aside.failed ? gn__no_memory(err, 64) : gn__write_file(aside.data, commit, strlen(commit), err);
    if (status == GN_OK && rename(aside.data, path) != 0)
        status = gn__fail(err, GN_IO, "cannot write %s: %s", path, strerror(errno));
    gn__buf_free(&aside);
    free(path);
    return status;
}
