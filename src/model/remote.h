/* A server's embeddings as a model. */
#ifndef GENCHI_MODEL_REMOTE_H
#define GENCHI_MODEL_REMOTE_H

#include "model/internal.h"

bool gn__is_url(const char *name);
/* Fills m->endpoint and m->info. Errors: GN_INVALID_ARGUMENT (no name of a model, a URL that is not allowed)
 * and those of gn__endpoint_open. */
gn_status gn__remote_load(gn_context *ctx, gn_model *m, const char *url, const gn_endpoint_options *options,
                          gn_error *err);

#endif
