/* SentencePiece models (sentencepiece_model.proto of google/sentencepiece): the fields that matter for
 * encoding, read by a small reader of protocol buffers that never looks past the end. */
#ifndef GENCHI_TEXT_SENTENCEPIECE_H
#define GENCHI_TEXT_SENTENCEPIECE_H

#include "text/json.h"

enum { GN__SPM_CONTROL = 3, GN__SPM_USER_DEFINED = 4 }; /* types of pieces */
enum { GN__SPM_UNIGRAM = 1, GN__SPM_BPE = 2 };          /* types of models */

typedef struct gn__spm_piece {
    const char *text; /* [length] in the data; checked to be UTF-8 without NUL */
    size_t length;
    float score;
    uint64_t type;
} gn__spm_piece;

typedef struct gn__spm {
    gn__spm_piece *piece; /* [pieces] */
    size_t pieces;
    uint64_t model_type;
    const unsigned char *charsmap; /* [charsmap_size] in the data */
    size_t charsmap_size;
} gn__spm;

/* data must outlive *out. */
gn_status gn__spm_read(const gn__tok_source *source, const unsigned char *data, size_t size, gn__spm *out);
void gn__spm_free(gn__spm *m);
/* The tokenizer.json that `transformers` 5 makes of a model for the tokenizer class `kind`, but for the added
 * tokens that the folder's configuration names. `config` may be NULL. */
gn_status gn__spm_convert(const gn__tok_source *source, const gn__spm *m, const char *kind,
                          const json_t *config, json_t **out);

#endif
