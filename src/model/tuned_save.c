/* gn_tuned_save: a directory written aside and renamed, its config, and the files that are copied. */
#include "model/tuned_save.h"

#include "model/settings.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- small things ---------------------------------------------------------------------------------------
 */

gn_status gn__save_json(const char *directory, const char *name, const json_t *value, gn_error *err)
{
    char *text = json_dumps(value, JSON_INDENT(2)), *path = gn__path_join(directory, name);
    gn__buf b = {0};
    if (text != NULL) gn__buf_puts(&b, text);
    gn__buf_putc(&b, '\n');
    gn_status status = text == NULL || path == NULL || b.failed ? gn__no_memory(err, 256)
                                                                : gn__write_file(path, b.data, b.length, err);
    gn__buf_free(&b);
    free(text);
    free(path);
    return status;
}

const float *gn__tuned_head(const gn_tuned *t, bool bias)
{
    size_t count;
    const gn__parameter *p = gn__learner_parameters(t->learner, &count);
    for (size_t i = 0; i < count; i++)
        if (p[i].place == GN__PLACE_HEAD && (strcmp(p[i].name, "head.bias") == 0) == bias)
            return gn__learner_values(t->learner) + p[i].offset;
    return NULL;
}

/* ---- files that are copied -------------------------------------------------------------------------------
 */

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), k = strlen(with);
    return n >= k && strcmp(name + n - k, with) == 0;
}

/* Tokenizer, prompts, modules: settings and vocabularies, no weights; config.json is written anew. */
static bool is_setting(const char *name)
{
    static const char *const kinds[] = {".json", ".txt", ".model", ".jinja"};
    if (strcmp(name, "config.json") == 0 || ends(name, ".index.json") ||
        strcmp(name, "adapter_config.json") == 0)
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ends(name, kinds[i])) return true;
    return false;
}

static gn_status copy_file(const char *from, const char *to, const char *name, gn_error *err)
{
    char *source = gn__path_join(from, name), *target = gn__path_join(to, name);
    gn__mapping file = {0};
    gn_status status = source && target ? GN_OK : gn__no_memory(err, strlen(name));
    if (status == GN_OK && gn__file_exists(source)) {
        status = gn__map_file(source, &file, err);
        if (status == GN_OK) status = gn__write_file(target, file.data, file.size, err);
        gn__unmap_file(&file);
    }
    free(source);
    free(target);
    return status;
}

/* all: a module's folder, of which everything is copied. */
static gn_status copy_files(const char *from, const char *to, bool all, gn_error *err)
{
    DIR *d = opendir(from);
    if (d == NULL) return gn__fail(err, GN_IO, "cannot open %s: %s", from, strerror(errno));
    gn_status status = gn__make_directory(to, err);
    for (const struct dirent *e; status == GN_OK && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && (all || is_setting(e->d_name)))
            status = copy_file(from, to, e->d_name, err);
    closedir(d);
    return status;
}

static gn_status copy_module(const gn__saving *s, const char *path, gn_error *err)
{
    char *from = gn__path_join(s->t->m->info.path, path), *to = gn__path_join(s->aside, path);
    gn_status status = from && to ? GN_OK : gn__no_memory(err, strlen(path));
    if (status == GN_OK && gn__is_directory(from) && strcmp(from, s->source) != 0)
        status = copy_files(from, to, true, err);
    free(from);
    free(to);
    return status;
}

/* Loading has checked that the paths stay inside. */
static gn_status copy_modules(const gn__saving *s, gn_error *err)
{
    const char *root = s->t->m->info.path;
    char *list = gn__path_join(root, "modules.json");
    bool there = list != NULL && gn__file_exists(list);
    free(list);
    if (!there) return copy_module(s, "1_Pooling", err);
    gn__config c;
    size_t i;
    const json_t *module;
    gn_status status = GN_OK;
    GN__TRY(gn__config_read(root, "modules.json", JSON_ARRAY, &c, err));
    json_array_foreach(c.root, i, module)
    {
        const char *path = json_string_value(json_object_get(module, "path"));
        if (status == GN_OK && path != NULL && path[0] != '\0') status = copy_module(s, path, err);
    }
    gn__config_free(&c);
    return status;
}

/* ---- config.json ------------------------------------------------------------------------------------------
 */

/* Architectures whose class for classification is a linear layer without a bias on the last token. */
static const struct {
    const char *architecture, *classifier;
} classifiers[] = {
    {"gpt2", "GPT2ForSequenceClassification"},    {"gpt_neox", "GPTNeoXForSequenceClassification"},
    {"opt", "OPTForSequenceClassification"},      {"bloom", "BloomForSequenceClassification"},
    {"phi", "PhiForSequenceClassification"},      {"phi3", "Phi3ForSequenceClassification"},
    {"llama", "LlamaForSequenceClassification"},  {"mistral", "MistralForSequenceClassification"},
    {"qwen2", "Qwen2ForSequenceClassification"},  {"qwen3", "Qwen3ForSequenceClassification"},
    {"gemma2", "Gemma2ForSequenceClassification"}};

static const char *find_classifier(const gn_tuned *t)
{
    const float *bias = gn__tuned_head(t, true);
    if (!gn__tuned_plain_classifier(t->m)) return NULL;
    for (int k = 0; k < t->classes; k++)
        if (bias[k] != 0) return NULL;
    for (size_t i = 0; i < sizeof classifiers / sizeof *classifiers; i++)
        if (strcmp(t->m->info.architecture, classifiers[i].architecture) == 0)
            return classifiers[i].classifier;
    return NULL;
}

/* "BertForMaskedLM" to "BertModel": what is left once a head of another task is taken off. */
static gn_status set_base(json_t *config, gn_error *err)
{
    const char *given = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    if (given == NULL) return GN_OK;
    const char *head = strstr(given, "For"), *other = strstr(given, "LMHeadModel");
    if (head == NULL || (other != NULL && other < head)) head = other;
    gn__buf name = {0};
    gn__buf_append(&name, given, head ? (size_t)(head - given) : strlen(given));
    if (head != NULL) gn__buf_puts(&name, "Model");
    bool good =
        !name.failed && json_object_set_new(config, "architectures", json_pack("[s]", name.data)) == 0;
    gn__buf_free(&name);
    return good ? GN_OK : gn__no_memory(err, 64);
}

static bool set_labels(const gn__saving *s, json_t *config)
{
    json_t *names = json_object(), *numbers = json_object();
    bool good = names != NULL && numbers != NULL;
    for (int k = 0; k < s->t->classes && good; k++) {
        char number[16];
        snprintf(number, sizeof number, "%d", k);
        good = json_object_set_new(names, number, json_string(s->class_name[k])) == 0 &&
               json_object_set_new(numbers, s->class_name[k], json_integer(k)) == 0;
    }
    bool set = json_object_set_new(config, "id2label", names) == 0;
    set = json_object_set_new(config, "label2id", numbers) == 0 && set;
    return good && set && json_object_set_new(config, "num_labels", json_integer(s->t->classes)) == 0;
}

static gn_status save_config(const gn__saving *s, gn_error *err)
{
    gn__config c;
    GN__TRY(gn__config_read(s->source, "config.json", JSON_OBJECT, &c, err));
    gn_status status = GN_OK;
    bool good = set_labels(s, c.root) && json_object_set_new(c.root, "dtype", json_string("float32")) == 0;
    json_object_del(c.root, "torch_dtype");
    if (s->classifier != NULL) {
        const json_t *eos = json_object_get(c.root, "eos_token_id");
        good = good && json_object_set_new(c.root, "architectures", json_pack("[s]", s->classifier)) == 0;
        /* Without one the class refuses batches. */
        if (!json_is_integer(json_object_get(c.root, "pad_token_id")) && json_is_integer(eos))
            good = good &&
                   json_object_set_new(c.root, "pad_token_id", json_integer(json_integer_value(eos))) == 0;
    } else {
        status = set_base(c.root, err);
    }
    if (status == GN_OK)
        status = good ? gn__save_json(s->inside, "config.json", c.root, err) : gn__no_memory(err, 256);
    gn__config_free(&c);
    return status;
}

/* ---- the directory
 * ------------------------------------------------------------------------------------------ */

static gn_status write_all(gn__saving *s, gn_error *err)
{
    const char *root = s->t->m->info.path;
    bool apart = strcmp(s->source, root) != 0;
    GN__TRY(copy_files(root, s->aside, false, err));
    if (apart) GN__TRY(copy_files(s->source, s->inside, false, err));
    if (s->t->options.what == GN_TUNE_LORA) {
        GN__TRY(gn__save_adapter(s, err));
    } else {
        GN__TRY(copy_modules(s, err));
        GN__TRY(save_config(s, err));
        GN__TRY(gn__save_weights(s, err));
    }
    return gn__save_head(s, err);
}

/* Removes a directory that was written here: files, and folders one level deep. */
static void remove_folder(const char *path, int depth)
{
    DIR *d = opendir(path);
    if (d == NULL) return;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *inside = gn__path_join(path, e->d_name);
        if (inside == NULL) continue;
        if (depth < 4 && gn__is_directory(inside))
            remove_folder(inside, depth + 1);
        else
            unlink(inside);
        free(inside);
    }
    closedir(d);
    rmdir(path);
}

/* Where the files go: aside of the directory, and in it where the transformer has a folder of its own. */
static gn_status choose_places(gn__saving *s, const char *directory, gn_error *err)
{
    const char *root = s->t->m->info.path;
    gn__settings settings = {0};
    gn__buf aside = {0};
    size_t n = strlen(directory);
    while (n > 1 && directory[n - 1] == '/') n--;
    gn__buf_append(&aside, directory, n);
    gn__buf_printf(&aside, ".tmp-%ld", (long)getpid());
    s->aside = aside.data;
    if (aside.failed) return gn__no_memory(err, n);
    GN__TRY(gn__settings_read(root, "", &settings, err));
    s->source = gn__strdup(settings.directory);
    gn__settings_free(&settings);
    if (s->source == NULL) return gn__no_memory(err, n);
    size_t k = strlen(root);
    while (k > 1 && root[k - 1] == '/') k--;
    const char *rest = strlen(s->source) > k ? s->source + k : "";
    while (*rest == '/') rest++;
    s->inside = *rest != '\0' ? gn__path_join(s->aside, rest) : gn__strdup(s->aside);
    return s->inside != NULL ? GN_OK : gn__no_memory(err, n);
}

gn_status gn_tuned_save(gn_context *ctx, const gn_tuned *t, const char *directory,
                        const char *const *class_name, gn_error *err)
{
    gn_tuned *inside = (gn_tuned *)(uintptr_t)t; /* only its lock is used */
    gn__saving s = {.ctx = ctx, .t = t, .class_name = class_name};
    bool ours = false;
    gn_status status = choose_places(&s, directory, err);
    pthread_mutex_lock(&inside->lock);
    if (status == GN_OK) s.classifier = find_classifier(t);
    if (status == GN_OK && rmdir(directory) != 0 && errno != ENOENT)
        status = gn__fail(err, GN_IO, "%s is there already; name a folder that is not", directory);
    if (status == GN_OK) status = gn__make_directory(s.aside, err);
    if (status == GN_OK) {
        ours = true;
        status = write_all(&s, err);
    }
    pthread_mutex_unlock(&inside->lock);
    if (status == GN_OK && rename(s.aside, directory) != 0)
        status = gn__fail(err, GN_IO, "cannot write %s: %s", directory, strerror(errno));
    if (status != GN_OK && ours) remove_folder(s.aside, 0);
    free(s.aside);
    free(s.inside);
    free(s.source);
    return status;
}
