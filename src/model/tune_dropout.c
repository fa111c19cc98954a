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
/* What attention adds and what the MLP adds are dropped alike. */
#define ADDED(...) .out = __VA_ARGS__, .mlp_out = __VA_ARGS__
#define BERT(usual)                                                                                        \
    .embedding = {{"hidden_dropout_prob"}, usual}, .attention = {{"attention_probs_dropout_prob"}, usual}, \
    ADDED({{"hidden_dropout_prob"}, usual})
static const places table[] = {
    {LIST("bert", "electra", "roberta", "xlm-roberta", "camembert", "mpnet", "deberta", "deberta-v2"),
     BERT(0.1)},
    {LIST("albert"), BERT(0)},
    {LIST("nomic_bert"), /* transformers' keys, and the authors' */
     .embedding = {{"hidden_dropout_prob", "embd_pdrop"}, 0},
     .attention = {{"attention_probs_dropout_prob", "attn_pdrop"}, 0},
     ADDED({{"hidden_dropout_prob", "resid_pdrop"}, 0})},
    {LIST("distilbert"), .embedding = {{"dropout"}, 0.1}, .attention = {{"attention_dropout"}, 0.1},
     ADDED({{"dropout"}, 0.1})},
    {LIST("t5", "mt5"), .embedding = {{"dropout_rate"}, 0.1}, .attention = {{"dropout_rate"}, 0.1},
     ADDED({{"dropout_rate"}, 0.1}), .inner = {{"dropout_rate"}, 0.1}, .last = {{"dropout_rate"}, 0.1}},
    {LIST("gpt2"), .embedding = {{"embd_pdrop"}, 0.1}, .attention = {{"attn_pdrop"}, 0.1},
     ADDED({{"resid_pdrop"}, 0.1})},
    {LIST("gpt_neox"), .embedding = {{"hidden_dropout"}, 0}, .attention = {{"attention_dropout"}, 0},
     ADDED({{"hidden_dropout"}, 0})},
    {LIST("opt"), .attention = {{"attention_dropout"}, 0}, ADDED({{"dropout"}, 0.1})},
    {LIST("bloom"), .attention = {{"attention_dropout"}, 0}, ADDED({{"hidden_dropout"}, 0})},
    {LIST("phi"), .embedding = {{"embd_pdrop"}, 0}, .attention = {{"attention_dropout"}, 0},
     ADDED({{"resid_pdrop"}, 0})},
    {LIST("phi3"), .attention = {{"attention_dropout"}, 0}, ADDED({{"resid_pdrop"}, 0})},
    {LIST("modernbert"), /* what attention adds by attention's own */
     .embedding = {{"embedding_dropout"}, 0}, .attention = {{"attention_dropout"}, 0},
     .out = {{"attention_dropout"}, 0}, .inner = {{"mlp_dropout"}, 0}},
    {LIST("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gemma3_text"),
     .attention = {{"attention_dropout"}, 0}},
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
    const struct {
        const place *from;
        double *to;
    } read[] = {{&p->embedding, &out->embedding}, {&p->attention, &out->attention}, {&p->out, &out->out},
                {&p->inner, &out->inner},         {&p->mlp_out, &out->mlp_out},     {&p->last, &out->last}};
    for (size_t i = 0; i < sizeof read / sizeof *read && status == GN_OK; i++)
        status = read_place(&config, read[i].from, read[i].to, err);
    gn__config_free(&config);
    gn__settings_free(&settings);
    return status;
}
