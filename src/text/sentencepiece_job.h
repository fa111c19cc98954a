/* A conversion at work (sentencepiece_convert.c), and what its two files share. */
#ifndef GENCHI_TEXT_SENTENCEPIECE_JOB_H
#define GENCHI_TEXT_SENTENCEPIECE_JOB_H

#include "text/sentencepiece.h"
#include "text/vocab.h"

typedef struct gn__spm_job {
    const gn__tok_source *source;
    const gn__spm *m;
    const gn__spm_family *family; /* NULL: the model speaks for itself */
    const char *kind;
    const json_t *config;
    json_t *root;
    gn__map ids;     /* token: id, the last of equals */
    size_t pieces;   /* of the vocabulary */
    size_t next;     /* the id of the next added token that the vocabulary lacks */
    gn__map content; /* of the added tokens: the place in the list */
} gn__spm_job;

gn_status gn__spm_no_memory(const gn__spm_job *c);
/* A special token that is needed is not there. */
gn_status gn__spm_missing(const gn__spm_job *c, const char *token);
/* object[key] = value, which is taken over; false: no memory, or value is NULL. */
bool gn__spm_set(json_t *object, const char *key, json_t *value);
/* The content of a special token, which the configuration gives as a string or an object; NULL: null. */
const char *gn__spm_token_of(const gn__spm_job *c, const char *key, const char *standard);
/* The same for one of the family's named tokens, by its place and by its key. */
const char *gn__spm_named(const gn__spm_job *c, int which);
const char *gn__spm_named_by_key(const gn__spm_job *c, const char *key, size_t length);
/* A number of the configuration from 0 to 10,000. */
int gn__spm_number_of(const gn__spm_job *c, const char *key, int standard);

/* root["model"], and the ids of its tokens (sentencepiece_vocab.c). */
gn_status gn__spm_set_unigram(gn__spm_job *c);
gn_status gn__spm_set_bpe(gn__spm_job *c);

#endif
