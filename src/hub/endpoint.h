/* A server that speaks OpenAI's embeddings API: POST <url>/embeddings {"model", "input": […]}. */
#ifndef GENCHI_HUB_ENDPOINT_H
#define GENCHI_HUB_ENDPOINT_H

#include "core/core.h"
#include "genchi/hub.h"
#include "genchi/model.h"

typedef struct gn__endpoint gn__endpoint;

/* Sends one short text, which tells the dimensions and whether the key is good. Errors: GN_INVALID_ARGUMENT
 * (URL); GN_IO (unreachable, refused); GN_FORMAT (no such answer). */
gn_status gn__endpoint_open(gn_context *ctx, const char *url, const gn_endpoint_options *options,
                            gn__endpoint **out, gn_error *err);
void gn__endpoint_close(gn__endpoint *e);
size_t gn__endpoint_dim(const gn__endpoint *e);

/* out: [texts × dim]. Distinct texts are sent once; after a failure what was received is kept, so that a
 * second call asks for the rest only. Fills distinct and tokens of stats. Thread-safe (calls take turns). */
gn_status gn__endpoint_embed(gn_context *ctx, gn__endpoint *e, const char *const *text,
                             const uint32_t *length, size_t texts, float *out, gn_embed_stats *stats,
                             gn_error *err);

#endif
