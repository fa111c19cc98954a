/* Dropout as config.json has it. */
#include "model/config.h"
#include "model/settings.h"
#include "model/tuned.h"

/* What transformers' configuration classes say where the file is silent. */
static double usual(const char *architecture)
{
    static const char *const tenth[] = {"bert",       "electra", "roberta", "xlm-roberta", "camembert",
                                        "distilbert", "mpnet",   "deberta", "deberta-v2",  "gpt2",
                                        "opt",        "t5",      "mt5"};
    for (size_t i = 0; i < sizeof tenth / sizeof *tenth; i++)
        if (strcmp(architecture, tenth[i]) == 0) return 0.1;
    return 0;
}

/* The first of the keys that the config has. */
static gn_status read_first(const gn__config *c, const char *const *key, double otherwise, double *out,
                            gn_error *err)
{
    *out = otherwise;
    for (; *key != NULL; key++) {
        if (!json_is_number(json_object_get(c->root, *key))) continue;
        GN__TRY(gn__config_number(c, *key, otherwise, out, err));
        if (!(*out >= 0 && *out < 1))
            return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be from 0 to less than 1", c->path, *key);
        return GN_OK;
    }
    return GN_OK;
}

gn_status gn__tune_dropout(const gn_model *m, double wish, gn__dropout *out, gn_error *err)
{
    static const char *const hidden[] = {
        "hidden_dropout_prob", "hidden_dropout", "resid_pdrop", "resid_dropout",
        "dropout_rate",        "mlp_dropout",    "dropout",     NULL};
    static const char *const attention[] = {"attention_probs_dropout_prob", "attention_dropout", "attn_pdrop",
                                            "dropout_rate", NULL};
    *out = (gn__dropout){.hidden = wish, .attention = wish, .adapter = wish};
    if (wish >= 0) return GN_OK;
    gn__settings settings = {0};
    gn__config config = {0};
    double otherwise = usual(m->info.architecture);
    gn_status status = gn__settings_read(m->info.path, "", &settings, err);
    if (status == GN_OK)
        status = gn__config_read(settings.directory, "config.json", JSON_OBJECT, &config, err);
    if (status == GN_OK) status = read_first(&config, hidden, otherwise, &out->hidden, err);
    if (status == GN_OK) status = read_first(&config, attention, otherwise, &out->attention, err);
    out->adapter = 0; /* as PEFT's */
    gn__config_free(&config);
    gn__settings_free(&settings);
    return status;
}
