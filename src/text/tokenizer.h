/* A tokenizer from its description in memory; loading from a folder (load.c) builds on it. */
#ifndef GENCHI_TEXT_TOKENIZER_H
#define GENCHI_TEXT_TOKENIZER_H

#include "text/added.h"
#include "text/fast.h"

struct gn_tokenizer {
    gn__tok_steps normalizers, pre_tokenizers;
    gn__tok_model model;
    const gn__tok_vocab *vocab; /* the model's */
    gn__tok_post post;
    gn__tok_added added;
    gn__fast *fast;            /* NULL: there is only the long way */
    bool fast_nfc;             /* it is for texts that are in NFC */
    bool may_begin_added[256]; /* bytes that an added token, found in the raw text, begins with */
    bool truncate_left;        /* too long a text loses its beginning */
};

/* The content of a tokenizer.json; source->file is what messages call it. */
gn_status gn__tokenizer_parse(const gn__tok_source *source, const char *json, size_t length,
                              gn_tokenizer **out);
/* The same, parsed already. */
gn_status gn__tokenizer_build(const gn__tok_source *source, const json_t *root, gn_tokenizer **out);

#endif
