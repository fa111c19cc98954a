#include "pipeline/fingerprint.h"

#include <dirent.h>
#include <stdio.h>

enum { LARGEST = 256 << 20 /* of a larger file only name and size count */ };

/* In subfolders also weights: those of a head. */
static bool is_setting(const char *name, bool top)
{
    static const char *const suffixes[] = {".json", ".txt", ".model", ".safetensors"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes - top; i++) {
        size_t k = strlen(suffixes[i]);
        if (n > k && strcmp(name + n - k, suffixes[i]) == 0) return true;
    }
    return false;
}

static int visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static gn_status add_folder(gn__sha256 *h, const char *folder, bool deeper, gn_error *err)
{
    struct dirent **entry = NULL;
    int n = scandir(folder, &entry, visible, alphasort);
    gn_status status = GN_OK;
    if (n < 0) return GN_OK; /* moved since it was loaded: the weights' hash still stands */
    for (int i = 0; i < n; i++) {
        char *path = status == GN_OK ? gn__path_join(folder, entry[i]->d_name) : NULL;
        if (path != NULL && gn__is_directory(path)) {
            if (deeper) status = add_folder(h, path, false, err);
        } else if (path != NULL && is_setting(entry[i]->d_name, deeper)) {
            gn__mapping map;
            char head[512];
            status = gn__map_file(path, &map, err);
            if (status == GN_OK) {
                int k = snprintf(head, sizeof head, "%s %zu\n", entry[i]->d_name, map.size);
                gn__sha256_update(h, head, (size_t)k);
                if (map.size <= LARGEST) gn__sha256_update(h, map.data, map.size);
                gn__unmap_file(&map);
            }
        } else if (path == NULL && status == GN_OK) {
            status = gn__no_memory(err, strlen(folder));
        }
        free(path);
        free(entry[i]);
    }
    free(entry);
    return status;
}

gn_status gn__model_fingerprint(const gn_model_info *info, char hex[65], gn_error *err)
{
    gn__sha256 h;
    gn__buf text = {0};
    /* the number stands for the arithmetic: another where vectors get other bits. A prompt may be any text,
     * so its length goes before it. */
    gn__buf_printf(&text, "genchi space 2\n%s\n%s\n%s\n%s\n%s\n%zu\n%zu\n%d\n%zu\n%s", info->sha256,
                   gn_pooling_name(info->pooling), info->poolings, info->head, gn_dtype_name(info->dtype),
                   info->max_length, info->dim, info->normalize, strlen(info->prompt), info->prompt);
    if (text.failed) {
        gn__buf_free(&text);
        return gn__no_memory(err, 512);
    }
    gn_status begun = gn__sha256_begin(&h, err);
    if (begun == GN_OK) gn__sha256_update(&h, text.data, text.length);
    gn__buf_free(&text);
    GN__TRY(begun);
    gn_status status = info->path != NULL ? add_folder(&h, info->path, true, err) : GN_OK;
    gn__sha256_end(&h, hex);
    return status;
}
