/* Saving what was trained: the steps between the files. */
#ifndef GENCHI_MODEL_TUNED_SAVE_H
#define GENCHI_MODEL_TUNED_SAVE_H

#include "model/config.h"
#include "model/tuned.h"

typedef struct gn__saving {
    gn_context *ctx;
    const gn_tuned *t;
    const char *const *class_name; /* [classes] */
    char *aside;                   /* the directory that is written */
    char *inside;                  /* the transformer's own directory in it */
    char *source;                  /* where the model's transformer came from */
    const char *classifier;        /* transformers' class with a plain classifier, which then holds the head;
                                      NULL: the base model, and the head beside it */
} gn__saving;

/* model.safetensors, and the modules of modules.json behind the pooling where they were trained. */
gn_status gn__save_weights(const gn__saving *s, gn_error *err);
/* genchi_head.safetensors: weight [classes × dim], bias [classes], the classes' names. */
gn_status gn__save_head(const gn__saving *s, gn_error *err);
/* adapter_config.json and adapter_model.safetensors. */
gn_status gn__save_adapter(const gn__saving *s, gn_error *err);
/* Writes JSON to directory/name. */
gn_status gn__save_json(const char *directory, const char *name, const json_t *value, gn_error *err);

/* The parameter of the head. */
const float *gn__tuned_head(const gn_tuned *t, bool bias);

#endif
