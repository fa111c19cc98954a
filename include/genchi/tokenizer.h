/* Text to token ids, exactly as the model's own files say.
 *
 * Floor 2. A tokenizer is immutable after loading and may be shared by threads. */
#ifndef GENCHI_TOKENIZER_H
#define GENCHI_TOKENIZER_H

#include "genchi/error.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_tokenizer gn_tokenizer;

/* Loads from a model directory: tokenizer.json, else vocab.json + merges.txt (byte-level BPE, GPT-2),
 * else vocab.txt (BERT WordPiece, with tokenizer_config.json's do_lower_case, strip_accents,
 * tokenize_chinese_chars), else a SentencePiece model (spiece.model, sentencepiece.bpe.model,
 * tokenizer.model, sentencepiece.model, spm.model; as the class of `transformers` 5 reads it that
 * tokenizer_config.json names, else the one of config.json's model_type: docs/tokenizers.md lists them; other
 * classes are refused, and without either the model speaks for itself). Special tokens are those of
 * tokenizer_config.json, special_tokens_map.json and added_tokens.json. The length limit in tokenizer.json is
 * ignored, as is padding: they are the model's business; the side that truncation takes from is its
 * "direction", or tokenizer_config.json's "truncation_side". The older files are read as `transformers` 5
 * reads them; a tokenizer_class in tokenizer_config.json other than BERT's, DistilBERT's, ELECTRA's or
 * GPT-2's is refused. Ids of added tokens are those of the vocabulary, else counted on from its size, as
 * `tokenizers` does: the "id" that the file gives with them is not consulted. Errors: GN_IO; GN_FORMAT;
 * GN_UNSUPPORTED (a part that is not implemented, by its type name; nothing is approximated). Free with
 * gn_tokenizer_free. */
GN_API gn_status gn_tokenizer_load(const char *directory, gn_tokenizer **out, gn_error *err);
GN_API void gn_tokenizer_free(gn_tokenizer *t);
GN_API size_t gn_tokenizer_vocab_size(const gn_tokenizer *t); /* largest id + 1 */
/* "WordPiece", "BPE", "Unigram" or "WordLevel"; static storage. */
GN_API const char *gn_tokenizer_kind(const gn_tokenizer *t);

/* A growing list of token ids; a zeroed struct is valid; reuse it between calls. */
typedef struct gn_tokens {
    int32_t *id;           /* [count] */
    uint32_t *begin, *end; /* [count] byte range of the token in the input text (0, 0 for specials) */
    size_t count, capacity;
    bool cut; /* the text was longer than max_length */
} gn_tokens;

/* Encodes text[0..length) (UTF-8; ill-formed sequences become U+FFFD as Rust's from_utf8_lossy does),
 * adding the special tokens of the post-processor when add_special. max_length counts special tokens;
 * longer sequences are cut, on the right or (see above) the left, before they are added, as `tokenizers`
 * does; 0: no limit. A limit below the number of special tokens leaves those alone, and nothing of the text.
 * Byte ranges are the library's: of what a token was made from, so they can overlap (bytes of one
 * character, reordered marks) and leave gaps (white space, stripped characters).
 * `tokens` is overwritten; after an error its content is undefined. Thread-safe on one tokenizer with
 * distinct `tokens`. Errors: GN_NO_MEMORY; GN_INVALID_ARGUMENT (a text of more than 1 GiB);
 * GN_FORMAT (Unigram and WordLevel without an unknown token, and the text needs one); GN_UNSUPPORTED (a
 * regular expression that takes too many steps). */
GN_API gn_status gn_tokenizer_encode(const gn_tokenizer *t, const char *text, size_t length, bool add_special,
                                     size_t max_length, gn_tokens *tokens, gn_error *err);
GN_API void gn_tokens_free(gn_tokens *tokens);
/* The token's string as the vocabulary has it; NULL where the id is not in it. Owned by t. */
GN_API const char *gn_tokenizer_token(const gn_tokenizer *t, int32_t id);

#ifdef __cplusplus
}
#endif
#endif
