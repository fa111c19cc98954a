/* Finding a model by name: in the Hugging Face cache of this machine, and downloading it from the hub into
 * that same cache, so that Python finds it too.
 *
 * Floor 2. The library reads no environment: whatever HF_HOME and its like say arrives in gn_hub_options. */
#ifndef GENCHI_HUB_H
#define GENCHI_HUB_H

#include "genchi/context.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the network is reached. A zeroed struct is valid: directly, with the system's certificates. */
typedef struct gn_network {
    const char *proxy;    /* "http://host:port"; NULL: none */
    const char *no_proxy; /* hosts reached without it, comma-separated; NULL: none */
    const char *ca_file;  /* PEM file of the authorities trusted; NULL: the system's */
    double stall;         /* seconds without a byte after which a transfer counts as cut; 0: 30 */
    unsigned tries;       /* of a request that fails in passing (no connection, cut, 408, 429, 5xx); 0: 6. A
                             download that got further begins to count anew */
    double wait;        /* seconds before the second try, doubled for each further one up to 60; the server's
                           Retry-After counts where it is longer (300 at most); 0: 0.5 */
    bool insecure_http; /* plain http to other machines too; else only to this one (localhost, 127.0.0.0/8) */
} gn_network;

typedef struct gn_hub_options {
    const char *cache;    /* folder that holds "models--org--name"; needed */
    const char *endpoint; /* NULL: "https://huggingface.co" */
    const char
        *token;   /* NULL: none. Sent to the endpoint's own host only, never stored, never in a message */
    bool offline; /* gn_hub_pull is refused */
    unsigned parallel; /* files at once; 0: 4 */
    gn_network network;
} gn_hub_options;

/* "org/name" or "name", with "@revision" (a branch, a tag, a commit; without: main): could be a name on the
 * hub. Looks at no file. */
GN_API bool gn_hub_is_name(const char *name);

/* The folder of a model that is in the cache: refs/<revision> names the commit, snapshots/<commit> is the
 * folder. *directory: free() it. Errors: GN_INVALID_ARGUMENT (no such name can be); GN_IO (not in the cache,
 * or only parts of it: what to do about it). */
GN_API gn_status gn_hub_find(const char *name, const gn_hub_options *options, char **directory,
                             gn_error *err);

typedef struct gn_hub_pulled {
    char *directory;          /* snapshots/<commit> */
    char commit[41];          /* hexadecimal */
    size_t files, downloaded; /* of the snapshot; of those now fetched (the others were there already) */
    uint64_t bytes;           /* now fetched */
} gn_hub_pulled;

/* Downloads what genchi reads of a model (configuration, tokenizer, safetensors; never a pickle) into the
 * cache: blobs/<etag>, snapshots/<commit>/<file> as relative links, refs/<revision> once everything is there.
 * Several files at once; a cut transfer goes on where it was cut, also in a later call. Every file is held
 * against its ETag: SHA-256 (large files), git's SHA-1 (the others), else its size; what does not agree is
 * deleted. Two processes may pull the same model: they wait for each other, file by file, with the locks that
 * Python uses. Progress is GN_STAGE_DOWNLOAD, in bytes. Errors: GN_INVALID_ARGUMENT (name, endpoint); GN_IO
 * (network, refusal by the hub, disk); GN_FORMAT (a list of files that is none or leads out of the folder, a
 * wrong hash or size); GN_UNSUPPORTED (offline; no safetensors); GN_CANCELLED. Free with gn_hub_pulled_free.
 */
GN_API gn_status gn_hub_pull(gn_context *ctx, const char *name, const gn_hub_options *options,
                             gn_hub_pulled *out, gn_error *err);
GN_API void gn_hub_pulled_free(gn_hub_pulled *p);

/* A server of embeddings that speaks OpenAI's /embeddings, used as a model: see gn_model_load. */
typedef struct gn_endpoint_options {
    const char *model; /* the name that the server knows it by; needed */
    const char *key; /* NULL: none. Sent to the endpoint's own host only, never stored, never in a message */
    size_t batch;    /* texts a request; 0: 64. Halved where the server finds it too large */
    size_t dimensions; /* asked of the server; 0: as it likes */
    unsigned parallel; /* requests at once; 0: 4 */
    double time_limit; /* seconds a request; 0: 120 */
    /* A folder that keeps what was received until all of a call's texts are there, so that a later run goes
     * on after it (the SHA-256 of each text and its vector, no text); NULL: none. */
    const char *journal;
    gn_network network;
} gn_endpoint_options;

#ifdef __cplusplus
}
#endif
#endif
