/* What gn_tuned_save writes: loaded again here; transformers and peft read it in
 * tests/conformance/tuned.py. */
#include "fixture_tuned.h"
#include "model/config.h"
#include "model/trained_names.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static void check_config(const char *directory, const char *architecture)
{
    gn_error err = {0};
    gn__config c;
    CHECK_OK(gn__config_read(directory, "config.json", JSON_OBJECT, &c, &err), err);
    CHECK_STR(json_string_value(json_array_get(json_object_get(c.root, "architectures"), 0)), architecture);
    CHECK_STR(json_string_value(json_object_get(json_object_get(c.root, "id2label"), "1")),
              fixture_classes[1]);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(c.root, "label2id"), fixture_classes[0])),
              0);
    gn__config_free(&c);
}

TEST(a_saved_model_loads_again_and_answers_the_same)
{
    static const struct {
        const char *model, *architecture;
        gn_tune_what what;
    } cases[] = {{"model/bert", "BertModel", GN_TUNE_FULL},
                 {"model/bert_f16", "BertModel", GN_TUNE_FULL},
                 {"model/bert_f16", "BertModel", GN_TUNE_LAST_K},
                 {"architecture/distilbert", "DistilBertModel", GN_TUNE_FULL}, /* with a dense layer */
                 {"model/gpt2", "GPT2ForSequenceClassification", GN_TUNE_FULL},
                 {"model/gpt2_bf16_sharded", "GPT2ForSequenceClassification", GN_TUNE_FULL},
                 {"model/gpt2", "GPT2ForSequenceClassification", GN_TUNE_HEAD},
                 {"architecture/deberta_v2_convolution", "DebertaV2Model", GN_TUNE_FULL},
                 {"architecture/deberta_v2_xlarge", "DebertaV2Model", GN_TUNE_LAST_K},
                 {"architecture/opt_narrow", "OPTForSequenceClassification", GN_TUNE_FULL},
                 {"architecture/opt_wide", "OPTForSequenceClassification", GN_TUNE_LAST_K},
                 {"architecture/phi3_longrope", "Phi3ForSequenceClassification", GN_TUNE_FULL},
                 {"architecture/albert_groups", "AlbertModel", GN_TUNE_FULL}, /* modules behind the pooling */
                 {"architecture/albert_groups", "AlbertModel", GN_TUNE_LAST_K}};
    gn_context *ctx = fixture_context();
    gn_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char relative[200], name[32];
        snprintf(relative, sizeof relative, "tests/golden/%s", cases[k].model);
        snprintf(name, sizeof name, "saved%zu", k);
        gn_model *m = fixture_load(ctx, test_path(relative));
        gn_tuned *t = fixture_train(ctx, m, cases[k].what, 0);
        char *path = fixture_path(name);
        CHECK_OK(gn_tuned_save(ctx, t, path, fixture_classes, &err), err);
        gn_model *saved = fixture_load(ctx, path);
        double before;
        CHECK(fixture_difference(ctx, t, saved, &before) <= 1e-5);
        CHECK(cases[k].what == GN_TUNE_HEAD ? before == 0 : before > 1e-4);
        CHECK_STR(gn_model_get_info(saved)->poolings, m->info.poolings);
        fixture_check_head(t, path);
        fixture_check_change(t, path);
        check_config(path, cases[k].architecture);
        CHECK_INT(gn_tuned_save(ctx, t, path, fixture_classes, &err),
                  GN_IO); /* once more into the same place */
        CHECK_HAS(err.message, "there already");
        gn_model_free(saved);
        gn_tuned_free(t);
        gn_model_free(m);
        free(path);
    }
    gn_context_free(ctx);
}

TEST(nothing_half_written_is_left)
{
    gn_context *ctx = fixture_context();
    gn_error err = {0};
    gn_model *m = fixture_load(ctx, test_path("tests/golden/model/bert"));
    gn_tuned *t = fixture_train(ctx, m, GN_TUNE_HEAD, 0);
    CHECK_INT(gn_tuned_save(ctx, t, "/proc/nowhere/saved", fixture_classes, &err), GN_IO);
    char *path = fixture_path("empty"); /* an empty folder may stand there */
    CHECK(mkdir(path, 0777) == 0);
    CHECK_OK(gn_tuned_save(ctx, t, path, fixture_classes, &err), err);
    char *aside = fixture_path("");
    char command[400];
    snprintf(command, sizeof command, "ls -d %s/*.tmp-* > /dev/null 2>&1", test_folder());
    CHECK(system(command) != 0);
    free(path), free(aside);
    gn_tuned_free(t);
    gn_model_free(m);
    gn_context_free(ctx);
}

/* Layers in groups have two numbers; a convolution goes with the layer that it is added to. */
TEST(tensors_have_their_place)
{
    static const struct {
        const char *model, *tensor;
        size_t place;
    } cases[] = {{"albert_groups", "embeddings.LayerNorm.weight", 0},
                 {"albert_groups", "encoder.embedding_hidden_mapping_in.weight", 0},
                 {"albert_groups", "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight", 1},
                 {"albert_groups", "encoder.albert_layer_groups.0.albert_layers.1.ffn.weight", 2},
                 {"albert_groups", "encoder.albert_layer_groups.1.albert_layers.0.ffn.bias", 3},
                 {"albert_groups", "encoder.albert_layer_groups.1.albert_layers.1.ffn.bias", 4},
                 {"albert_groups", "pooler.weight", 5},
                 {"deberta_v2_convolution", "encoder.layer.1.output.dense.weight", 2},
                 {"deberta_v2_convolution", "encoder.conv.conv.weight", 1},
                 {"deberta_v2_convolution", "encoder.conv.LayerNorm.bias", 1},
                 {"deberta_v2_convolution", "encoder.LayerNorm.bias", 3},
                 {"opt_narrow", "decoder.project_in.weight", 0},
                 {"opt_narrow", "decoder.project_out.weight", 3}};
    gn_context *ctx = fixture_context();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char relative[200];
        snprintf(relative, sizeof relative, "tests/golden/architecture/%s", cases[k].model);
        gn_model *m = fixture_load(ctx, test_path(relative));
        CHECK(gn__weights_find(&m->weights, cases[k].tensor) != NULL);
        CHECK_INT(gn__tensor_place(m, cases[k].tensor), cases[k].place);
        gn_model_free(m);
    }
    gn_context_free(ctx);
}
