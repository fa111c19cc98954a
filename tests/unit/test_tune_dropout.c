/* Dropout as config.json has it: what is not there is what transformers' configuration classes say. */
#include "model/tuned.h"
#include "test.h"

#include <stdio.h>

/* hidden: of what attention and MLP add. */
static void check(const char *architecture, const char *config, double embedding, double hidden,
                  double attention)
{
    gn_error err = {0};
    gn__dropout d;
    (void)test_file("config.json", config, strlen(config));
    gn_model m = {.info = {.path = test_folder(), .architecture = architecture}};
    CHECK_OK(gn__tune_dropout(&m, -1, &d, &err), err);
    bool modern = strcmp(architecture, "modernbert") == 0, t5 = strstr(architecture, "t5") != NULL;
    if (d.embedding != embedding || d.out != (modern ? attention : hidden) ||
        d.mlp_out != (modern ? 0 : hidden) || d.inner != (modern || t5 ? hidden : 0) ||
        d.last != (t5 ? hidden : 0) || d.attention != attention || d.adapter != 0)
        test_fail(__FILE__, __LINE__, "%s, %s: %g, %g, %g, %g, %g, %g; expected %g, %g, %g", architecture,
                  config, d.embedding, d.out, d.inner, d.mlp_out, d.last, d.attention, embedding, hidden,
                  attention);
}

/* transformers 5.24.0: AutoConfig.for_model(…), and where its modeling code drops. */
TEST(dropout_of_silent_configs)
{
    static const struct {
        const char *architecture;
        double embedding, hidden, attention;
    } cases[] = {{"bert", 0.1, 0.1, 0.1},
                 {"distilbert", 0.1, 0.1, 0.1},
                 {"roberta", 0.1, 0.1, 0.1},
                 {"xlm-roberta", 0.1, 0.1, 0.1},
                 {"camembert", 0.1, 0.1, 0.1},
                 {"albert", 0, 0, 0},
                 {"electra", 0.1, 0.1, 0.1},
                 {"mpnet", 0.1, 0.1, 0.1},
                 {"deberta-v2", 0.1, 0.1, 0.1},
                 {"deberta", 0.1, 0.1, 0.1},
                 {"modernbert", 0, 0, 0},
                 {"nomic_bert", 0, 0, 0},
                 {"gpt2", 0.1, 0.1, 0.1},
                 {"gpt_neox", 0, 0, 0},
                 {"opt", 0, 0.1, 0},
                 {"bloom", 0, 0, 0},
                 {"phi", 0, 0, 0},
                 {"phi3", 0, 0, 0},
                 {"llama", 0, 0, 0},
                 {"mistral", 0, 0, 0},
                 {"qwen2", 0, 0, 0},
                 {"qwen3", 0, 0, 0},
                 {"gemma2", 0, 0, 0},
                 {"gemma3", 0, 0, 0},
                 {"gemma3_text", 0, 0, 0},
                 {"t5", 0.1, 0.1, 0.1},
                 {"mt5", 0.1, 0.1, 0.1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check(cases[k].architecture, "{}", cases[k].embedding, cases[k].hidden, cases[k].attention);
}

TEST(dropout_that_configs_name)
{
    check("bert", "{\"hidden_dropout_prob\": 0.25, \"attention_probs_dropout_prob\": 0}", 0.25, 0.25, 0);
    check("distilbert", "{\"dropout\": 0.2, \"attention_dropout\": 0.3}", 0.2, 0.2, 0.3);
    check("gpt2", "{\"embd_pdrop\": 0, \"resid_pdrop\": 0.2, \"attn_pdrop\": 0.3}", 0, 0.2, 0.3);
    check("opt", "{\"dropout\": 0.2, \"attention_dropout\": 0.3}", 0, 0.2, 0.3);
    check("bloom", "{\"hidden_dropout\": 0.2, \"attention_dropout\": 0.3}", 0, 0.2, 0.3);
    check("gpt_neox", "{\"hidden_dropout\": 0.2, \"attention_dropout\": 0.3}", 0.2, 0.2, 0.3);
    check("phi", "{\"embd_pdrop\": 0.1, \"resid_pdrop\": 0.2, \"attention_dropout\": 0.3}", 0.1, 0.2, 0.3);
    check("t5", "{\"dropout_rate\": 0.2}", 0.2, 0.2, 0.2);
    check("modernbert", "{\"embedding_dropout\": 0.1, \"mlp_dropout\": 0.2, \"attention_dropout\": 0.3}", 0.1,
          0.2, 0.3);
    check("nomic_bert", "{\"embd_pdrop\": 0.1, \"resid_pdrop\": 0.2, \"attn_pdrop\": 0.3}", 0.1, 0.2, 0.3);
    check("llama", "{\"attention_dropout\": 0.3, \"dropout\": 0.2}", 0, 0, 0.3);
}

TEST(dropout_that_is_asked_for_or_wrong)
{
    gn_error err = {0};
    gn__dropout d;
    const char wrong[] = "{\"hidden_dropout_prob\": 1.5}";
    (void)test_file("config.json", wrong, sizeof wrong - 1);
    gn_model m = {.info = {.path = test_folder(), .architecture = "bert"}};
    CHECK_OK(gn__tune_dropout(&m, 0, &d, &err), err);
    CHECK(d.embedding == 0 && d.out == 0 && d.mlp_out == 0 && d.attention == 0 && d.adapter == 0);
    CHECK_OK(gn__tune_dropout(&m, 0.2, &d, &err), err);
    CHECK(d.embedding == 0.2 && d.out == 0.2 && d.mlp_out == 0.2 && d.attention == 0.2 && d.adapter == 0.2);
    CHECK(d.inner == 0 && d.last == 0);
    m.info.architecture = "t5";
    CHECK_OK(gn__tune_dropout(&m, 0.2, &d, &err), err);
    CHECK(d.inner == 0.2 && d.last == 0.2);
    m.info.architecture = "bert";
    CHECK_INT(gn__tune_dropout(&m, -1, &d, &err), GN_FORMAT);
    CHECK_HAS(err.message, "hidden_dropout_prob");
}
