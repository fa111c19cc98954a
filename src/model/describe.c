#include "model/describe.h"

#include "model/config.h"

/* An item of a list, behind a comma where it is not the first. */
#define ADD(b, ...) (gn__buf_puts(b, (b)->length ? ", " : ""), gn__buf_printf(b, __VA_ARGS__))

static void describe_positions(const gn_model *m, gn__buf *b)
{
    const gn__recipe *r = &m->recipe;
    if (r->position_rows > 0 && r->position_offset == 0) ADD(b, "learned");
    if (r->position_rows > 0 && r->position_offset > 0)
        ADD(b, "learned, from row %zu on", r->position_offset);
    for (int kind = 0; kind < 2; kind++) {
        const gn__rotary *t = &r->rotary[kind];
        bool same = kind == 1 && memcmp(t, &r->rotary[0], sizeof *t) == 0;
        if (t->pairs == 0 || same) continue;
        ADD(b, "%s (%s, theta %g)", kind ? "rotary in local layers" : "rotary", t->kind, (double)t->theta);
        if (t->long_from > 0) ADD(b, "others for texts beyond %zu tokens", t->long_from);
        if (2 * t->pairs < r->head_dim) ADD(b, "on %zu of a head's %zu", 2 * t->pairs, r->head_dim);
    }
    if (r->bias == GN__BIAS_BUCKETS) ADD(b, "%zu buckets of distances up to %zu", r->buckets, r->farthest);
    if (r->bias == GN__BIAS_ALIBI) ADD(b, "ALiBi");
    if (r->span > 0) {
        ADD(b, "disentangled");
        if (r->content_to_position) ADD(b, "content to position");
        if (r->position_to_content) ADD(b, "position to content");
        ADD(b, r->span_buckets ? "%zu logarithmic buckets each way" : "distances up to %zu", r->span);
    }
    if (b->length == 0) ADD(b, "none");
}

static void describe_norms(const gn_model *m, gn__buf *b)
{
    static const char *const kinds[] = {"layer norm", "RMS norm", "RMS norm (1 + gamma)"};
    const gn__recipe *r = &m->recipe;
    const char *const *n = r->names->norm;
    bool before = n[GN__ATTENTION_BEFORE] != NULL, inside = n[GN__ATTENTION_INSIDE] != NULL;
    ADD(b, "%s %s", kinds[r->norm], before && inside ? "before and inside" : before ? "before" : "after");
    if (r->norm == GN__NORM_LAYER && !r->norm_bias) ADD(b, "no bias");
    if (r->names->query_norm != NULL) ADD(b, "of query and key");
    if (r->names->embedding_norm != NULL) ADD(b, "of embeddings");
    if (r->names->final_norm != NULL) ADD(b, "final");
    ADD(b, "eps %g", (double)r->eps);
}

static void describe_attention(const gn_model *m, gn__buf *b)
{
    const gn__recipe *r = &m->recipe;
    size_t local = 0;
    for (size_t i = 0; i < r->layers; i++) local += r->local[i];
    ADD(b, r->causal ? "causal" : "both ways");
    ADD(b, "%zu heads of %zu", r->heads, r->head_dim);
    if (r->kv_heads != r->heads) ADD(b, "%zu of keys and values", r->kv_heads);
    if (local > 0 && r->before > 0) ADD(b, "%zu of %zu layers see %zu before", local, r->layers, r->before);
    if (local > 0 && r->after > 0) ADD(b, "%zu after", r->after);
    if (r->cap > 0) ADD(b, "scores capped at %g", (double)r->cap);
    if (r->parallel) ADD(b, "beside the MLP");
    if (r->conv > 0) ADD(b, "a convolution of %zu tokens beside layer 0", r->conv);
    if (r->stored != r->layers) ADD(b, "%zu shared layers", r->stored);
}

static void describe_mlp(const gn_model *m, gn__buf *b)
{
    static const char *const names[] = {"gelu", "gelu (tanh)", "relu", "silu"};
    const gn__recipe *r = &m->recipe;
    ADD(b, "%s", names[r->activation]);
    if (r->gated) ADD(b, "gated");
    ADD(b, "%zu wide", r->inner);
    if (!r->bias_mlp) ADD(b, "no bias");
    if (r->output != r->dim) ADD(b, "projected from %zu to %zu at the end", r->dim, r->output);
}

static void describe_poolings(const gn_model *m, gn__buf *b)
{
    for (size_t i = 0; i < m->head.poolings; i++)
        gn__buf_printf(b, "%s%s", i ? "+" : "", gn_pooling_name(m->head.pooling[i]));
}

static void describe_head(const gn_model *m, gn__buf *b)
{
    static const char *const names[] = {"", ", tanh", ", relu", ", gelu", ", silu"};
    for (size_t i = 0; i < m->head.steps; i++) {
        const gn__head_step *s = &m->head.step[i];
        if (s->kind == GN__HEAD_UNIT)
            ADD(b, "unit length");
        else if (s->kind == GN__HEAD_NORM)
            ADD(b, "layer norm");
        else
            ADD(b, "dense %zu to %zu%s%s", s->inputs, s->outputs, names[s->activation],
                s->residual ? ", added to its input" : "");
    }
}

static void describe_prompt(const gn_model *m, gn__buf *b)
{
    gn__buf_puts(b, m->prompt);
}

/* The types of the parts of tokenizer.json; a Sequence gives those of its own. */
static void list_parts(const json_t *part, gn__buf *b)
{
    static const char *const lists[] = {"normalizers", "pretokenizers", "processors"};
    const char *type = json_string_value(json_object_get(part, "type"));
    if (type == NULL) return;
    if (strcmp(type, "Sequence") != 0) {
        ADD(b, "%s", type);
        return;
    }
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        const json_t *list = json_object_get(part, lists[k]), *one;
        size_t i;
        json_array_foreach(list, i, one)
        {
            const char *inner = json_string_value(json_object_get(one, "type"));
            if (inner != NULL) ADD(b, "%s", inner);
        }
    }
}

static gn_status describe_tokenizer(gn_model *m, const char *directory, gn_error *err)
{
    static const char file[] = "tokenizer.json";
    static const char *const parts[] = {"normalizer", "pre_tokenizer", "model", "post_processor"};
    gn__buf b = {0};
    gn__config c = {0};
    char *path = gn__path_join(directory, file);
    if (path == NULL) return gn__no_memory(err, strlen(directory));
    bool there = gn__file_exists(path);
    free(path);
    if (there) GN__TRY(gn__config_read(directory, file, JSON_OBJECT, &c, err));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const json_t *part = json_object_get(c.root, parts[i]);
        bool untyped = i == 2 && json_object_get(part, "type") == NULL;
        if (untyped)
            ADD(&b, "%s", m->info.tokenizer);
        else
            list_parts(part, &b);
    }
    gn__config_free(&c);
    m->info.pipeline = gn__arena_strndup(&m->arena, b.data ? b.data : "", b.length);
    bool failed = b.failed || m->info.pipeline == NULL;
    gn__buf_free(&b);
    return failed ? gn__no_memory(err, 64) : GN_OK;
}

gn_status gn__model_describe(gn_model *m, const char *directory, gn_error *err)
{
    const struct {
        void (*describe)(const gn_model *m, gn__buf *b);
        const char **out;
    } rows[] = {
        {describe_positions, &m->info.positions}, {describe_norms, &m->info.norms},
        {describe_attention, &m->info.attention}, {describe_mlp, &m->info.mlp},
        {describe_poolings, &m->info.poolings},   {describe_head, &m->info.head},
        {describe_prompt, &m->info.prompt},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gn__buf b = {0};
        rows[i].describe(m, &b);
        *rows[i].out = gn__arena_strndup(&m->arena, b.data ? b.data : "", b.length);
        bool failed = b.failed || *rows[i].out == NULL;
        gn__buf_free(&b);
        if (failed) return gn__no_memory(err, 64);
    }
    return describe_tokenizer(m, directory, err);
}
