/* Rows to token ids, and how many of them a pass takes. */
#include "model/tuned.h"

enum { GRAIN = 64 };

typedef struct job {
    const gn_model *m;
    const char *const *text;
    const uint32_t *length;
    gn__texts *out;
    gn_error *error; /* [pieces] */
} job;

static void encode(void *arg, size_t begin, size_t end, unsigned worker)
{
    job *j = arg;
    bool cut;
    gn_error *err = &j->error[begin / GRAIN];
    for (size_t i = begin; i < end && err->code == GN_OK; i++)
        (void)gn__model_ids(j->m, &j->out->encoder[worker], j->text[i], j->length[i], i, &j->out->sequence[i],
                            &cut, err);
}

gn_status gn__texts_make(gn_context *ctx, const gn_model *m, const char *const *text, const uint32_t *length,
                         size_t count, gn__texts *out, gn_error *err)
{
    size_t pieces = (count + GRAIN - 1) / GRAIN;
    gn__texts t = {.count = count, .encoders = gn_context_threads(ctx)};
    job j = {m, text, length, &t, gn__calloc(pieces, sizeof *j.error)};
    t.sequence = gn__calloc(count, sizeof *t.sequence);
    t.encoder = gn__calloc(t.encoders, sizeof *t.encoder);
    gn_status status =
        j.error && t.sequence && t.encoder ? GN_OK : gn__no_memory(err, count * sizeof *t.sequence);
    for (size_t i = 0; i < pieces && status == GN_OK && err != NULL; i++) j.error[i].lang = err->lang;
    if (status == GN_OK) status = gn__parallel_for(ctx, count, GRAIN, encode, &j, err);
    for (size_t i = 0; i < pieces && status == GN_OK; i++)
        if (j.error[i].code != GN_OK) {
            status = j.error[i].code;
            if (err != NULL) *err = j.error[i];
        }
    free(j.error);
    if (status != GN_OK) {
        gn__texts_free(&t);
        return status;
    }
    for (size_t i = 0; i < count; i++)
        if (t.sequence[i].count > t.longest) t.longest = t.sequence[i].count;
    *out = t;
    return GN_OK;
}

void gn__texts_free(gn__texts *t)
{
    for (unsigned i = 0; i < t->encoders && t->encoder != NULL; i++) gn__encoder_free(&t->encoder[i]);
    free(t->encoder);
    free(t->sequence);
    *t = (gn__texts){0};
}

size_t gn__pass_rows(const gn__texts *t, const uint32_t *row, size_t n, size_t most_tokens, size_t most_texts,
                     size_t *tokens)
{
    size_t taken = 0, sum = 0;
    while (taken < n && taken < most_texts) {
        size_t more = t->sequence[row[taken]].count;
        if (taken > 0 && more > most_tokens - sum) break;
        sum += more;
        taken++;
        if (sum >= most_tokens) break;
    }
    if (tokens != NULL) *tokens = sum;
    return taken;
}
