#include "core/core.h"
#include "genchi/check.h"

static void free_strings(char **s, size_t n)
{
    if (s == NULL) return;
    for (size_t i = 0; i < n; i++) free(s[i]);
    free(s);
}

static void free_set(gn_set_info *s)
{
    char *const strings[] = {s->path,        s->format,       s->encoding,
                             s->text_column, s->label_column, s->group_column};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) free(strings[i]);
    free(s->malformed_line);
    free_strings(s->malformed_reason, s->malformed);
    free(s->class_rows);
}

static void free_picture(gn_picture *p)
{
    free(p->explained);
    for (size_t i = 0; i < p->densities; i++) {
        free(p->density[i].pc1);
        free(p->density[i].probe);
        free(p->density[i].plane);
    }
    free(p->density);
    for (size_t i = 0; i < p->points; i++) free(p->point[i].text);
    free(p->point);
}

static void free_evidence(gn_model_evidence *m)
{
    char *const strings[] = {m->model.name,  m->model.architecture, m->model.path,  m->model.pooling,
                             m->model.dtype, m->model.tokenizer,    m->model.prompt};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) free(strings[i]);
    free_picture(&m->picture);
    free(m->by_label);
    gn_probe_evidence_free(&m->probe);
}

static void free_examples(gn_example *e, size_t n)
{
    for (size_t i = 0; i < n; i++) free(e[i].text);
    free(e);
}

void gn_result_free(gn_result *r)
{
    if (r == NULL) return;
    free(r->created);
    free(r->version);
    free(r->command);
    free_set(&r->train);
    free_set(&r->test);
    free_strings(r->class_name, (size_t)r->classes);
    free_evidence(&r->main);
    free_evidence(&r->control);
    free_examples(r->only_train, r->examples_train);
    free_examples(r->only_test, r->examples_test);
    gn_kind_free(&r->kind);
    gn_where_free(&r->where);
    gn_finetune_free(&r->finetune);
    free_strings(r->library, r->libraries);
    *r = (gn_result){0};
}
