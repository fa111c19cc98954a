/* The tables of parts, and what is common to all of a kind: finding one by its type name, unrolling
 * sequences, releasing. */
#include "text/parts.h"

#define DECLARE(name) extern const gn__tok_step_type gn__tok_normalizer_##name;
GN__TOK_NORMALIZERS(DECLARE)
#undef DECLARE
#define DECLARE(name) extern const gn__tok_step_type gn__tok_pre_tokenizer_##name;
GN__TOK_PRE_TOKENIZERS(DECLARE)
#undef DECLARE
#define DECLARE(name) extern const gn__tok_model_type gn__tok_model_##name;
GN__TOK_MODELS(DECLARE)
#undef DECLARE
#define DECLARE(name) extern const gn__tok_post_type gn__tok_post_##name;
GN__TOK_POST_PROCESSORS(DECLARE)
#undef DECLARE

#define ROW(name) &gn__tok_normalizer_##name,
static const gn__tok_step_type *const normalizers[] = {GN__TOK_NORMALIZERS(ROW)};
#undef ROW
#define ROW(name) &gn__tok_pre_tokenizer_##name,
static const gn__tok_step_type *const pre_tokenizers[] = {GN__TOK_PRE_TOKENIZERS(ROW)};
#undef ROW
#define ROW(name) &gn__tok_model_##name,
static const gn__tok_model_type *const models[] = {GN__TOK_MODELS(ROW)};
#undef ROW
#define ROW(name) &gn__tok_post_##name,
static const gn__tok_post_type *const post_processors[] = {GN__TOK_POST_PROCESSORS(ROW)};
#undef ROW

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { MAX_DEPTH = 8, MAX_STEPS = 64 }; /* of sequences within sequences; of parts of one kind */

static gn_status type_of(const gn__tok_source *source, const char *kind, const json_t *part, const char **out)
{
    if (!json_is_object(part)) return gn__tok_not_an_object(source, kind);
    return gn__tok_string(source, kind, part, "type", GN__TOK_REQUIRED, out);
}

static gn_status unsupported(const gn__tok_source *source, const char *kind, const char *type)
{
    return gn__fail(source->err, GN_UNSUPPORTED, "%s: the %s \"%s\" is not supported", source->file, kind,
                    type);
}

static gn_status too_deep(const gn__tok_source *source, const char *kind)
{
    return gn__fail(source->err, GN_UNSUPPORTED,
                    "%s: more than %d parts, or sequences more than %d deep, in the %s", source->file,
                    MAX_STEPS, MAX_DEPTH, gn__tok_word(source, kind));
}

/* ---- steps --------------------------------------------------------------------------------------- */

typedef struct step_kind {
    const char *name, *members; /* of the part; of the list in a sequence */
    const gn__tok_step_type *const *types;
    size_t count;
} step_kind;

static gn_status add_step(const step_kind *kind, const gn__tok_source *source, const json_t *part, int depth,
                          gn__tok_steps *steps)
{
    const char *type = NULL;
    if (depth > MAX_DEPTH || steps->count == MAX_STEPS) return too_deep(source, kind->name);
    GN__TRY(type_of(source, kind->name, part, &type));
    if (strcmp(type, "Sequence") == 0) {
        const json_t *members = NULL;
        GN__TRY(gn__tok_array(source, type, part, kind->members, &members));
        for (size_t i = 0; i < json_array_size(members); i++)
            GN__TRY(add_step(kind, source, json_array_get(members, i), depth + 1, steps));
        return GN_OK;
    }
    for (size_t i = 0; i < kind->count; i++) {
        if (strcmp(kind->types[i]->name, type) != 0) continue;
        gn__tok_step step = {kind->types[i], NULL};
        GN__TRY(step.type->parse(source, part, &step.state));
        steps->at[steps->count++] = step;
        return GN_OK;
    }
    return unsupported(source, kind->name, type);
}

static gn_status parse_steps(const step_kind *kind, const gn__tok_source *source, const json_t *part,
                             gn__tok_steps *out)
{
    gn__tok_steps steps = {0};
    if (part != NULL && !json_is_null(part)) {
        steps.at = gn__calloc(MAX_STEPS, sizeof *steps.at);
        if (steps.at == NULL) return gn__no_memory(source->err, MAX_STEPS * sizeof *steps.at);
        gn_status status = add_step(kind, source, part, 0, &steps);
        if (status != GN_OK) {
            gn__tok_steps_free(&steps);
            return status;
        }
    }
    *out = steps;
    return GN_OK;
}

gn_status gn__tok_normalizers_parse(const gn__tok_source *source, const json_t *part, gn__tok_steps *out)
{
    static const step_kind kind = {"normalizer", "normalizers", normalizers, COUNT(normalizers)};
    return parse_steps(&kind, source, part, out);
}

gn_status gn__tok_pre_tokenizers_parse(const gn__tok_source *source, const json_t *part, gn__tok_steps *out)
{
    static const step_kind kind = {"pre-tokenizer", "pretokenizers", pre_tokenizers, COUNT(pre_tokenizers)};
    return parse_steps(&kind, source, part, out);
}

void gn__tok_steps_apply(const gn__tok_steps *steps, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    for (size_t i = 0; i < steps->count; i++) {
        gn__tok_pieces_clear(spare);
        steps->at[i].type->apply(steps->at[i].state, text, spare);
    }
}

void gn__tok_steps_free(gn__tok_steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) steps->at[i].type->free(steps->at[i].state);
    free(steps->at);
    *steps = (gn__tok_steps){0};
}

/* ---- models -------------------------------------------------------------------------------------- */

gn_status gn__tok_model_parse(const gn__tok_source *source, const json_t *part, gn__tok_model *out)
{
    const char *type = NULL;
    for (size_t i = 0; type == NULL && i < COUNT(models) && json_object_get(part, "type") == NULL; i++)
        if (models[i]->mark != NULL && json_object_get(part, models[i]->mark) != NULL) type = models[i]->name;
    if (type == NULL) GN__TRY(type_of(source, "model", part, &type));
    for (size_t i = 0; i < COUNT(models); i++) {
        if (strcmp(models[i]->name, type) != 0) continue;
        gn__tok_model model = {models[i], NULL};
        GN__TRY(model.type->parse(source, part, &model.state));
        *out = model;
        return GN_OK;
    }
    return unsupported(source, "model", type);
}

void gn__tok_model_free(gn__tok_model *model)
{
    if (model->type != NULL) model->type->free(model->state);
    *model = (gn__tok_model){0};
}

void *gn__tok_block(gn__tok_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->block_size) return scratch->block;
    size_t size = bytes < SIZE_MAX / 2 ? bytes + bytes / 2 : bytes;
    free(scratch->block);
    scratch->block = malloc(size);
    scratch->block_size = scratch->block == NULL ? 0 : size;
    if (scratch->block == NULL) gn__no_memory(scratch->err, size);
    return scratch->block;
}

void gn__tok_scratch_free(gn__tok_scratch *scratch)
{
    gn__tok_pieces_free(&scratch->text);
    gn__tok_pieces_free(&scratch->spare);
    gn__tok_pieces_free(&scratch->raw);
    gn__tok_pieces_free(&scratch->part);
    free(scratch->block);
    scratch->block = NULL;
}

/* ---- post-processors ----------------------------------------------------------------------------- */

static gn_status add_post(const gn__tok_source *source, const json_t *part, int depth, size_t *parts,
                          gn__tok_post *post)
{
    static const char kind[] = "post-processor";
    const char *type = NULL;
    if (depth > MAX_DEPTH || (*parts)++ == MAX_STEPS) return too_deep(source, kind);
    GN__TRY(type_of(source, kind, part, &type));
    if (strcmp(type, "Sequence") == 0) {
        const json_t *members = NULL;
        GN__TRY(gn__tok_array(source, type, part, "processors", &members));
        for (size_t i = 0; i < json_array_size(members); i++)
            GN__TRY(add_post(source, json_array_get(members, i), depth + 1, parts, post));
        return GN_OK;
    }
    for (size_t i = 0; i < COUNT(post_processors); i++)
        if (strcmp(post_processors[i]->name, type) == 0) return post_processors[i]->parse(source, part, post);
    return unsupported(source, kind, type);
}

gn_status gn__tok_post_parse(const gn__tok_source *source, const json_t *part, gn__tok_post *out)
{
    gn__tok_post post = {0};
    size_t parts = 0;
    if (part != NULL && !json_is_null(part)) {
        gn_status status = add_post(source, part, 0, &parts, &post);
        if (status != GN_OK) {
            gn__tok_post_free(&post);
            return status;
        }
    }
    *out = post;
    return GN_OK;
}

void gn__tok_post_free(gn__tok_post *post)
{
    free(post->item);
    *post = (gn__tok_post){0};
}

gn_status gn__tok_post_set(const gn__tok_source *source, gn__tok_post *post, const int32_t *item, size_t n)
{
    if (post->item != NULL)
        return gn__fail(source->err, GN_UNSUPPORTED,
                        "%s: a sequence with two post-processors that add tokens is not supported",
                        source->file);
    post->item = gn__calloc(n, sizeof *item);
    if (post->item == NULL) return gn__no_memory(source->err, n * sizeof *item);
    for (size_t i = 0; i < n; i++) {
        post->item[i] = item[i];
        post->added += item[i] != GN__TOK_TEXT;
    }
    post->items = n;
    return GN_OK;
}

gn_status gn__tok_post_trim(const gn__tok_source *source, gn__tok_post *post, bool add_prefix_space)
{
    if (post->trims == COUNT(post->trim)) return too_deep(source, "post-processor");
    post->trim[post->trims++].add_prefix_space = add_prefix_space;
    return GN_OK;
}
