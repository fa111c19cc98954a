/* What sentence-transformers' files say about a model, beside config.json. */
#ifndef GENCHI_MODEL_SETTINGS_H
#define GENCHI_MODEL_SETTINGS_H

#include "core/core.h"
#include "genchi/model.h"

typedef struct gn__settings {
    char *directory;    /* of the transformer itself: the model's folder or one inside it */
    gn_pooling pooling; /* AUTO: not said */
    bool normalize;
    size_t max_length; /* 0: not said */
} gn__settings;

/* Reads modules.json, the pooling's config.json, sentence_bert_config.json and tokenizer_config.json,
 * those that are there. Errors: GN_FORMAT; GN_UNSUPPORTED (a module or pooling, by name). */
gn_status gn__settings_read(const char *directory, gn__settings *out, gn_error *err);
void gn__settings_free(gn__settings *s); /* a zeroed struct is allowed */

#endif
