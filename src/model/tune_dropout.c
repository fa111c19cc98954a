/* Dropout as config.json has it. */
#include "model/config.h"
#include "model/settings.h"
#include "model/tuned.h"

/* Keys of config.json, as transformers' code for the architecture uses them (5.24.0), the first that is
 * there; and what its configuration class says where the file is silent. No key: nothing is dropped there. */
typedef struct place {
    const char *key[2];
    double usual;
} place;

typedef struct places {
    const char *const *architecture; /* NULL last */
    place embedding, attention, out, inner, mlp_out, last;
} places;

#define LIST(...)         \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define NONE      \
    {             \
        {NULL}, 0 \
    }
static const places table[] = {
    {LIST("bert", "electra", "roberta", "xlm-roberta", "camembert", "mpnet", "deberta", "deberta-v2"),
     {{"hidden_dropout_prob"}, 0.1},
     {{"attention_probs_dropout_prob"}, 0.1},
     {{"hidden_dropout_prob"}, 0.1},
     NONE,
     {{"hidden_dropout_prob"}, 0.1},
     NONE},
    {LIST("albert"),
     {{"hidden_dropout_prob"}, 0},
     {{"attention_probs_dropout_prob"}, 0},
     {{"hidden_dropout_prob"}, 0},
     NONE,
     {{"hidden_dropout_prob"}, 0},
     NONE},
    {LIST("nomic_bert"), /* transformers' keys, and the authors' */
     {{"hidden_dropout_prob", "embd_pdrop"}, 0},
     {{"attention_probs_dropout_prob", "attn_pdrop"}, 0},
     {{"hidden_dropout_prob", "resid_pdrop"}, 0},
     NONE,
     {{"hidden_dropout_prob", "resid_pdrop"}, 0},
     NONE},
    {LIST("distilbert"),
     {{"dropout"}, 0.1},
     {{"attention_dropout"}, 0.1},
     {{"dropout"}, 0.1},
     NONE,
     {{"dropout"}, 0.1},
     NONE},
    {LIST("t5", "mt5"),
     {{"dropout_rate"}, 0.1},
     {{"dropout_rate"}, 0.1},
     {{"dropout_rate"}, 0.1},
     {{"dropout_rate"}, 0.1},
     {{"dropout_rate"}, 0.1},
     {{"dropout_rate"}, 0.1}},
    {LIST("gpt2"),
     {{"embd_pdrop"}, 0.1},
     {{"attn_pdrop"}, 0.1},
     {{"resid_pdrop"}, 0.1},
     NONE,
     {{"resid_pdrop"}, 0.1},
     NONE},
    {LIST("gpt_neox"),
     {{"hidden_dropout"}, 0},
     {{"attention_dropout"}, 0},
     {{"hidden_dropout"}, 0},
     NONE,
     {{"hidden_dropout"}, 0},
     NONE},
    {LIST("opt"), NONE, {{"attention_dropout"}, 0}, {{"dropout"}, 0.1}, NONE, {{"dropout"}, 0.1}, NONE},
    {LIST("bloom"),
     NONE,
     {{"attention_dropout"}, 0},
     {{"hidden_dropout"}, 0},
     NONE,
     {{"hidden_dropout"}, 0},
     NONE},
    {LIST("phi"),
     {{"embd_pdrop"}, 0},
     {{"attention_dropout"}, 0},
     {{"resid_pdrop"}, 0},
     NONE,
     {{"resid_pdrop"}, 0},
     NONE},
    {LIST("phi3"), NONE, {{"attention_dropout"}, 0}, {{"resid_pdrop"}, 0}, NONE, {{"resid_pdrop"}, 0}, NONE},
    {LIST("modernbert"), /* what attention adds by attention's own */
     {{"embedding_dropout"}, 0},
     {{"attention_dropout"}, 0},
     {{"attention_dropout"}, 0},
     {{"mlp_dropout"}, 0},
     NONE,
     NONE},
    {LIST("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gemma3_text"),
     NONE,
     {{"attention_dropout"}, 0},
     NONE,
     NONE,
     NONE,
     NONE},
};

static const places *places_of(const char *architecture)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (const char *const *name = table[i].architecture; *name != NULL; name++)
            if (strcmp(*name, architecture) == 0) return &table[i];
    return NULL;
}

static gn_status read_place(const gn__config *c, const place *p, double *out, gn_error *err)
{
    *out = p->usual;
    for (size_t i = 0; i < 2 && p->key[i] != NULL; i++) {
        if (!json_is_number(json_object_get(c->root, p->key[i]))) continue;
        GN__TRY(gn__config_number(c, p->key[i], p->usual, out, err));
        if (*out >= 0 && *out < 1) return GN_OK;
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be from 0 to less than 1", c->path, p->key[i]);
    }
    return GN_OK;
}

gn_status gn__tune_dropout(const gn_model *m, double wish, gn__dropout *out, gn_error *err)
{
    const places *p = places_of(m->info.architecture);
    *out = (gn__dropout){.embedding = wish, .attention = wish, .out = wish, .mlp_out = wish, .adapter = wish};
    if (wish >= 0) { /* inside the MLP and behind the last norm where the architecture drops there */
        if (p != NULL && p->inner.key[0] != NULL) out->inner = wish;
        if (p != NULL && p->last.key[0] != NULL) out->last = wish;
        return GN_OK;
    }
    *out = (gn__dropout){.adapter = 0}; /* as PEFT's */
    if (p == NULL) return GN_OK;
    gn__settings settings = {0};
    gn__config config = {0};
    gn_status status = gn__settings_read(m->info.path, "", &settings, err);
    if (status == GN_OK)
        status = gn__config_read(settings.directory, "config.json", JSON_OBJECT, &config, err);
    if (status == GN_OK) status = read_place(&config, &p->embedding, &out->embedding, err);
    if (status == GN_OK) status = read_place(&config, &p->attention, &out->attention, err);
    if (status == GN_OK) status = read_place(&config, &p->out, &out->out, err);
    if (status == GN_OK) status = read_place(&config, &p->inner, &out->inner, err);
    if (status == GN_OK) status = read_place(&config, &p->mlp_out, &out->mlp_out, err);
    if (status == GN_OK) status = read_place(&config, &p->last, &out->last, err);
    gn__config_free(&config);
    gn__settings_free(&settings);
    return status;
}
