/* The parts a tokenizer is made of. A new one is a file that defines its type, and a line in a list below;
 * the part's "type" in tokenizer.json picks it by `name`. */
#ifndef GENCHI_TEXT_PARTS_H
#define GENCHI_TEXT_PARTS_H

#include "genchi/tokenizer.h"
#include "text/pieces.h"
#include "text/vocab.h"

#define GN__TOK_NORMALIZERS(X) \
    X(bert)                    \
    X(nfc)                     \
    X(nfd)                     \
    X(nfkc) X(nfkd) X(lowercase) X(strip) X(accents) X(nmt) X(prepend) X(byte_level) X(replace) X(precompiled)
#define GN__TOK_PRE_TOKENIZERS(X) \
    X(bert)                       \
    X(byte_level)                 \
    X(metaspace)                  \
    X(split)                      \
    X(punctuation) X(whitespace) X(whitespace_split) X(delimiter) X(digits) X(scripts) X(fixed_length)
#define GN__TOK_MODELS(X) X(wordpiece) X(bpe) X(unigram) X(wordlevel)
#define GN__TOK_POST_PROCESSORS(X) X(template) X(bert) X(roberta) X(byte_level)

/* ---- steps: normalizers and pre-tokenizers ------------------------------------------------------- */

typedef struct gn__tok_step_type {
    const char *name;
    bool byte_level; /* leaves only the 256 characters that stand for bytes */
    /* state may be NULL for parts without options. */
    gn_status (*parse)(const gn__tok_source *source, const json_t *part, void **state);
    void (*free)(void *state);
    /* Changes `text` in place; `spare` is scratch of the same kind, to be exchanged at will. A normalizer
     * sees one span and may change glyphs only; a pre-tokenizer cuts spans and may change both. Memory
     * shortage is left in text->failed or spare->failed. */
    void (*apply)(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare);
} gn__tok_step_type;

typedef struct gn__tok_step {
    const gn__tok_step_type *type;
    void *state;
} gn__tok_step;

/* In order; {"type": "Sequence"} is unrolled into its members. A zeroed struct is valid. */
typedef struct gn__tok_steps {
    gn__tok_step *at;
    size_t count;
} gn__tok_steps;

gn_status gn__tok_normalizers_parse(const gn__tok_source *source, const json_t *part, gn__tok_steps *out);
gn_status gn__tok_pre_tokenizers_parse(const gn__tok_source *source, const json_t *part, gn__tok_steps *out);
void gn__tok_steps_apply(const gn__tok_steps *steps, gn__tok_pieces *text, gn__tok_pieces *spare);
void gn__tok_steps_free(gn__tok_steps *steps);
/* What BertNormalizer shares with Lowercase. */
void gn__tok_lowercase(gn__tok_pieces *text, gn__tok_pieces *spare);

/* ---- models -------------------------------------------------------------------------------------- */

/* What a call of encode keeps between words. A zeroed struct is valid. */
typedef struct gn__tok_scratch {
    gn__tok_pieces text, spare, raw, part;
    void *block; /* a model's own working memory, [block_size] bytes */
    size_t block_size;
    gn_error *err;
} gn__tok_scratch;
/* At least `bytes` of scratch->block, 16-byte aligned, contents undefined; NULL (and err set): no memory. */
void *gn__tok_block(gn__tok_scratch *scratch, size_t bytes);
void gn__tok_scratch_free(gn__tok_scratch *scratch);

/* Adds a token; false: no memory (err of the scratch is set). */
bool gn__tok_push(gn__tok_scratch *scratch, gn_tokens *tokens, int32_t id, uint32_t begin, uint32_t end);

typedef struct gn__tok_model_type {
    const char *name;
    const char *mark; /* the field that gives it away in old files without "type"; NULL: they must have one */
    gn_status (*parse)(const gn__tok_source *source, const json_t *part, void **state);
    void (*free)(void *state);
    /* NULL: every word can be tokenized. Otherwise why not, for words that hold what the model lacks; it may
     * be forgiven when `byte_level` says that words hold only the characters that stand for bytes. */
    gn_status (*check)(const void *state, const gn__tok_source *source, bool byte_level);
    const gn__tok_vocab *(*vocab)(const void *state);
    /* Adds the tokens of one word, n > 0. */
    gn_status (*tokenize)(const void *state, const gn__glyph *word, size_t n, gn__tok_scratch *scratch,
                          gn_tokens *tokens);
} gn__tok_model_type;

typedef struct gn__tok_model {
    const gn__tok_model_type *type;
    void *state;
} gn__tok_model;

gn_status gn__tok_model_parse(const gn__tok_source *source, const json_t *part, gn__tok_model *out);
void gn__tok_model_free(gn__tok_model *model);

/* ---- post-processors ----------------------------------------------------------------------------- */

enum { GN__TOK_TEXT = -1 }; /* the place of the text among the ids of a template */

/* All post-processors of one sequence come down to this. A zeroed struct is valid: nothing is added. */
typedef struct gn__tok_post {
    int32_t *item;       /* [items] special ids, and GN__TOK_TEXT where the text goes; NULL: the text alone */
    size_t items, added; /* added: how many of the items are special ids */
    struct {
        bool add_prefix_space;
    } trim[8]; /* each takes white space off the offsets of every token */
    size_t trims;
} gn__tok_post;

typedef struct gn__tok_post_type {
    const char *name;
    gn_status (*parse)(const gn__tok_source *source, const json_t *part, gn__tok_post *post);
} gn__tok_post_type;

gn_status gn__tok_post_parse(const gn__tok_source *source, const json_t *part, gn__tok_post *out);
void gn__tok_post_free(gn__tok_post *post);
/* For the parts: sets the items (copied), or refuses a second part that adds tokens. */
gn_status gn__tok_post_set(const gn__tok_source *source, gn__tok_post *post, const int32_t *item, size_t n);
gn_status gn__tok_post_trim(const gn__tok_source *source, gn__tok_post *post, bool add_prefix_space);

#endif
