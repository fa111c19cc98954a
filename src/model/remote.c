#include "model/remote.h"

bool gn__is_url(const char *name)
{
    return strstr(name, "://") != NULL;
}

gn_status gn__remote_load(gn_context *ctx, gn_model *m, const char *url, const gn_endpoint_options *options,
                          gn_error *err)
{
    gn__sha256 h;
    if (options == NULL || options->model == NULL || *options->model == '\0')
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "%s: the name by which the server knows the model is needed too (--model-name)", url);
    GN__TRY(gn__endpoint_open(ctx, url, options, &m->endpoint, err));
    GN__TRY(gn__sha256_begin(&h, err));
    gn__sha256_update(&h, url, strlen(url));
    gn__sha256_update(&h, "\n", 1);
    gn__sha256_update(&h, options->model, strlen(options->model));
    gn__sha256_end(&h, m->info.sha256);
    m->info.name = gn__arena_strndup(&m->arena, options->model, strlen(options->model));
    m->info.path = gn__arena_strndup(&m->arena, url, strlen(url));
    m->info.architecture = "endpoint";
    m->info.weight_types = m->info.tokenizer = m->info.poolings = "external";
    m->info.positions = m->info.norms = m->info.attention = m->info.mlp = "";
    m->info.head = m->info.prompt = m->info.pipeline = m->info.unused = "";
    m->info.dim = gn__endpoint_dim(m->endpoint);
    m->info.dtype = GN_DTYPE_F32;
    m->info.remote = true;
    return m->info.name && m->info.path ? GN_OK : gn__no_memory(err, strlen(url));
}
