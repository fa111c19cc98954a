/* SentencePiece models (sentencepiece_model.proto of google/sentencepiece): the fields that matter for
 * encoding, read by a small reader of protocol buffers that never looks past the end. */
#ifndef GENCHI_TEXT_SENTENCEPIECE_H
#define GENCHI_TEXT_SENTENCEPIECE_H

#include "text/json.h"

enum { GN__SPM_NORMAL = 1, GN__SPM_CONTROL = 3, GN__SPM_USER_DEFINED = 4 }; /* types of pieces */
enum { GN__SPM_UNIGRAM = 1, GN__SPM_BPE = 2 };                              /* types of models */

typedef struct gn__spm_piece {
    const char *text; /* [length] in the data; checked to be UTF-8 without NUL */
    size_t length;
    float score;
    uint64_t type;
} gn__spm_piece;

typedef struct gn__spm_string {
    const char *text; /* [length] in the data; NULL: the model does not say */
    size_t length;
} gn__spm_string;

typedef struct gn__spm {
    gn__spm_piece *piece; /* [pieces] */
    size_t pieces;
    /* trainer_spec */
    uint64_t model_type;
    bool byte_fallback;
    int32_t unk_id, bos_id, eos_id; /* < 0: none */
    gn__spm_string unk, bos, eos;   /* pieces */
    /* normalizer_spec */
    gn__spm_string charsmap;
    bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
} gn__spm;

/* data must outlive *out. */
gn_status gn__spm_read(const gn__tok_source *source, const unsigned char *data, size_t size, gn__spm *out);
void gn__spm_free(gn__spm *m);

/* The tokenizer.json that `transformers` 5 makes of a model for the tokenizer class `kind` ("": no class is
 * named, the model speaks for itself). `config` (tokenizer_config.json) may be NULL; `listed` are its added
 * tokens in order. */
gn_status gn__spm_convert(const gn__tok_source *source, const gn__spm *m, const char *kind,
                          const json_t *config, const json_t *listed, json_t **out);
/* The class that reads the models of a family, as config.json's "model_type" names it; NULL: not known. */
const char *gn__spm_class_of(const char *model_type);

/* ---- what each class does (sentencepiece_families.c) --------------------------------------------- */

enum gn__spm_named {
    GN__SPM_BOS,
    GN__SPM_EOS,
    GN__SPM_UNK,
    GN__SPM_SEP,
    GN__SPM_PAD,
    GN__SPM_CLS,
    GN__SPM_MASK,
    GN__SPM_NAMED
};
extern const char *const gn__spm_named_key[GN__SPM_NAMED]; /* "bos_token", … */

enum gn__spm_unknown {                        /* which piece is the unknown one */
                       GN__SPM_UNK_FIXED,     /* number `unk` */
                       GN__SPM_UNK_TRAINER,   /* as the model says */
                       GN__SPM_UNK_NAMED,     /* the first of the name, else the first of all */
                       GN__SPM_UNK_SCORELESS, /* the first of the name and score 0, from number `unk` on */
                       GN__SPM_UNK_SCORELESS_OR_TRAINER,
                       GN__SPM_UNK_SCORELESS_OR_100
};

typedef struct gn__spm_family {
    const char *name, *model_types;   /* class without "Fast"; families in config.json, " t5 mt5 " */
    uint64_t type;                    /* of model; 0: any */
    const char *named[GN__SPM_NAMED]; /* standard contents; NULL: none */
    bool mask_lstrip;                 /* a mask token named by its content alone takes the space before it */
    /* The vocabulary: these first ("=": a named token by its key; "!": score -100; "#": a series, see the
     * code), then the model's pieces but the first `skipped`, then `last` in the same manner. */
    const char *const *first;
    size_t skipped;
    const char *const *last;
    enum gn__spm_unknown unknown;
    int unk;
    /* Words of the tables in sentencepiece_convert.c, in order; "option?word": where the option is true in
     * the configuration; "option+word": or is not there; "option!word": where it is not true. */
    const char *normalizers, *pre_tokenizers;
    const char *single; /* the post-processor: named tokens by key around "A", "src_lang" a language; NULL:
                           bos and eos where the options ask for them */
} gn__spm_family;

extern const gn__spm_family gn__spm_families[];
extern const size_t gn__spm_family_count;

#endif
