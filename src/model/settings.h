/* What sentence-transformers' files say about a model, beside config.json. */
#ifndef GENCHI_MODEL_SETTINGS_H
#define GENCHI_MODEL_SETTINGS_H

#include "model/head.h"

typedef struct gn__settings {
    char *directory;     /* of the transformer itself: the model's folder or one inside it */
    gn__head head;       /* poolings 0: not said */
    bool exclude_prompt; /* from pooling */
    char *prompt;        /* before every text; "" for none */
    size_t max_length;   /* 0: not said */
} gn__settings;

/* Reads modules.json and the modules' files, config_sentence_transformers.json, sentence_bert_config.json and
 * tokenizer_config.json, those that are there. prompt: as in gn_model_options. Errors: GN_FORMAT;
 * GN_UNSUPPORTED (a module or pooling, by name). */
gn_status gn__settings_read(const char *directory, const char *prompt, gn__settings *out, gn_error *err);
void gn__settings_free(gn__settings *s); /* a zeroed struct is allowed */

#endif
