/* Embeddings of a file, at a memory that does not grow with it, into a file that can be gone on with.
 *
 * Floor 6. The formats of the files written stand in docs/embedding.md. */
#ifndef GENCHI_EMBED_H
#define GENCHI_EMBED_H

#include "genchi/cache.h"
#include "genchi/dataset.h"
#include "genchi/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gn_output_type {
    GN_OUTPUT_F32,
    GN_OUTPUT_F16, /* rounded to nearest, ties to even */
    GN_OUTPUT_BF16 /* the same; in a .npy the 16 bits are stored as uint16, because NumPy has no bfloat16 */
} gn_output_type;

/* A zeroed struct with input and out set is valid. Strings are borrowed for the call. */
typedef struct gn_embed_file_options {
    const char *input; /* "-": standard input */
    gn_dataset_options read;
    const char *out; /* "….safetensors": that format, with one tensor "embeddings"; else .npy */
    gn_output_type type;
    unsigned shard, shards; /* shards > 0: rows ⌊(shard−1)N/shards⌋ … ⌊shard·N/shards⌋−1 of the N rows only */
    bool restart;      /* forget an unfinished run */
    size_t block_rows; /* 0: 8192, or fewer so that a block has 16 MiB of vectors */
} gn_embed_file_options;

typedef struct gn_embed_file_result {
    uint64_t rows, dim;
    uint64_t resumed_rows;                                  /* of rows: found finished by an earlier run */
    uint64_t cut;                                           /* texts longer than the model's max_length */
    uint64_t rows_read, malformed, empty, dropped_by_label; /* of the whole input */
    double seconds;
} gn_embed_file_result;

/* Embeds the texts of options->input with m, block by block, into options->out; row i belongs to the i-th
 * kept row of the input, and the rows left out are listed in "OUT.left-out.jsonl". A text's bits are those of
 * gn_model_embed. An unfinished run leaves "OUT.partial" and "OUT.state", and the same call then goes on
 * after the last whole block: the finished file has the bits of an uninterrupted run. Input from a pipe can
 * be gone on with when the same bytes come again. Errors: those of gn_dataset_stream_next and gn_model_embed;
 * GN_IO (writing; another process is at work on this output); GN_INVALID_ARGUMENT (shard; the unfinished run
 * had other options, or its texts were others: the message says which); GN_DATA (no usable row); GN_NUMERIC
 * (a value beyond float16). On GN_CANCELLED result->rows tells how many rows are safe. */
GN_API gn_status gn_embed_file(gn_context *ctx, const gn_model *m, const gn_embed_file_options *options,
                               gn_embed_file_result *result, gn_error *err);

/* Joins all shards of one input, in any order, into out: the file (and the two beside it) that an unsharded
 * run writes, bit for bit. Errors: GN_IO; GN_FORMAT (a part and its .json do not agree); GN_INVALID_ARGUMENT
 * (parts of different runs, missing, or given twice: the message says which). */
GN_API gn_status gn_embed_merge(gn_context *ctx, const char *const *part, size_t parts, const char *out,
                                gn_embed_file_result *result, gn_error *err);

/* gn_model_embed that looks into a cache first and keeps there what it had to compute. The same bits as
 * without; stats->tokens counts as if everything had been computed. builtin:char-ngram learns from all
 * texts of the call, so its rows are never cached. A cache that fails is passed over (gn_cache_get_session
 * tells); cache may be NULL. Errors: those of gn_model_embed. */
GN_API gn_status gn_model_embed_cached(gn_context *ctx, gn_cache *cache, const gn_model *m,
                                       const char *const *text, const uint32_t *length, size_t texts,
                                       gn_matrix *out, unsigned char *cut, gn_embed_stats *stats,
                                       gn_error *err);

GN_API const char *gn_output_type_name(gn_output_type t); /* "float32", "float16", "bfloat16" */

#ifdef __cplusplus
}
#endif
#endif
