/* How it was done and with what: enough to do it again; and what the words mean. */
#include "report/html.h"

#include <inttypes.h>
#include <stdio.h>

static void item(gn__page *p, const char *text)
{
    gn__put(p, "<li>");
    gn__escape(p, text);
    gn__put(p, "</li>\n");
}

static void put_steps(gn__page *p)
{
    const gn_result *r = p->r;
    const gn_shift *s = &r->main.shift;
    gn__put(p, "<ol>\n");
    item(p, gn__word_of(p, GN__H_METHOD_EMBED));
    item(p, gn__word_of(p, GN__H_METHOD_SEE));
    item(p, GN__COMPOSE(p, METHOD_SHIFT, s->method ? s->method : "–", gn__n_count(p, (double)s->permutations),
                        gn__n_fixed(p, s->alpha, 2), gn__n_fixed(p, s->tolerance, 2)));
    item(p, gn__word_of(p, GN__H_METHOD_PROBE));
    if (r->steps & GN_STEP_FINETUNE) item(p, gn__word_of(p, GN__H_METHOD_TUNE));
    item(p, gn__word_of(p, r->has_control ? GN__H_METHOD_CONTROL : GN__H_METHOD_NO_CONTROL));
    item(p, GN__COMPOSE(p, METHOD_RULE, r->verdict.rule[0] ? r->verdict.rule : "–"));
    gn__put(p, "</ol>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_METHOD_SAME_BITS));
}

static void fact(gn__page *p, gn__html_id name, const char *value)
{
    if (value == NULL || value[0] == '\0') return;
    gn__put(p, "<tr><th scope=\"row\">");
    gn__say(p, name);
    gn__put(p, "</th><td><bdi>");
    gn__escape(p, value);
    gn__put(p, "</bdi></td></tr>\n");
}

static void put_model(gn__page *p, const gn_model_evidence_info *m)
{
    const char *architecture = m->architecture ? m->architecture : "–", *dim = gn__n_count(p, (double)m->dim);
    fact(p, GN__H_M_MODEL, m->path && m->name ? GN__COMPOSE(p, WITH_INTERVAL, m->name, m->path) : m->name);
    fact(p, GN__H_M_MODEL_SHAPE,
         m->layers > 0 ? GN__COMPOSE(p, M_SHAPE, architecture, dim, gn__n_count(p, (double)m->layers),
                                     gn__n_count(p, (double)m->parameters))
                       : GN__COMPOSE(p, M_SHAPE_PLAIN, architecture, dim));
    if (m->pooling != NULL)
        fact(p, GN__H_M_POOLING, m->normalize ? GN__COMPOSE(p, M_NORMALIZED, m->pooling) : m->pooling);
    fact(p, GN__H_M_PROMPT, m->prompt);
    fact(p, GN__H_M_DTYPE, m->dtype);
    if (m->tokenizer != NULL)
        fact(p, GN__H_M_TOKENIZER,
             m->max_length > 0
                 ? GN__COMPOSE(p, M_TOKENIZER_LENGTH, m->tokenizer, gn__n_count(p, (double)m->max_length))
                 : m->tokenizer);
    if (m->tokens > 0) fact(p, GN__H_M_TOKENS, gn__n_count(p, (double)m->tokens));
}

static void put_time(gn__page *p)
{
    const gn_timing *t = &p->r->timing;
    const struct {
        gn__html_id name;
        double seconds;
    } steps[] = {{GN__H_T_READ, t->read},       {GN__H_T_LOAD, t->load},  {GN__H_T_EMBED, t->embed},
                 {GN__H_T_CONTROL, t->control}, {GN__H_T_SEE, t->see},    {GN__H_T_DETECT, t->detect},
                 {GN__H_T_VERIFY, t->verify},   {GN__H_T_TOTAL, t->total}};
    const char *all = NULL;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (!(steps[i].seconds > 0)) continue;
        const char *one =
            GN__COMPOSE(p, STEP_SECONDS, gn__word_of(p, steps[i].name), gn__n_fixed(p, steps[i].seconds, 2));
        all = all == NULL ? one : GN__COMPOSE(p, PAIR_OF, all, one);
    }
    fact(p, GN__H_M_TIME, all);
    if (t->peak_memory > 0)
        fact(p, GN__H_M_MEMORY, GN__COMPOSE(p, MEGABYTES, gn__n_count(p, t->peak_memory / 1e6)));
}

void gn__html_method(gn__page *p)
{
    const gn_result *r = p->r;
    gn__section_begin(p, "method", GN__H_METHOD);
    put_steps(p);
    gn__put(p, "<div class=\"facts\"><table><tbody>\n");
    fact(p, GN__H_M_CREATED, r->created);
    fact(p, GN__H_M_VERSION, r->version);
    const char *libraries = NULL;
    for (size_t i = 0; i < r->libraries; i++)
        libraries = libraries == NULL ? r->library[i] : GN__COMPOSE(p, PAIR_OF, libraries, r->library[i]);
    fact(p, GN__H_M_LIBRARIES, libraries);
    char seed[24]; /* exact: a double would round a large seed */
    snprintf(seed, sizeof seed, "%" PRIu64, r->seed);
    fact(p, GN__H_M_SEED, seed);
    fact(p, GN__H_M_THREADS, gn__n_count(p, r->threads));
    put_model(p, &r->main.model);
    fact(p, GN__H_M_HASH_MODEL, r->main.model.sha256);
    if (r->has_control) fact(p, GN__H_M_HASH_CONTROL, r->control.model.sha256);
    fact(p, GN__H_M_HASH_TRAIN, r->train.sha256);
    fact(p, GN__H_M_HASH_TEST, r->test.sha256);
    put_time(p);
    gn__put(p, "</tbody></table></div>\n");
    if (r->command != NULL) {
        gn__put(p, "<h3>");
        gn__say(p, GN__H_M_COMMAND);
        gn__put(p, "</h3>\n<pre><code>");
        gn__escape(p, r->command);
        gn__put(p, "</code></pre>\n");
    }
    gn__section_end(p);
}

void gn__html_words(gn__page *p)
{
    static const gn__html_id words[][2] = {{GN__H_W_VERDICT, GN__H_W_VERDICT_IS},
                                           {GN__H_W_TRAIN, GN__H_W_TRAIN_IS},
                                           {GN__H_W_TEST, GN__H_W_TEST_IS},
                                           {GN__H_W_SHIFT, GN__H_W_SHIFT_IS},
                                           {GN__H_W_EMBEDDING, GN__H_W_EMBEDDING_IS},
                                           {GN__H_W_PC, GN__H_W_PC_IS},
                                           {GN__H_W_OVERLAP, GN__H_W_OVERLAP_IS},
                                           {GN__H_W_AUC, GN__H_W_AUC_IS},
                                           {GN__H_W_PROBE, GN__H_W_PROBE_IS},
                                           {GN__H_W_FINETUNE, GN__H_W_FINETUNE_IS},
                                           {GN__H_W_CONTROL, GN__H_W_CONTROL_IS},
                                           {GN__H_W_INTERVAL, GN__H_W_INTERVAL_IS},
                                           {GN__H_W_P, GN__H_W_P_IS}};
    gn__section_begin(p, "words", GN__H_WORDS);
    gn__put(p, "<dl>\n");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        gn__put(p, "<dt>");
        gn__say(p, words[i][0]);
        gn__put(p, "</dt>\n<dd>");
        gn__say(p, words[i][1]);
        gn__put(p, "</dd>\n");
    }
    gn__put(p, "</dl>\n");
    gn__section_end(p);
}
