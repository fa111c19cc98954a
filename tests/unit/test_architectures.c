/* Every family against what transformers computed (tests/golden/make_architectures.py). */
#include "model/internal.h"
#include "test.h"

#include <limits.h>
#include <unistd.h>

static gn_context *context(unsigned threads)
{
    gn_context *ctx;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads}, &ctx, &err), err);
    return ctx;
}

static const char *golden(const char *model)
{
    char relative[256];
    snprintf(relative, sizeof relative, "tests/golden/architecture/%s", model);
    return test_path(relative);
}

/* What gn_model_info says about each; positions … pooling: a part of it. */
static const struct family {
    const char *folder, *type, *positions, *norms, *attention, *mlp, *poolings;
    size_t dim;
} families[] = {
    {"distilbert", "distilbert", "learned", "after", "both ways", "gelu, 24 wide", "max+mean", 10},
    {"roberta", "roberta", "from row 2 on", "after", "both ways", "gelu",
     "cls+max+mean+mean-sqrt+weighted-mean+last", 96},
    {"xlm_roberta", "xlm-roberta", "from row 2 on", "after", "both ways", "gelu", "mean", 16},
    {"albert", "albert", "learned", "after", "1 shared layers", "gelu (tanh)", "mean", 16},
    {"electra", "electra", "learned", "after", "both ways", "gelu", "mean", 16},
    {"mpnet", "mpnet", "32 buckets of distances up to 128", "after", "both ways", "gelu", "mean", 16},
    {"deberta_v2", "deberta-v2", "disentangled, content to position, position to content, 8 logarithmic",
     "after", "both ways", "gelu", "mean", 16},
    {"deberta_v2_own_keys", "deberta-v2", "learned, disentangled", "after", "both ways", "gelu", "mean", 16},
    {"deberta", "deberta", "distances up to 48", "after", "both ways", "gelu", "mean", 16},
    {"modernbert", "modernbert",
     "rotary (default, theta 160000), rotary in local layers (default, theta 10000)",
     "before, no bias, of embeddings, final", "2 of 4 layers see 4 before, 4 after",
     "gelu, gated, 24 wide, no bias", "mean", 16},
    {"nomic_bert", "nomic_bert", "rotary", "after", "both ways", "silu, gated", "mean", 16},
    {"gpt_neox", "gpt_neox", "rotary", "before", "beside the MLP", "gelu", "last", 16},
    {"gpt_neox_serial", "gpt_neox", "theta 10000), on 2 of a head's 4", "before", "causal", "gelu (tanh)",
     "last", 16},
    {"opt", "opt", "from row 2 on", "before", "causal", "relu", "last", 16},
    {"opt_post", "opt", "from row 2 on", "after", "causal", "relu", "last", 16},
    {"bloom", "bloom", "ALiBi", "before, of embeddings, final", "causal", "gelu (tanh)", "last", 24},
    {"phi", "phi", "theta 10000), on 2 of a head's 4", "before", "beside the MLP", "gelu (tanh)", "last", 16},
    {"phi3", "phi3", "rotary", "RMS norm before", "2 of 2 layers see 6 before", "silu, gated", "last", 16},
    {"llama", "llama", "rotary (llama3, theta 10000)", "RMS norm before", "2 of keys and values",
     "silu, gated", "last", 16},
    {"mistral", "mistral", "rotary", "RMS norm before", "2 of 2 layers see 6 before", "silu", "last", 16},
    {"qwen2", "qwen2", "rotary", "RMS norm before", "1 of 2 layers see 4 before", "silu", "last", 16},
    {"qwen3", "qwen3", "rotary", "of query and key", "causal", "silu", "last", 16},
    {"gemma2", "gemma2", "rotary", "RMS norm (1 + gamma) before and inside", "scores capped at 5",
     "gelu (tanh), gated", "last", 16},
    {"gemma3_text", "gemma3_text",
     "rotary (default, theta 1e+06), rotary in local layers (default, theta 10000)", "of query and key",
     "2 of 3 layers see 7 before", "gelu (tanh), gated", "last", 16},
    {"gemma3_both_ways", "gemma3_text", "rotary", "before and inside", "see 4 before, 4 after", "gelu",
     "mean", 12},
    {"t5", "t5", "8 buckets of distances up to 20", "RMS norm before", "3 heads of 6", "relu, 24 wide",
     "mean", 12},
    {"mt5", "mt5", "32 buckets of distances up to 128", "RMS norm before", "both ways", "gelu (tanh), gated",
     "mean", 16},
    {"deberta_v2_convolution", "deberta-v2", "disentangled", "after",
     "a convolution of 5 tokens beside layer 0", "gelu", "mean", 16},
    {"deberta_v2_xlarge", "deberta-v2", "disentangled", "after", "a convolution of 3 tokens beside layer 0",
     "gelu", "mean", 16},
    {"opt_narrow", "opt", "from row 2 on", "after", "causal", "projected from 16 to 10 at the end", "last",
     10},
    {"opt_wide", "opt", "from row 2 on", "before", "causal", "projected from 16 to 20 at the end", "last",
     20},
    {"phi_head_norms", "phi", "theta 10000), on 2 of a head's 4", "of query and key", "beside the MLP",
     "gelu", "last", 16},
    {"phi3_longrope", "phi3", "rotary (longrope, theta 10000), others for texts beyond 16 tokens",
     "RMS norm before", "causal", "silu, gated", "last", 24},
    {"albert_groups", "albert", "learned", "after", "4 shared layers", "gelu (tanh)", "mean", 12},
};
enum { FAMILIES = sizeof families / sizeof *families, TEXTS = 6 };

typedef struct expectation {
    gn__config texts;
    gn__weights arrays;
    gn__mapping file;
    const char *prompt;
    const char *text[TEXTS];
    uint32_t length[TEXTS];
} expectation;

static void expect(const char *model, expectation *e)
{
    gn_error err = {0};
    *e = (expectation){0};
    CHECK_OK(gn__config_read(golden(model), "texts.json", JSON_OBJECT, &e->texts, &err), err);
    const json_t *texts = json_object_get(e->texts.root, "texts");
    e->prompt = gn__config_string(&e->texts, "prompt");
    CHECK_INT(json_array_size(texts), TEXTS);
    for (size_t i = 0; i < TEXTS; i++) {
        e->text[i] = json_string_value(json_array_get(texts, i));
        e->length[i] = (uint32_t)strlen(e->text[i]);
    }
    char *path = gn__path_join(golden(model), "expected.safetensors");
    CHECK_OK(gn__map_file(path, &e->file, &err), err);
    CHECK_OK(gn__safetensors_parse(&e->arrays, 0, path, e->file.data, e->file.size, &err), err);
    free(path);
}

static void forget(expectation *e)
{
    gn__config_free(&e->texts);
    gn__weights_free(&e->arrays);
    gn__unmap_file(&e->file);
}

static gn_model *load(gn_context *ctx, const char *directory, gn_model_options options)
{
    gn_error err = {0};
    gn_model *m = NULL;
    CHECK_OK(gn_model_load(ctx, directory, &options, &m, &err), err);
    return m;
}

static void check_array(const char *folder, const expectation *e, const char *kind, size_t i,
                        const float *found, size_t n)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%zu", kind, i);
    const gn__tensor *t = gn__weights_find(&e->arrays, name);
    CHECK(t != NULL);
    CHECK_INT(n, t->elements);
    float *expected = gn__aligned(n, sizeof *expected);
    gn__tensor_read(t, 0, n, expected);
    for (size_t k = 0; k < n; k++)
        if (!(fabs((double)found[k] - (double)expected[k]) <= 1e-4))
            test_fail(__FILE__, __LINE__, "%s, %s, element %zu: %.9g, expected %.9g", folder, name, k,
                      (double)found[k], (double)expected[k]);
    free(expected);
}

/* One token, an empty text, texts within and beyond windows and buckets, one that is cut at the limit. */
TEST(hidden_states_agree_with_transformers)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    for (size_t k = 0; k < FAMILIES; k++) {
        const char *folder = families[k].folder;
        expectation e;
        expect(folder, &e);
        gn_model *m = load(ctx, golden(folder), (gn_model_options){.dtype = GN_DTYPE_F32, .prompt = ""});
        CHECK_INT(m->info.max_length, 36);
        for (size_t i = 0; i < TEXTS; i++) {
            gn_matrix h;
            CHECK_OK(gn_model_hidden(ctx, m, e.text[i], e.length[i], &h, &err), err);
            check_array(folder, &e, "hidden", i, h.data, h.rows * h.cols);
            float row[64];
            gn__pool(GN_POOLING_MEAN, false, h.data, h.rows, h.cols, row);
            check_array(folder, &e, "mean", i, row, h.cols);
            gn_matrix_free(&h);
        }
        gn_model_free(m);
        forget(&e);
    }
    gn_context_free(ctx);
}

TEST(embeddings_agree_with_sentence_transformers)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    size_t checked = 0;
    for (size_t k = 0; k < FAMILIES; k++) {
        const char *folder = families[k].folder;
        expectation e;
        expect(folder, &e);
        if (gn__weights_find(&e.arrays, "embedding.0") != NULL) {
            gn_model *m =
                load(ctx, golden(folder), (gn_model_options){.dtype = GN_DTYPE_F32, .prompt = e.prompt});
            gn_matrix x;
            CHECK_OK(gn_model_embed(ctx, m, e.text, e.length, TEXTS, &x, NULL, NULL, &err), err);
            CHECK_INT(x.cols, m->info.dim);
            for (size_t i = 0; i < TEXTS; i++)
                check_array(folder, &e, "embedding", i, x.data + i * x.cols, x.cols);
            gn_matrix_free(&x);
            gn_model_free(m);
            checked++;
        }
        forget(&e);
    }
    CHECK_INT(checked, 7);
    gn_context_free(ctx);
}

TEST(a_loaded_model_says_what_it_computes)
{
    gn_context *ctx = context(1);
    for (size_t k = 0; k < FAMILIES; k++) {
        const struct family *f = &families[k];
        gn_model *m = load(ctx, golden(f->folder), (gn_model_options){.dtype = GN_DTYPE_F32});
        const gn_model_info *i = gn_model_get_info(m);
        CHECK_STR(i->architecture, f->type);
        CHECK_HAS(i->positions, f->positions);
        CHECK_HAS(i->norms, f->norms);
        CHECK_HAS(i->attention, f->attention);
        CHECK_HAS(i->mlp, f->mlp);
        CHECK_STR(i->poolings, f->poolings);
        CHECK_INT(i->dim, f->dim);
        CHECK_HAS(i->pipeline, "BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing");
        gn_model_free(m);
    }
    gn_context_free(ctx);
}

/* Every family in company of other texts, other threads, backwards, alone; in both arithmetics. */
TEST(a_text_has_the_same_bits_in_any_company)
{
    enum { MANY = 90 };
    static const gn_dtype dtypes[] = {GN_DTYPE_F32, GN_DTYPE_BF16, GN_DTYPE_INT8};
    static const char *const words[] = {"pump ", "the ", "valve ", "oil", ". ", "ran ", "dry ", "leak"};
    char text[MANY][200];
    const char *forth[MANY], *back[MANY];
    uint32_t forth_length[MANY], back_length[MANY];
    gn_error err = {0};
    gn__rng r = gn__rng_make(3, gn__purpose("test/architectures"), 0);
    for (size_t i = 0; i < MANY; i++) {
        text[i][0] = '\0';
        for (uint32_t n = gn__rng_below(&r, i % 5 == 0 ? 30 : 8); n > 0; n--)
            strcat(text[i], words[gn__rng_below(&r, 8)]);
        forth[i] = back[MANY - 1 - i] = text[i];
        forth_length[i] = back_length[MANY - 1 - i] = (uint32_t)strlen(text[i]);
    }
    gn_context *one = context(1), *three = context(3);
    for (size_t k = 0; k < FAMILIES; k++)
        for (size_t d = 0; d < 3; d++) {
            gn_model *m = load(one, golden(families[k].folder), (gn_model_options){.dtype = dtypes[d]});
            gn_matrix x, y, z;
            CHECK_OK(gn_model_embed(one, m, forth, forth_length, MANY, &x, NULL, NULL, &err), err);
            CHECK_OK(gn_model_embed(three, m, back, back_length, MANY - 7, &y, NULL, NULL, &err), err);
            size_t bytes = x.cols * sizeof *x.data;
            for (size_t i = 0; i < MANY - 7; i++)
                CHECK(memcmp(y.data + i * y.cols, x.data + (MANY - 1 - i) * x.cols, bytes) == 0);
            for (size_t i = 0; i < MANY; i += 31) {
                CHECK_OK(gn_model_embed(three, m, &forth[i], &forth_length[i], 1, &z, NULL, NULL, &err), err);
                CHECK(memcmp(z.data, x.data + i * x.cols, bytes) == 0);
                gn_matrix_free(&z);
            }
            gn_matrix_free(&x);
            gn_matrix_free(&y);
            gn_model_free(m);
        }
    gn_context_free(one);
    gn_context_free(three);
}

/* Both spellings of rotary settings, all kinds of scaling. */
TEST(rotary_frequencies_agree_with_transformers)
{
    gn_error err = {0};
    gn__config all;
    static char folder[512];
    snprintf(folder, sizeof folder, "%s", test_path("tests/golden/architecture"));
    CHECK_OK(gn__config_read(folder, "rotary.json", JSON_ARRAY, &all, &err), err);
    size_t cases = json_array_size(all.root);
    CHECK_INT(cases, 23);
    for (size_t i = 0; i < cases; i++) {
        const json_t *one = json_array_get(all.root, i), *inverse = json_object_get(one, "inverse");
        gn__config c = {json_object_get(one, "config"), all.path};
        gn__recipe r;
        const gn__family *family;
        CHECK_OK(gn__recipe_read(&c, &r, &family, &err), err);
        for (size_t kind = 0; kind < json_array_size(inverse); kind++) {
            const json_t *list = json_array_get(inverse, kind);
            CHECK_INT(r.rotary[kind].pairs, json_array_size(list));
            for (size_t k = 0; k < r.rotary[kind].pairs; k++) {
                double expected = json_real_value(json_array_get(list, k));
                if (!(fabs((double)r.rotary[kind].inverse[k] - expected) <= 3e-7 * expected))
                    test_fail(__FILE__, __LINE__, "case %zu, kind %zu, pair %zu: %.9g, expected %.9g", i,
                              kind, k, (double)r.rotary[kind].inverse[k], expected);
            }
            CHECK_NEAR(r.rotary[kind].scale,
                       json_number_value(json_array_get(json_object_get(one, "scale"), kind)), 1e-6);
        }
        const json_t *longer = json_object_get(one, "longer");
        CHECK_INT(r.rotary[0].long_from, json_integer_value(json_object_get(one, "long_from")));
        for (size_t k = 0; k < json_array_size(longer); k++) {
            double expected = json_real_value(json_array_get(longer, k));
            CHECK_NEAR(r.rotary[0].longer[k], expected, 3e-7 * expected);
        }
    }
    gn__config_free(&all);
}

/* config.json of a golden folder with one key set. */
static gn_status read_with(const char *folder, const char *key, const char *value, gn__recipe *r,
                           gn_error *err)
{
    gn__config c;
    const gn__family *family;
    CHECK_OK(gn__config_read(golden(folder), "config.json", JSON_OBJECT, &c, err), *err);
    json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
    CHECK(v != NULL);
    json_object_set_new(c.root, key, v);
    gn_status status = gn__recipe_read(&c, r, &family, err);
    gn__config_free(&c);
    return status;
}

TEST(what_a_family_cannot_do_is_refused_by_name)
{
    static const struct {
        const char *folder, *key, *value, *message;
        gn_status status;
    } cases[] = {
        {"roberta", "position_embedding_type", "\"relative_key\"", "position kind \"relative_key\"",
         GN_UNSUPPORTED},
        {"roberta", "add_cross_attention", "true", "\"add_cross_attention\"", GN_UNSUPPORTED},
        {"roberta", "pad_token_id", "-1", "\"pad_token_id\" should be a whole number from 0", GN_FORMAT},
        {"roberta", "max_position_embeddings", "2", "2 positions leave none", GN_FORMAT},
        {"albert", "inner_group_num", "600", "\"inner_group_num\" should be a whole number from 1 to 333",
         GN_FORMAT},
        {"albert", "num_hidden_groups", "2", "3 layers cannot be shared evenly by 2", GN_UNSUPPORTED},
        {"mpnet", "relative_attention_num_buckets", "16", "\"relative_attention_num_buckets\"",
         GN_UNSUPPORTED},
        {"deberta_v2", "conv_kernel_size", "4", "\"conv_kernel_size\"", GN_UNSUPPORTED},
        {"deberta_v2", "conv_kernel_size", "3", "the activation \"tanh\" (\"conv_act\")", GN_UNSUPPORTED},
        {"deberta_v2_convolution", "conv_groups", "3", "the width 16 cannot be divided into 3 groups",
         GN_FORMAT},
        {"deberta_v2", "attention_head_size", "8", "\"attention_head_size\"", GN_UNSUPPORTED},
        {"deberta_v2", "max_relative_positions", "99999999", "\"max_relative_positions\"", GN_FORMAT},
        {"deberta", "talking_head", "true", "\"talking_head\"", GN_UNSUPPORTED},
        {"deberta", "pos_att_type", "\"c2p|p2p\"", "\"pos_att_type: p2p\"", GN_UNSUPPORTED},
        {"modernbert", "layer_types", "[\"full_attention\"]", "a list of 4 names", GN_FORMAT},
        {"modernbert", "layer_types", "[\"linear\", 1, 2, 3]", "layer type \"linear\"", GN_UNSUPPORTED},
        {"modernbert", "local_attention", "1", "\"local_attention\"", GN_UNSUPPORTED},
        {"nomic_bert", "n_embd", "16", "does not say \"n_layer\"", GN_FORMAT},
        {"gpt_neox", "rope_parameters", "{\"rope_type\": \"proportional\"}", "rope_type \"proportional\"",
         GN_UNSUPPORTED},
        {"phi3", "rope_parameters", "{\"rope_type\": \"linear\", \"factor\": 2}", "rope_type \"linear\"",
         GN_UNSUPPORTED},
        {"phi3", "rope_parameters", "{\"rope_type\": \"longrope\", \"short_factor\": [1]}",
         "\"short_factor\" should be a list of 2 numbers", GN_FORMAT},
        {"phi3", "rope_parameters", "{\"rope_type\": \"longrope\", \"short_factor\": [1, 0]}",
         "\"short_factor\" should be above 0", GN_FORMAT},
        {"gpt_neox", "rope_parameters", "{\"partial_rotary_factor\": 0.1}", "turn 0 of a head's 8",
         GN_UNSUPPORTED},
        {"gpt_neox", "rope_parameters", "{\"rope_theta\": -1}", "\"rope_theta\" should be above 0",
         GN_FORMAT},
        {"llama", "rope_parameters", "{\"rope_type\": \"linear\"}", "does not say \"factor\"", GN_FORMAT},
        {"llama", "rope_parameters", "{\"rope_type\": \"linear\", \"factor\": 0}",
         "\"factor\" should be above 0", GN_FORMAT},
        {"llama", "num_key_value_heads", "3", "4 heads cannot share 3", GN_FORMAT},
        {"llama", "head_dim", "60000", "rotary positions that turn 60000", GN_UNSUPPORTED},
        {"opt", "layer_norm_elementwise_affine", "false", "layer_norm_elementwise_affine: false",
         GN_UNSUPPORTED},
        {"bloom", "apply_residual_connection_post_layernorm", "true", "apply_residual", GN_UNSUPPORTED},
        {"bloom", "n_head", "5", "24 cannot be divided into 5 heads", GN_FORMAT},
        {"phi3", "sliding_window", "1", "\"sliding_window\"", GN_UNSUPPORTED},
        {"mistral", "sliding_window", "1", "\"sliding_window\"", GN_UNSUPPORTED},
        {"gemma2", "use_bidirectional_attention", "true", "\"use_bidirectional_attention\"", GN_UNSUPPORTED},
        {"gemma2", "query_pre_attn_scalar", "0", "\"query_pre_attn_scalar\" should be above 0", GN_FORMAT},
        {"gemma2", "attn_logit_softcapping", "-1", "\"attn_logit_softcapping\" should be above 0", GN_FORMAT},
        {"gemma3_text", "model_type", "\"gemma3\"", "does not say \"text_config\"", GN_FORMAT},
        {"t5", "feed_forward_proj", "\"gated-mish\"", "activation \"mish\"", GN_UNSUPPORTED},
        {"t5", "relative_attention_num_buckets", "3", "3 buckets cannot hold", GN_FORMAT},
        {"t5", "relative_attention_max_distance", "2", "distances up to 2", GN_FORMAT},
        {"deberta_v2", "max_relative_positions", "5", "8 buckets cannot hold distances up to 5", GN_FORMAT},
        {"t5", "d_kv", "60000", "3 heads of 60000 numbers are too many", GN_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_error err = {0};
        gn__recipe r;
        gn_status found = read_with(cases[i].folder, cases[i].key, cases[i].value, &r, &err);
        if (found != cases[i].status)
            test_fail(__FILE__, __LINE__, "case %zu: %s: %s", i, gn_status_text(found), err.message);
        CHECK_HAS(err.message, cases[i].message);
    }
}

static void link_file(const char *golden_folder, const char *folder, const char *name)
{
    char from[PATH_MAX], *whole = gn__path_join(golden_folder, name), *to = gn__path_join(folder, name);
    CHECK(realpath(whole, from) != NULL);
    CHECK(symlink(from, to) == 0);
    free(whole), free(to);
}

/* model.safetensors with the first `from` in its header replaced. */
static void rename_tensor(const char *golden_folder, const char *folder, const char *from, const char *to)
{
    gn_error err = {0};
    char *source = gn__path_join(golden_folder, "model.safetensors"), *data;
    char *target = gn__path_join(folder, "model.safetensors");
    size_t length, header = 0;
    CHECK_OK(gn__read_file(source, 1 << 20, &data, &length, &err), err);
    for (int i = 0; i < 8; i++) header |= (size_t)(unsigned char)data[i] << 8 * i;
    char *at = memmem(data + 8, header, from, strlen(from));
    CHECK(at != NULL);
    gn__buf b = {0};
    size_t grown = header + strlen(to) - strlen(from), before = (size_t)(at - data) - 8;
    for (int i = 0; i < 8; i++) gn__buf_putc(&b, (char)(grown >> 8 * i & 255));
    gn__buf_append(&b, data + 8, before);
    gn__buf_puts(&b, to);
    at += strlen(from);
    gn__buf_append(&b, at, length - (size_t)(at - data));
    CHECK_OK(gn__write_file(target, b.data, b.length, &err), err);
    gn__buf_free(&b);
    free(data), free(source), free(target);
}

/* The same weights under another config, and with a tensor renamed (from NULL: none), give the same bits. */
static void same_under(const char *name, json_t *config, const char *from, const char *to)
{
    static unsigned number;
    gn_context *ctx = context(1);
    gn_error err = {0};
    char folder[PATH_MAX];
    expectation e;
    gn_matrix x[2];
    snprintf(folder, sizeof folder, "%s/same%u", test_folder(), number++);
    CHECK_OK(gn__make_directory(folder, &err), err);
    if (from != NULL)
        rename_tensor(golden(name), folder, from, to);
    else
        link_file(golden(name), folder, "model.safetensors");
    link_file(golden(name), folder, "tokenizer.json");
    link_file(golden(name), folder, "tokenizer_config.json");
    char *path = gn__path_join(folder, "config.json");
    CHECK(json_dump_file(config, path, 0) == 0);
    free(path);
    json_decref(config);
    expect(name, &e);
    for (int i = 0; i < 2; i++) {
        gn_model *m =
            load(ctx, i ? folder : golden(name),
                 (gn_model_options){.dtype = GN_DTYPE_F32, .pooling = GN_POOLING_MAX, .prompt = ""});
        CHECK_OK(gn_model_embed(ctx, m, e.text, e.length, TEXTS, &x[i], NULL, NULL, &err), err);
        gn_model_free(m);
    }
    CHECK_INT(x[1].cols, x[0].cols);
    CHECK(memcmp(x[0].data, x[1].data, TEXTS * x[0].cols * sizeof *x[0].data) == 0);
    gn_matrix_free(&x[0]), gn_matrix_free(&x[1]);
    forget(&e);
    gn_context_free(ctx);
}

static json_t *config_of(const char *name)
{
    gn_error err = {0};
    gn__config c;
    CHECK_OK(gn__config_read(golden(name), "config.json", JSON_OBJECT, &c, &err), err);
    free(c.path);
    return c.root;
}

TEST(the_same_model_under_other_names_and_keys)
{
    json_t *roberta = config_of("roberta"), *inside = config_of("gemma3_text"), *gemma;
    json_object_set_new(roberta, "model_type", json_string("camembert"));
    same_under("roberta", roberta, NULL, NULL);
    gemma = json_pack("{s:s,s:o}", "model_type", "gemma3", "text_config", inside);
    same_under("gemma3_text", gemma, NULL, NULL);
    same_under("mt5", config_of("mt5"), "shared.weight", "encoder.embed_tokens.weight");
    same_under("nomic_bert",
               json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:s,s:i}", "model_type", "nomic_bert", "n_embd",
                         16, "n_layer", 2, "n_head", 4, "n_inner", 24, "vocab_size", 96, "n_positions", 48,
                         "layer_norm_epsilon", 1e-12, "activation_function", "swiglu", "rotary_emb_base",
                         1000),
               NULL, NULL);
}

/* A missing tensor names itself; one too many is told. */
TEST(tensors_missing_and_unused)
{
    gn_context *ctx = context(1);
    gn_model *m = load(ctx, golden("roberta"), (gn_model_options){0});
    CHECK_INT(m->info.unused_tensors, 2);
    CHECK_STR(m->info.unused, "pooler.dense.bias, pooler.dense.weight");
    gn_model_free(m);
    m = load(ctx, golden("gemma2"), (gn_model_options){0});
    CHECK_INT(m->info.unused_tensors, 0);
    CHECK_STR(m->info.unused, "");
    gn_model_free(m);
    gn_context_free(ctx);
}
