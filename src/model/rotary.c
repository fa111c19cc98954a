/* The angles of rotary positions, by every rope_type whose frequencies do not depend on the text's length.
 * Computed in float32 in transformers' order of operations: at large positions the last bit matters. */
#include "model/recipe.h"

#include <math.h>

enum { PAIRS = GN__MOST_TURNS };

/* What a rope_type needs. */
typedef struct turn {
    const gn__config *c; /* root: the object with its parameters */
    double base;
    size_t dims;      /* of each head that turn */
    size_t positions; /* the model's */
    size_t original; /* original_max_position_embeddings beside rope_parameters, which counts more; 0: none */
    gn__rotary *out;
    gn_error *err;
} turn;

static gn_status number(const turn *t, const char *key, double otherwise, double *out)
{
    const json_t *v = json_object_get(t->c->root, key);
    if ((v == NULL || json_is_null(v)) && isnan(otherwise))
        return gn__fail(t->err, GN_FORMAT, "%s does not say \"%s\"", t->c->path, key);
    GN__TRY(gn__config_number(t->c, key, otherwise, out, t->err));
    if (!(*out > 0) || isinf(*out))
        return gn__fail(t->err, GN_FORMAT, "%s: \"%s\" should be above 0", t->c->path, key);
    return GN_OK;
}

static float power(const turn *t, size_t i)
{
    return powf((float)t->base, (float)(2 * i) / (float)t->dims);
}

/* original_max_position_embeddings. */
static gn_status original(const turn *t, double *out)
{
    GN__TRY(number(t, "original_max_position_embeddings", (double)t->positions, out));
    if (t->original > 0) *out = (double)t->original;
    return GN_OK;
}

static gn_status plain(const turn *t)
{
    for (size_t i = 0; i < t->out->pairs; i++) t->out->inverse[i] = 1.0f / power(t, i);
    return GN_OK;
}

static gn_status linear(const turn *t)
{
    double factor;
    GN__TRY(number(t, "factor", NAN, &factor));
    for (size_t i = 0; i < t->out->pairs; i++) t->out->inverse[i] = 1.0f / power(t, i) / (float)factor;
    return GN_OK;
}

/* Changes only texts longer than max_position_embeddings, and those are cut. */
static gn_status dynamic(const turn *t)
{
    double factor;
    GN__TRY(number(t, "factor", NAN, &factor));
    return plain(t);
}

/* Llama 3.1: long waves are stretched, short ones kept, those between joined smoothly. */
static gn_status llama3(const turn *t)
{
    double factor, low, high, old;
    GN__TRY(number(t, "factor", NAN, &factor));
    GN__TRY(number(t, "low_freq_factor", NAN, &low));
    GN__TRY(number(t, "high_freq_factor", NAN, &high));
    GN__TRY(original(t, &old));
    float longest = (float)(old / low), shortest = (float)(old / high);
    for (size_t i = 0; i < t->out->pairs; i++) {
        float inverse = 1.0f / power(t, i), wave = 6.283185307179586f / inverse;
        float stretched = inverse / (float)factor;
        float smooth = ((float)old / wave - (float)low) / (float)(high - low);
        if (wave > longest)
            inverse = stretched;
        else if (wave >= shortest)
            inverse = (1 - smooth) * inverse / (float)factor + smooth * inverse;
        t->out->inverse[i] = inverse;
    }
    return GN_OK;
}

static double yarn_scale(double factor, double by)
{
    return factor <= 1 ? 1 : 0.1 * by * log(factor) + 1;
}

static gn_status yarn_attention(const turn *t, double factor)
{
    const json_t *said = json_object_get(t->c->root, "attention_factor");
    double one, all, attention;
    GN__TRY(gn__config_number(t->c, "mscale", 0, &one, t->err));
    GN__TRY(gn__config_number(t->c, "mscale_all_dim", 0, &all, t->err));
    if (said != NULL && !json_is_null(said))
        GN__TRY(number(t, "attention_factor", NAN, &attention));
    else if (one != 0 && all != 0)
        attention = yarn_scale(factor, one) / yarn_scale(factor, all);
    else
        attention = yarn_scale(factor, 1);
    t->out->scale = (float)attention;
    return GN_OK;
}

/* The pair that turns so often over the old length. */
static double yarn_pair(const turn *t, double turns, double old)
{
    return (double)t->dims * log(old / (turns * 2 * M_PI)) / (2 * log(t->base));
}

/* LongRoPE (Ding et al. 2024) as Phi-3 uses it: each pair slowed by a factor of its own; texts beyond the old
 * length have other factors. */
static gn_status longrope_factors(const turn *t, const char *key, float *out)
{
    const json_t *list = json_object_get(t->c->root, key);
    if (!json_is_array(list) || json_array_size(list) != t->out->pairs)
        return gn__fail(t->err, GN_FORMAT, "%s: \"%s\" should be a list of %zu numbers", t->c->path, key,
                        t->out->pairs);
    for (size_t i = 0; i < t->out->pairs; i++) {
        double factor = json_number_value(json_array_get(list, i));
        if (!(factor > 0) || isinf(factor))
            return gn__fail(t->err, GN_FORMAT, "%s: \"%s\" should be above 0", t->c->path, key);
        out[i] = 1.0f / ((float)factor * power(t, i));
    }
    return GN_OK;
}

static gn_status longrope(const turn *t)
{
    double old, factor, attention;
    const json_t *said = json_object_get(t->c->root, "attention_factor");
    GN__TRY(original(t, &old));
    if (old > GN__MOST_ROWS)
        return gn__fail(t->err, GN_FORMAT, "%s: \"%s\" should be a whole number from 1 to %zu", t->c->path,
                        "original_max_position_embeddings", (size_t)GN__MOST_ROWS);
    GN__TRY(number(t, "factor", (double)t->positions / old, &factor));
    attention = factor <= 1 ? 1 : sqrt(1 + log(factor) / log(old));
    if (said != NULL && !json_is_null(said)) GN__TRY(number(t, "attention_factor", NAN, &attention));
    GN__TRY(longrope_factors(t, "short_factor", t->out->inverse));
    GN__TRY(longrope_factors(t, "long_factor", t->out->longer));
    t->out->scale = (float)attention;
    t->out->long_from = (size_t)old;
    return GN_OK;
}

/* YaRN (Peng et al. 2024). */
static gn_status yarn(const turn *t)
{
    double factor, fast, slow, old;
    bool whole;
    GN__TRY(original(t, &old));
    GN__TRY(number(t, "factor", (double)t->positions / old, &factor));
    GN__TRY(number(t, "beta_fast", 32, &fast));
    GN__TRY(number(t, "beta_slow", 1, &slow));
    GN__TRY(gn__config_bool(t->c, "truncate", true, &whole, t->err));
    GN__TRY(yarn_attention(t, factor));
    double low = yarn_pair(t, fast, old), high = yarn_pair(t, slow, old);
    if (whole) low = floor(low), high = ceil(high);
    low = fmax(low, 0), high = fmin(high, (double)t->dims - 1);
    if (low == high) high += 0.001;
    for (size_t i = 0; i < t->out->pairs; i++) {
        float ramp = ((float)i - (float)low) / (float)(high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        float keep = 1 - ramp, p = power(t, i);
        t->out->inverse[i] = 1.0f / ((float)factor * p) * (1 - keep) + 1.0f / p * keep;
    }
    return GN_OK;
}

static const struct {
    const char *name;
    gn_status (*fill)(const turn *t);
} kinds[] = {
    {"default", plain}, {"linear", linear}, {"dynamic", dynamic},
    {"llama3", llama3}, {"yarn", yarn},     {"longrope", longrope},
};

/* Configs of transformers 5 have rope_parameters, for all layers or one a kind of layer; older ones have
 * rope_theta and, where scaled, rope_scaling. */
static const json_t *find_parameters(const gn__config *c, const gn__rotary_keys *keys, int kind)
{
    const json_t *all = json_object_get(c->root, "rope_parameters");
    const json_t *own = json_object_get(all, kind ? "sliding_attention" : "full_attention");
    if (json_is_object(own)) return own;
    if (json_is_object(all) && json_object_get(all, "full_attention") == NULL &&
        json_object_get(all, "sliding_attention") == NULL)
        return all;
    const json_t *old = json_object_get(c->root, "rope_scaling");
    return keys->scaled && json_is_object(old) ? old : NULL;
}

static gn_status parameter(const gn__config *c, const gn__config *inside, const char *key, const char *old,
                           double otherwise, double *out, gn_error *err)
{
    if (old != NULL) GN__TRY(gn__config_number(c, old, otherwise, &otherwise, err));
    GN__TRY(gn__config_number(inside, key, otherwise, out, err));
    if (*out > 0 && !isinf(*out)) return GN_OK;
    return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be above 0", c->path, key);
}

gn_status gn__read_rotary(const gn__config *c, const gn__rotary_keys *keys, int kind, gn__recipe *r,
                          gn_error *err)
{
    gn__rotary *out = &r->rotary[kind];
    const json_t *parameters = find_parameters(c, keys, kind);
    gn__config inside = {.root = (json_t *)(uintptr_t)parameters, .path = c->path};
    double theta, share;
    GN__TRY(parameter(c, &inside, "rope_theta", keys->theta_key, keys->theta, &theta, err));
    GN__TRY(parameter(c, &inside, "partial_rotary_factor", keys->share_key, keys->share, &share, err));
    size_t head_dim = r->head_dim ? r->head_dim : r->dim / r->heads;
    double dims = floor((double)head_dim * share);
    *out = (gn__rotary){.scale = 1, .theta = (float)theta};
    if (dims < 2 || dims > 2 * PAIRS || dims > (double)head_dim || (size_t)dims % 2 != 0)
        return gn__fail(err, GN_UNSUPPORTED,
                        "%s: rotary positions that turn %g of a head's %zu numbers are not supported",
                        c->path, dims, head_dim);
    out->pairs = (size_t)dims / 2;
    const char *name = gn__config_string(&inside, "rope_type");
    if (name == NULL) name = gn__config_string(&inside, "type");
    if (name == NULL) name = "default";
    turn t = {&inside, theta, (size_t)dims, r->positions, 0, out, err};
    GN__TRY(gn__config_count(c, "original_max_position_embeddings", keys->original, GN__MOST_ROWS,
                             &t.original, err));
    if (keys->only_long && strcmp(name, "default") != 0 && strcmp(name, "longrope") != 0)
        return gn__fail(err, GN_UNSUPPORTED, "%s: the rope_type \"%s\" is not supported", c->path, name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            out->kind = kinds[i].name;
            return kinds[i].fill(&t);
        }
    return gn__fail(err, GN_UNSUPPORTED, "%s: the rope_type \"%s\" is not supported", c->path, name);
}
