/* What the environment says about the hub and about endpoints, and genchi model pull. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Strings made here live as long as the process: the options point to them. */
static struct {
    char cache[4096], token[4096], journal[4096];
    gn_hub_options hub;
    gn_endpoint_options endpoint;
} made;

static const char *first_set(const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *value = getenv(*names);
        if (value != NULL && *value != '\0') return value;
    }
    return NULL;
}

static bool is_true(const char *const *names)
{
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    const char *value = first_set(names);
    for (size_t i = 0; value != NULL && i < sizeof yes / sizeof *yes; i++)
        if (strcasecmp(value, yes[i]) == 0) return true;
    return false;
}

/* "~/x" means a path in the home directory, as huggingface_hub has it. */
static void set_path(char *out, size_t size, const char *base, const char *more)
{
    const char *home = getenv("HOME");
    bool in_home = base[0] == '~' && (base[1] == '/' || base[1] == '\0') && home != NULL;
    snprintf(out, size, "%s%s%s", in_home ? home : "", in_home ? base + 1 : base, more);
}

static void user_cache(char *out, size_t size, const char *more)
{
    const char *cache = first_set((const char *const[]){"XDG_CACHE_HOME", NULL});
    char joined[512];
    snprintf(joined, sizeof joined, "/.cache%s", more);
    set_path(out, size, cache ? cache : "~", cache ? more : joined);
}

static void hf_home(char *out, size_t size, const char *more)
{
    const char *home = first_set((const char *const[]){"HF_HOME", NULL});
    char joined[256];
    snprintf(joined, sizeof joined, "/huggingface%s", more);
    if (home != NULL)
        set_path(out, size, home, more);
    else
        user_cache(out, size, joined);
}

static void strip(char *s)
{
    size_t n = strlen(s), k = strspn(s, " \t\r\n");
    while (n > k && strchr(" \t\r\n", s[n - 1]) != NULL) n--;
    memmove(s, s + k, n - k);
    s[n - k] = '\0';
}

/* HF_TOKEN, else what `hf auth login` stored. */
static const char *find_token(void)
{
    const char *value = first_set((const char *const[]){"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", NULL});
    made.token[0] = '\0';
    if (value != NULL) {
        snprintf(made.token, sizeof made.token, "%s", value);
    } else {
        char path[4096];
        const char *given = first_set((const char *const[]){"HF_TOKEN_PATH", NULL});
        if (given != NULL)
            set_path(path, sizeof path, given, "");
        else
            hf_home(path, sizeof path, "/token");
        FILE *f = fopen(path, "r");
        if (f != NULL && fgets(made.token, sizeof made.token, f) == NULL) made.token[0] = '\0';
        if (f != NULL) fclose(f);
    }
    strip(made.token);
    return made.token[0] ? made.token : NULL;
}

static gn_network network_for(const cli_args *a, const char *url)
{
    bool tls = strncasecmp(url, "https:", 6) == 0;
    gn_network n = {.insecure_http = a->insecure_http};
    n.proxy =
        tls ? first_set((const char *const[]){"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL})
            : first_set((const char *const[]){"http_proxy", "all_proxy", "ALL_PROXY", NULL});
    n.no_proxy = first_set((const char *const[]){"no_proxy", "NO_PROXY", NULL});
    n.ca_file =
        first_set((const char *const[]){"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", NULL});
    return n;
}

const gn_hub_options *cli_hub_options(const cli_args *a)
{
    const char *cache = first_set((const char *const[]){"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", NULL});
    if (cache != NULL)
        set_path(made.cache, sizeof made.cache, cache, "");
    else
        hf_home(made.cache, sizeof made.cache, "/hub");
    const char *endpoint = first_set((const char *const[]){"HF_ENDPOINT", NULL});
    made.hub = (gn_hub_options){
        .cache = made.cache,
        .endpoint = endpoint,
        .token = find_token(),
        .offline = is_true((const char *const[]){"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", NULL}),
        .network = network_for(a, endpoint ? endpoint : "https:")};
    return &made.hub;
}

const gn_endpoint_options *cli_endpoint_options(const cli_args *a, const char *url)
{
    static const char openai[] = "https://api.openai.com/";
    const char *key = first_set((const char *const[]){"GENCHI_API_KEY", NULL});
    /* OpenAI's own key goes to OpenAI only, whatever URL is typed */
    if (key == NULL && strncasecmp(url, openai, sizeof openai - 1) == 0)
        key = first_set((const char *const[]){"OPENAI_API_KEY", NULL});
    user_cache(made.journal, sizeof made.journal, "/genchi/endpoint");
    made.endpoint = (gn_endpoint_options){.model = a->model_name,
                                          .key = key,
                                          .time_limit = a->time_limit,
                                          .journal = made.journal,
                                          .network = network_for(a, url)};
    return &made.endpoint;
}

int cli_model_pull(const cli_args *a, gn_context *ctx, const char *name)
{
    gn_error err = {.lang = a->lang};
    gn_hub_pulled p;
    if (gn_hub_pull(ctx, name, cli_hub_options(a), &p, &err) != GN_OK) return cli_failed(a, &err);
    cli_progress_clear();
    if (!a->quiet)
        fprintf(stderr, cli_text(a->lang, CLI_S_PULLED), name, p.commit, p.files, p.downloaded,
                (double)p.bytes / 1e6);
    bool ok = printf("%s\n", p.directory) > 0 && fflush(stdout) == 0;
    gn_hub_pulled_free(&p);
    return ok ? CLI_OK : cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
}
