/* OUT.json: what the rows of OUT are. docs/embedding.md has its keys. */
#ifndef GENCHI_PIPELINE_SIDECAR_H
#define GENCHI_PIPELINE_SIDECAR_H

#include "genchi/stream.h"
#include "pipeline/vectors_file.h"

#include <jansson.h>

typedef struct gn__sidecar {
    gn__layout layout;
    uint64_t rows, cut;
    char data_sha256[65], input_sha256[65], model_key[65];
    unsigned shard, shards; /* 0: whole */
    uint64_t first_row;
    gn_stream_info input;
    bool left_out; /* there is an OUT.left-out.jsonl */
} gn__sidecar;

/* All poolings of a model in words ("cls+mean"). */
const char *gn__pooling_text(const gn_model_info *model);
/* NULL: no memory. json_decref it. */
json_t *gn__sidecar_json(const gn__sidecar *s, const gn_model_info *model, const char *input);
gn_status gn__json_write(const char *path, const json_t *j, gn_error *err);

#endif
