/* Damaged and foreign model folders: each is refused with a message that names what is wrong. */
#include "model/internal.h"
#include "model/settings.h"
#include "test.h"

static gn_context *ctx;
static char folder[512];

/* A fresh folder under the test's own; files are then put into it. */
static void begin(void)
{
    static unsigned number;
    gn_error err = {0};
    snprintf(folder, sizeof folder, "%s/model%u", test_folder(), number++);
    CHECK_OK(gn__make_directory(folder, &err), err);
    if (ctx == NULL) CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2}, &ctx, &err), err);
}

static void put(const char *name, const void *data, size_t length)
{
    gn_error err = {0};
    char *path = gn__path_join(folder, name);
    CHECK_OK(gn__write_file(path, data, length, &err), err);
    free(path);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

/* A golden file's bytes; the caller frees. */
static char *golden_file(const char *model, const char *name, size_t *length)
{
    char relative[256], *data;
    gn_error err = {0};
    snprintf(relative, sizeof relative, "tests/golden/model/%s/%s", model, name);
    CHECK_OK(gn__read_file(test_path(relative), 1 << 24, &data, length, &err), err);
    return data;
}

static void copy(const char *model, const char *name)
{
    size_t length;
    char *data = golden_file(model, name, &length);
    put(name, data, length);
    free(data);
}

/* The golden BERT without its weights. */
static void begin_bert(void)
{
    begin();
    copy("bert", "config.json");
    copy("bert", "tokenizer.json");
    copy("bert", "tokenizer_config.json");
}

/* Copies a text file with the first `from` in it replaced. */
static void copy_with(const char *model, const char *name, const char *from, const char *to)
{
    size_t length;
    char *data = golden_file(model, name, &length), *at = strstr(data, from);
    gn__buf b = {0};
    CHECK(at != NULL);
    gn__buf_append(&b, data, (size_t)(at - data));
    gn__buf_puts(&b, to);
    gn__buf_puts(&b, at + strlen(from));
    put(name, b.data, b.length);
    gn__buf_free(&b);
    free(data);
}

/* Loading the folder fails so; returns the message. */
static const char *refused(gn_status status)
{
    static gn_error err;
    gn_model *m;
    err = (gn_error){0};
    gn_status found = gn_model_load(ctx, folder, NULL, &m, &err);
    if (found != status)
        test_fail(__FILE__, __LINE__, "status %s, expected %s: %s", gn_status_text(found),
                  gn_status_text(status), err.message);
    gn_error ja = {.lang = GN_LANG_JA};
    CHECK_INT(gn_model_load(ctx, folder, NULL, &m, &ja), status);
    CHECK(strcmp(ja.message, err.message) != 0);
    return err.message;
}

/* Writes a safetensors file with this header and so many zero bytes of data. */
static void put_safetensors(const char *name, const char *header, size_t data)
{
    size_t n = strlen(header);
    unsigned char *bytes = gn__calloc(8 + n + data, 1);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(n >> 8 * i);
    memcpy(bytes + 8, header, n);
    put(name, bytes, 8 + n + data);
    free(bytes);
}

TEST(a_folder_that_is_none)
{
    begin();
    strcat(folder, "/nowhere");
    CHECK_HAS(refused(GN_IO), "/nowhere is neither a model's folder nor a built-in model");
    strcpy(folder, "builtin:word2vec");
    CHECK_HAS(refused(GN_INVALID_ARGUMENT), "builtin:word2vec");
}

TEST(a_missing_config)
{
    begin();
    CHECK_HAS(refused(GN_IO), "config.json");
    put_text("config.json", "{\"model_type\": ");
    CHECK_HAS(refused(GN_FORMAT), "config.json is not valid JSON: line 1");
    put_text("config.json", "[]");
    CHECK_HAS(refused(GN_FORMAT), "config.json should hold a JSON object");
    put_text("config.json", "{}");
    CHECK_HAS(refused(GN_FORMAT), "does not say \"model_type\"");
}

TEST(an_unknown_architecture_is_named)
{
    begin();
    put_text("config.json", "{\"model_type\": \"mamba\"}");
    const char *message = refused(GN_UNSUPPORTED);
    CHECK_HAS(message, "the architecture \"mamba\" is not supported");
    CHECK_HAS(message, "supported are: bert, distilbert, ");
    CHECK_HAS(message, ", mt5");
}

TEST(settings_that_change_the_arithmetic_are_refused)
{
    static const struct {
        const char *model, *from, *to, *message;
        gn_status status;
    } cases[] = {
        {"bert", "\"model_type\"", "\"position_embedding_type\": \"relative_key\", \"model_type\"",
         "position kind \"relative_key\"", GN_UNSUPPORTED},
        {"bert", "\"is_decoder\": false", "\"is_decoder\": true", "\"is_decoder\"", GN_UNSUPPORTED},
        {"bert", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\"",
         "activation \"mish\" (\"hidden_act\")", GN_UNSUPPORTED},
        {"bert", "\"hidden_size\": 32", "\"hidden_size\": 33", "the width 33 cannot be divided into 4 heads",
         GN_FORMAT},
        {"bert", "\"hidden_size\": 32", "\"hidden_size\": \"32\"", "\"hidden_size\" should be a whole number",
         GN_FORMAT},
        {"bert", "\"hidden_size\": 32", "\"hidden_size\": -1", "\"hidden_size\" should be a whole number",
         GN_FORMAT},
        {"bert", "\"hidden_size\": 32", "\"hidden_size\": 99999999999", "\"hidden_size\" should be a whole",
         GN_FORMAT},
        {"bert", "\"num_hidden_layers\": 2", "\"x\": 2", "does not say \"num_hidden_layers\"", GN_FORMAT},
        {"bert", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": \"small\"",
         "\"layer_norm_eps\" should be a number", GN_FORMAT},
        {"bert", "\"is_decoder\": false", "\"is_decoder\": 7", "\"is_decoder\" should be true or false",
         GN_FORMAT},
        {"gpt2", "\"scale_attn_weights\": true", "\"scale_attn_weights\": false", "scale_attn_weights",
         GN_UNSUPPORTED},
        {"gpt2", "\"scale_attn_by_inverse_layer_idx\": false", "\"scale_attn_by_inverse_layer_idx\": true",
         "scale_attn_by_inverse_layer_idx", GN_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        copy_with(cases[i].model, "config.json", cases[i].from, cases[i].to);
        CHECK_HAS(refused(cases[i].status), cases[i].message);
    }
}

TEST(weights_that_are_not_there_or_only_pickled)
{
    begin_bert();
    CHECK_HAS(refused(GN_IO), "has no model.safetensors and no model.safetensors.index.json");
    put_text("pytorch_model.bin", "PK");
    const char *message = refused(GN_UNSUPPORTED);
    CHECK_HAS(message, "pytorch_model.bin, a pickle");
    CHECK_HAS(message, "from transformers import AutoModel");
    CHECK_HAS(message, "safe_serialization=True");
}

TEST(damaged_safetensors)
{
    static const struct {
        const char *header;
        size_t data;
        const char *message;
        gn_status status;
    } cases[] = {
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}", 4,
         "tensor a has the offsets 0 to 8, but the file holds 4 bytes", GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [8, 0]}}", 8,
         "tensor a has the offsets 8 to 0", GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 4]}}", 8,
         "tensor a of type F32 and shape [2] does not fill its 4 bytes", GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]},"
         " \"b\": {\"dtype\": \"F16\", \"shape\": [2, 1], \"data_offsets\": [6, 10]}}",
         12, "the tensors a and b overlap", GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]},"
         " \"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}",
         8, "duplicate", GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296, 4], \"data_offsets\": [0, 0]}}", 0,
         "does not fill", GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 4]}}", 4, "no whole number",
         GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4.0]}}", 4, "no whole number",
         GN_FORMAT},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1]}}", 4, "lacks dtype, shape or data_offsets", GN_FORMAT},
        {"{\"a\": 1}", 4, "lacks dtype, shape or data_offsets", GN_FORMAT},
        {"{\"a\": {\"dtype\": \"Q4\", \"shape\": [1], \"data_offsets\": [0, 4]}}", 4, "unknown dtype Q4",
         GN_UNSUPPORTED},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1,1,1,1,1,1,1,1,1], \"data_offsets\": [0, 4]}}", 4,
         "has 9 dimensions", GN_UNSUPPORTED},
        {"[]", 0, "the header should be a JSON object", GN_FORMAT},
        {"{\"a\": ", 0, "the header is not valid JSON", GN_FORMAT},
        {"{}", 0, "lack the tensor embeddings.word_embeddings.weight", GN_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_bert();
        put_safetensors("model.safetensors", cases[i].header, cases[i].data);
        const char *message = refused(cases[i].status);
        CHECK_HAS(message, cases[i].message);
    }
}

TEST(a_gap_or_an_empty_tensor_is_no_damage)
{
    static const char header[] = "{\"__metadata__\": {\"format\": \"pt\"},"
                                 " \"b\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [8, 12]},"
                                 " \"a\": {\"dtype\": \"BF16\", \"shape\": [2, 0], \"data_offsets\": [9, 9]},"
                                 " \"c\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4]}}   ";
    unsigned char bytes[400] = {sizeof header - 1};
    gn__weights w = {0};
    gn_error err = {0};
    memcpy(bytes + 8, header, sizeof header - 1);
    CHECK(sizeof header - 1 < 256);
    CHECK_OK(gn__safetensors_parse(&w, 0, "x", bytes, 8 + sizeof header - 1 + 12, &err), err);
    CHECK_INT(w.tensors, 3);
    CHECK_INT(gn__weights_find(&w, "b")->begin, 8);
    CHECK_INT(gn__weights_find(&w, "a")->elements, 0);
    CHECK_INT(gn__weights_find(&w, "c")->elements, 1);
    CHECK(gn__weights_find(&w, "d") == NULL);
    gn__weights_free(&w);
}

TEST(safetensors_cut_anywhere)
{
    size_t length;
    char *data = golden_file("bert", "model.safetensors", &length);
    const size_t cuts[] = {0, 7, 8, 100, 3000, length / 2, length - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        begin_bert();
        put("model.safetensors", data, cuts[i]);
        const char *message = refused(GN_FORMAT);
        CHECK_HAS(message, "model.safetensors");
        if (cuts[i] < 8) CHECK_HAS(message, "it has only");
        if (cuts[i] == 8 || cuts[i] == 100) CHECK_HAS(message, "bytes long, but the file ends after");
        if (cuts[i] > 10000) CHECK_HAS(message, "is it cut short?");
    }
    free(data);
}

TEST(a_shape_that_is_not_the_configs)
{
    begin_bert();
    copy("bert", "model.safetensors");
    copy_with("bert", "config.json", "\"intermediate_size\": 64", "\"intermediate_size\": 65");
    const char *message = refused(GN_FORMAT);
    CHECK_HAS(message, "tensor encoder.layer.0.intermediate.dense.weight should have the shape [65, 32] by "
                       "config.json, but has [64, 32]");
    copy_with("bert", "config.json", "\"vocab_size\": 300", "\"vocab_size\": 301");
    CHECK_HAS(refused(GN_FORMAT), "embeddings.word_embeddings.weight should have the shape [301, 32]");
    copy_with("bert", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    CHECK_HAS(refused(GN_FORMAT), "lack the tensor encoder.layer.2.");
}

static void begin_shards(void)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                        "model-00001-of-00003.safetensors",
                                        "model-00002-of-00003.safetensors"};
    begin();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) copy("gpt2_bf16_sharded", files[i]);
}

TEST(broken_shards)
{
    static const char index[] = "model.safetensors.index.json", last[] = "model-00003-of-00003.safetensors";
    begin_shards();
    copy("gpt2_bf16_sharded", index);
    CHECK_HAS(refused(GN_IO), last);
    copy("gpt2_bf16_sharded", last);
    put_text(index, "{}");
    CHECK_HAS(refused(GN_FORMAT), "has no \"weight_map\"");
    copy_with("gpt2_bf16_sharded", index, "model-00001-of-00003.safetensors", "../model.safetensors");
    CHECK_HAS(refused(GN_FORMAT), "should name a file of the same folder, not \"../model.safetensors\"");
    copy_with("gpt2_bf16_sharded", index, "\"model-00001-of-00003.safetensors\"", "17");
    CHECK_HAS(refused(GN_FORMAT), "should name a file of the same folder");
    copy_with("gpt2_bf16_sharded", index, "\"model-00001-of-00003.safetensors\"", "\"..\"");
    CHECK_HAS(refused(GN_FORMAT), "should name a file of the same folder");
    copy_with("gpt2_bf16_sharded", index, "model-00001-of-00003.safetensors", last);
    CHECK_HAS(refused(GN_FORMAT), "but it is not");
    copy_with("gpt2_bf16_sharded", index, "\"weight_map\": {",
              "\"weight_map\": {\"ghost\": \"model-00001-of-00003.safetensors\",");
    CHECK_HAS(refused(GN_FORMAT), "says that tensor ghost is in model-00001-of-00003.safetensors");
    copy("gpt2_bf16_sharded", index);
    put_text(last, "");
    CHECK_HAS(refused(GN_FORMAT), last);
}

TEST(the_same_tensor_in_two_shards)
{
    begin_bert();
    static const char header[] = "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}";
    put_safetensors("1.safetensors", header, 4);
    put_safetensors("2.safetensors", header, 4);
    put_text("model.safetensors.index.json",
             "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}");
    CHECK_HAS(refused(GN_FORMAT), "tensor a occurs twice");
}

TEST(weights_of_other_types)
{
    size_t length;
    char *data = golden_file("bert", "model.safetensors", &length), *at;
    begin_bert();
    at = memmem(data, length, "\"F32\"", 5); /* the first entry */
    CHECK(at != NULL);
    memcpy(at, "\"I32\"", 5);
    put("model.safetensors", data, length);
    CHECK_HAS(refused(GN_UNSUPPORTED), "has the type I32; supported are F32, F16 and BF16");
    free(data);
}

TEST(sentence_transformers_parts_that_are_not_done)
{
    static const struct {
        const char *name, *text, *message;
        gn_status status;
    } cases[] = {
        {"modules.json", "{}", "should hold a JSON list", GN_FORMAT},
        {"modules.json", "[{\"type\": \"x.LSTM\", \"path\": \"2_LSTM\"}]", "the module \"LSTM\"",
         GN_UNSUPPORTED},
        {"modules.json", "[{\"type\": \"x.Dense\", \"path\": \"2_Dense\"}]", "2_Dense/config.json", GN_IO},
        {"modules.json",
         "[{\"type\": \"x.Normalize\", \"path\": \"\"}, {\"type\": \"x.Normalize\", \"path\": \"\"},"
         " {\"type\": \"x.Normalize\", \"path\": \"\"}, {\"type\": \"x.Normalize\", \"path\": \"\"},"
         " {\"type\": \"x.Normalize\", \"path\": \"\"}, {\"type\": \"x.Normalize\", \"path\": \"\"},"
         " {\"type\": \"x.Normalize\", \"path\": \"\"}, {\"type\": \"x.Normalize\", \"path\": \"\"},"
         " {\"type\": \"x.Normalize\", \"path\": \"\"}]",
         "more than 8 modules", GN_UNSUPPORTED},
        {"modules.json", "[{\"type\": \"x.Transformer\", \"path\": \"../other\"}]", "inside the model",
         GN_FORMAT},
        {"modules.json", "[{\"type\": \"x.Transformer\"}]", "inside the model", GN_FORMAT},
        {"modules.json", "[{\"type\": \"x.Pooling\", \"path\": \"1_Pooling\"}]", "1_Pooling/config.json",
         GN_IO},
        {"config.json", "{\"pooling_mode_cls_token\": 1}", "should be true or false", GN_FORMAT},
        {"config.json", "{\"pooling_mode\": [\"cls\", 3]}", "the pooling \"?\"", GN_UNSUPPORTED},
        {"config.json", "{\"pooling_mode\": \"median\"}", "the pooling \"median\"", GN_UNSUPPORTED},
        {"config_sentence_transformers.json", "{\"default_prompt_name\": \"query\"}",
         "\"query\" is not one of the \"prompts\"", GN_FORMAT},
        {"sentence_bert_config.json", "{\"max_seq_length\": \"long\"}", "should be a number", GN_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_bert();
        copy("bert", "model.safetensors");
        if (strcmp(cases[i].name, "config.json") == 0) { /* the pooling's */
            gn_error err = {0};
            char *inside = gn__path_join(folder, "1_Pooling"), outside[sizeof folder];
            CHECK_OK(gn__make_directory(inside, &err), err);
            strcpy(outside, folder);
            snprintf(folder, sizeof folder, "%s", inside);
            put_text("config.json", cases[i].text);
            strcpy(folder, outside);
            free(inside);
        } else {
            put_text(cases[i].name, cases[i].text);
        }
        CHECK_HAS(refused(cases[i].status), cases[i].message);
    }
}

static gn_pooling pooling_of(const char *text)
{
    gn_error err = {0};
    gn__settings s;
    char *inside;
    begin();
    inside = gn__path_join(folder, "1_Pooling");
    CHECK_OK(gn__make_directory(inside, &err), err);
    char *path = gn__path_join(inside, "config.json");
    CHECK_OK(gn__write_file(path, text, strlen(text), &err), err);
    CHECK_OK(gn__settings_read(folder, NULL, &s, &err), err);
    gn_pooling p = s.head.pooling[0];
    gn__settings_free(&s);
    free(path);
    free(inside);
    return p;
}

TEST(poolings_in_both_spellings)
{
    CHECK_INT(pooling_of("{\"pooling_mode_cls_token\": true}"), GN_POOLING_CLS);
    CHECK_INT(pooling_of("{\"pooling_mode_max_tokens\": true}"), GN_POOLING_MAX);
    CHECK_INT(pooling_of("{\"pooling_mode_lasttoken\": true}"), GN_POOLING_LAST);
    CHECK_INT(pooling_of("{\"pooling_mode_mean_tokens\": true}"), GN_POOLING_MEAN);
    CHECK_INT(pooling_of("{}"), GN_POOLING_MEAN);
    CHECK_INT(pooling_of("{\"pooling_mode\": \"cls\"}"), GN_POOLING_CLS);
    CHECK_INT(pooling_of("{\"pooling_mode\": [\"lasttoken\"]}"), GN_POOLING_LAST);
    CHECK_INT(pooling_of("{\"pooling_mode_weightedmean_tokens\": true}"), GN_POOLING_WEIGHTED_MEAN);
    CHECK_INT(pooling_of("{\"pooling_mode_mean_sqrt_len_tokens\": true}"), GN_POOLING_MEAN_SQRT);
    CHECK_INT(pooling_of("{\"pooling_mode\": [\"max\", \"cls\"]}"), GN_POOLING_MAX);
}

static const char *prompt_of(const char *text, const char *wish, gn_status expected)
{
    static char found[1100];
    gn_error err = {0};
    gn__settings s = {0};
    begin();
    if (text != NULL) put_text("config_sentence_transformers.json", text);
    CHECK_INT(gn__settings_read(folder, wish, &s, &err), expected);
    snprintf(found, sizeof found, "%s", expected == GN_OK ? s.prompt : err.message);
    gn__settings_free(&s);
    return found;
}

TEST(prompts_by_name_and_by_text)
{
    static const char two[] = "{\"prompts\": {\"query\": \"query: \", \"passage\": null, \"empty\": \"\"}}";
    static const char standard[] = "{\"prompts\": {\"p\": \"passage: \"}, \"default_prompt_name\": \"p\"}";
    CHECK_STR(prompt_of(NULL, NULL, GN_OK), "");
    CHECK_STR(prompt_of(NULL, "query: ", GN_OK), "query: ");
    CHECK_STR(prompt_of(two, NULL, GN_OK), "");
    CHECK_STR(prompt_of(two, "query", GN_OK), "query: ");
    CHECK_STR(prompt_of(two, "passage", GN_OK), "");
    CHECK_STR(prompt_of(two, "empty", GN_OK), "");
    CHECK_STR(prompt_of(two, "other: ", GN_OK), "other: ");
    CHECK_STR(prompt_of(standard, NULL, GN_OK), "passage: ");
    CHECK_STR(prompt_of(standard, "", GN_OK), "");
    CHECK_STR(prompt_of(standard, "q: ", GN_OK), "q: ");
    CHECK_HAS(prompt_of("[]", NULL, GN_FORMAT), "should hold a JSON object");
}

/* INSTRUCTOR's pooling leaves the prompt's tokens out. */
TEST(a_pooling_without_the_prompt)
{
    gn_error err = {0};
    gn__settings s;
    begin();
    char *inside = gn__path_join(folder, "1_Pooling"), outside[sizeof folder];
    CHECK_OK(gn__make_directory(inside, &err), err);
    strcpy(outside, folder);
    snprintf(folder, sizeof folder, "%s", inside);
    put_text("config.json", "{\"pooling_mode_mean_tokens\": true, \"include_prompt\": false}");
    strcpy(folder, outside);
    free(inside);
    CHECK_OK(gn__settings_read(folder, NULL, &s, &err), err);
    gn__settings_free(&s);
    CHECK_INT(gn__settings_read(folder, "query: ", &s, &err), GN_UNSUPPORTED);
    CHECK_HAS(err.message, "a pooling that leaves out the prompt");
}

TEST(dense_layers_that_do_not_fit)
{
    static const char weight[] =
        "{\"linear.weight\": {\"dtype\": \"F32\", \"shape\": [2, 32], \"data_offsets\": [0, 256]}}";
    static const struct {
        const char *config, *header, *message;
        gn_status status;
    } cases[] = {
        {"{\"out_features\": 2}", weight, "does not say \"in_features\"", GN_FORMAT},
        {"{\"in_features\": 32, \"out_features\": 2, \"activation_function\": \"torch.nn.Mish\"}", weight,
         "activation \"torch.nn.Mish\"", GN_UNSUPPORTED},
        {"{\"in_features\": 32, \"out_features\": 2, \"use_residual\": true, \"bias\": false}", weight,
         "lack the tensor residual.weight", GN_FORMAT},
        {"{\"in_features\": 32, \"out_features\": 2}", weight, "lack the tensor linear.bias", GN_FORMAT},
        {"{\"in_features\": 32, \"out_features\": 3, \"bias\": false}", weight,
         "linear.weight should hold 3 × 32", GN_FORMAT},
        {"{\"in_features\": 2, \"out_features\": 32, \"bias\": false}",
         "{\"linear.weight\": {\"dtype\": \"F32\", \"shape\": [32, 2], \"data_offsets\": [0, 256]}}",
         "expects 2 numbers, but gets 32", GN_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_error err = {0};
        char outside[sizeof folder];
        begin_bert();
        copy("bert", "model.safetensors");
        put_text("modules.json", "[{\"type\": \"x.Dense\", \"path\": \"2_Dense\"}]");
        strcpy(outside, folder);
        strcat(folder, "/2_Dense");
        CHECK_OK(gn__make_directory(folder, &err), err);
        put_text("config.json", cases[i].config);
        put_safetensors("model.safetensors", cases[i].header, 256);
        strcpy(folder, outside);
        CHECK_HAS(refused(cases[i].status), cases[i].message);
    }
}

/* sentence-transformers would lower the case itself; the golden WordPiece does so already. */
TEST(lower_case_before_the_tokenizer)
{
    gn_error err = {0};
    gn_model *m;
    begin_bert();
    copy("bert", "model.safetensors");
    put_text("sentence_bert_config.json", "{\"do_lower_case\": true}");
    CHECK_OK(gn_model_load(ctx, folder, NULL, &m, &err), err);
    gn_model_free(m);
    put_text("tokenizer_config.json", "{}");
    CHECK_HAS(refused(GN_UNSUPPORTED), "\"do_lower_case\" is not supported");
}

TEST(a_length_beyond_the_positions)
{
    gn_error err = {0};
    gn_model *m;
    begin_bert();
    copy("bert", "model.safetensors");
    CHECK_INT(gn_model_load(ctx, folder, &(gn_model_options){.max_length = 49}, &m, &err),
              GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "a length of 49 tokens was asked for");
    CHECK_OK(gn_model_load(ctx, folder, NULL, &m, &err), err);
    CHECK_INT(m->info.max_length, 48); /* of tokenizer_config.json */
    gn_model_free(m);
}

TEST(weights_that_are_not_numbers)
{
    size_t length;
    char *data = golden_file("bert", "model.safetensors", &length);
    gn_error err = {0};
    gn_model *m;
    gn_matrix x;
    const char *text[] = {"no", "the pump", "no oil"};
    const uint32_t bytes[] = {2, 8, 6};
    begin_bert();
    /* Damage one value of the word embeddings: that of a token in the last two texts only. */
    copy("bert", "model.safetensors");
    CHECK_OK(gn_model_load(ctx, folder, NULL, &m, &err), err);
    gn_tokens tokens = {0};
    CHECK_OK(gn_tokenizer_encode(m->tokenizer, "the", 3, false, 0, &tokens, &err), err);
    size_t at = (size_t)(m->words->data - m->weights.mapping[0].data) + (size_t)tokens.id[0] * 32 * 4;
    gn_tokens_free(&tokens);
    gn_model_free(m);
    const float nan = NAN;
    memcpy(data + at, &nan, sizeof nan);
    put("model.safetensors", data, length);
    free(data);
    CHECK_OK(gn_model_load(ctx, folder, NULL, &m, &err), err);
    CHECK_INT(gn_model_embed(ctx, m, text, bytes, 3, &x, NULL, NULL, &err), GN_NUMERIC);
    CHECK_HAS(err.message, "the embedding of text 2 by");
    CHECK_HAS(err.message, "is not finite");
    CHECK_OK(gn_model_embed(ctx, m, text, bytes, 1, &x, NULL, NULL, &err), err);
    gn_matrix_free(&x);
    gn_model_free(m);
}

/* A token beyond the table must not read outside it. */
TEST(tokens_that_the_model_does_not_know)
{
    gn_error err = {0};
    gn_model *m;
    gn_matrix x;
    const char *text[] = {"the pump", "no"};
    const uint32_t bytes[] = {8, 2};
    begin_bert();
    copy("bert", "model.safetensors");
    CHECK_OK(gn_model_load(ctx, folder, NULL, &m, &err), err);
    m->recipe.vocab = 5; /* the special tokens */
    CHECK_INT(gn_model_embed(ctx, m, text, bytes, 2, &x, NULL, NULL, &err), GN_DATA);
    CHECK_HAS(err.message, "text 1 has the token");
    CHECK_HAS(err.message, "have only 5 rows");
    gn_model_free(m);
    gn_context_free(ctx);
    ctx = NULL;
}
