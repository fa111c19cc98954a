#include "pipeline/fingerprint.h"

#include <dirent.h>
#include <stdio.h>

enum { LARGEST = 256 << 20 };

static bool is_setting(const char *name)
{
    static const char *const suffixes[] = {".json", ".txt", ".model"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
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
        } else if (path != NULL && is_setting(entry[i]->d_name)) {
            char *bytes, head[512];
            size_t length;
            status = gn__read_file(path, LARGEST, &bytes, &length, err);
            if (status == GN_OK) {
                int k = snprintf(head, sizeof head, "%s %zu\n", entry[i]->d_name, length);
                gn__sha256_update(h, head, (size_t)k);
                gn__sha256_update(h, bytes, length);
                free(bytes);
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
    char text[512];
    GN__TRY(gn__sha256_begin(&h, err));
    int n = snprintf(text, sizeof text, "genchi space 1\n%s\n%s\n%s\n%zu\n%zu\n%d\n", info->sha256,
                     gn_pooling_name(info->pooling), gn_dtype_name(info->dtype), info->max_length, info->dim,
                     info->normalize);
    gn__sha256_update(&h, text, (size_t)n);
    gn_status status = info->path != NULL ? add_folder(&h, info->path, true, err) : GN_OK;
    gn__sha256_end(&h, hex);
    return status;
}
