/* The vocabulary of a SentencePiece model as its class has it: Unigram's pieces and their scores, BPE's and
 * their merges. */
#include "text/sentencepiece_job.h"

#include <stdio.h>

/* ---- the vocabulary of Unigram ------------------------------------------------------------------- */

static bool add_scored(json_t *vocab, const char *token, size_t length, double score)
{
    json_t *pair = json_pack("[s%, f]", token, length, score);
    return pair != NULL && json_array_append_new(vocab, pair) == 0;
}

/* T5's <extra_id_99> to <extra_id_0>; Pegasus' two masks, which the conversion names in another order than
 * the class, and its unused <unk_2> to <unk_102>. */
static bool add_series(const gn__spm_job *c, json_t *vocab, const char *which)
{
    char token[40];
    bool good = true;
    if (strcmp(which, "#extra_ids") == 0) {
        for (int i = gn__spm_number_of(c, "extra_ids", 100); good && i-- > 0;) {
            size_t n = (size_t)snprintf(token, sizeof token, "<extra_id_%d>", i);
            good = add_scored(vocab, token, n, 0.0);
        }
    } else if (strcmp(which, "#masks") == 0) {
        const char *mask = gn__spm_token_of(c, "mask_token", "<mask_1>");
        const char *sentence = gn__spm_token_of(c, "mask_token_sent", "<mask_2>");
        if (mask != NULL) good = add_scored(vocab, mask, strlen(mask), 0.0);
        if (sentence != NULL && (mask == NULL || strcmp(mask, sentence) != 0))
            good = good && add_scored(vocab, sentence, strlen(sentence), 0.0);
    } else {
        for (int i = 2; good && i < gn__spm_number_of(c, "offset", 103); i++) {
            size_t n = (size_t)snprintf(token, sizeof token, "<unk_%d>", i);
            good = add_scored(vocab, token, n, -100.0);
        }
    }
    return good;
}

static gn_status add_fixed(const gn__spm_job *c, json_t *vocab, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++) {
        const char *token = *list;
        double score = 0;
        if (*token == '#') {
            if (!add_series(c, vocab, token)) return gn__spm_no_memory(c);
            continue;
        }
        if (*token == '=' && (token = gn__spm_named_by_key(c, *list + 1, strlen(*list + 1))) == NULL)
            return gn__spm_missing(c, *list + 1);
        if (**list == '!') {
            token++;
            score = -100;
        }
        if (!add_scored(vocab, token, strlen(token), score)) return gn__spm_no_memory(c);
    }
    return GN_OK;
}

/* The number of the first [token, score] from `from` on, of any score or of 0; -1. */
static int64_t find_piece(const json_t *vocab, const char *token, size_t from, bool scoreless)
{
    for (size_t i = from; token != NULL && i < json_array_size(vocab); i++) {
        const json_t *pair = json_array_get(vocab, i);
        if ((!scoreless || json_real_value(json_array_get(pair, 1)) == 0) &&
            strcmp(json_string_value(json_array_get(pair, 0)), token) == 0)
            return (int64_t)i;
    }
    return -1;
}

static gn_status find_unknown(const gn__spm_job *c, const json_t *vocab, int64_t *unk)
{
    const gn__spm_family *f = c->family;
    const char *token = gn__spm_named(c, GN__SPM_UNK);
    *unk = f->unk;
    if (f->unknown == GN__SPM_UNK_FIXED) return GN_OK;
    *unk = c->m->unk_id;
    if (f->unknown == GN__SPM_UNK_TRAINER) return GN_OK;
    int64_t found = find_piece(vocab, token, (size_t)f->unk, f->unknown != GN__SPM_UNK_NAMED);
    if (found >= 0)
        *unk = found;
    else if (f->unknown == GN__SPM_UNK_NAMED)
        *unk = 0;
    else if (f->unknown == GN__SPM_UNK_SCORELESS_OR_100)
        *unk = 100;
    else if (f->unknown == GN__SPM_UNK_SCORELESS)
        return gn__spm_missing(c, token == NULL ? "unk_token" : token);
    return GN_OK;
}

static bool index_vocab(gn__spm_job *c, const json_t *vocab)
{
    uint32_t found;
    c->pieces = json_array_size(vocab);
    for (size_t i = c->pieces; i-- > 0;) { /* the first one put in stays */
        const json_t *token = json_array_get(json_array_get(vocab, i), 0);
        if (!gn__map_put(&c->ids, json_string_value(token), json_string_length(token), (uint32_t)i, &found))
            return false;
    }
    return true;
}

gn_status gn__spm_set_unigram(gn__spm_job *c)
{
    const gn__spm_family *f = c->family;
    json_t *vocab = json_array(), *model = json_pack("{s:s}", "type", "Unigram");
    gn_status status = vocab == NULL || !gn__spm_set(c->root, "model", model) ? gn__spm_no_memory(c) : GN_OK;
    int64_t unk = c->m->unk_id;
    if (status == GN_OK && f != NULL) status = add_fixed(c, vocab, f->first);
    for (size_t i = f == NULL ? 0 : f->skipped; status == GN_OK && i < c->m->pieces; i++) {
        const gn__spm_piece *p = &c->m->piece[i];
        if (!add_scored(vocab, p->text, p->length, (double)p->score)) status = gn__spm_no_memory(c);
    }
    if (status == GN_OK && f != NULL) status = add_fixed(c, vocab, f->last);
    if (status == GN_OK && f != NULL) status = find_unknown(c, vocab, &unk);
    if (status == GN_OK && !index_vocab(c, vocab)) status = gn__spm_no_memory(c);
    if (status == GN_OK &&
        (!gn__spm_set(model, "unk_id", json_integer(unk)) ||
         !gn__spm_set(model, "byte_fallback", json_boolean(f == NULL && c->m->byte_fallback)) ||
         json_object_set(model, "vocab", vocab) != 0))
        status = gn__spm_no_memory(c);
    json_decref(vocab);
    return status;
}

/* ---- the vocabulary of BPE ----------------------------------------------------------------------- */

typedef struct merge {
    double score; /* of what the two become */
    uint32_t whole, left;
} merge;

/* By falling score, then by the piece's number; then by the left part: its length for the classes, its text
 * where the model speaks for itself, and since both begin the same piece that is the same. */
static int by_rank(const void *a, const void *b)
{
    const merge *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->whole != y->whole) return x->whole < y->whole ? -1 : 1;
    return x->left < y->left ? -1 : x->left > y->left;
}

/* Every way to cut a piece into two others is a merge. The classes rank them by the piece's number alone; a
 * model that speaks for itself by its score, and among normal pieces only. */
static bool add_merges(const gn__spm_job *c, json_t *merges)
{
    const gn__spm *m = c->m;
    bool all = c->family != NULL, good = true;
    size_t count = 0, capacity = 0;
    merge *list = NULL;
    for (size_t i = 0; good && i < m->pieces; i++) {
        const gn__spm_piece *p = &m->piece[i];
        if (gn__map_get(&c->ids, p->text, p->length) != (int64_t)i || (!all && p->type != GN__SPM_NORMAL))
            continue;
        for (size_t at = 1; good && at < p->length; at++) {
            if ((p->text[at] & 0xC0) == 0x80) continue;
            int64_t left = gn__map_get(&c->ids, p->text, at);
            int64_t right = gn__map_get(&c->ids, p->text + at, p->length - at);
            if (left < 0 || right < 0 ||
                (!all && (m->piece[left].type != GN__SPM_NORMAL || m->piece[right].type != GN__SPM_NORMAL)))
                continue;
            if (count == capacity) {
                capacity = capacity + capacity / 2 + 1024;
                merge *bigger = gn__realloc(list, capacity, sizeof *bigger);
                good = bigger != NULL;
                if (good) list = bigger;
            }
            if (good) list[count++] = (merge){all ? 0 : (double)p->score, (uint32_t)i, (uint32_t)at};
        }
    }
    if (good && count > 0) qsort(list, count, sizeof *list, by_rank);
    for (size_t i = 0; good && i < count; i++) {
        const gn__spm_piece *p = &m->piece[list[i].whole];
        json_t *pair = json_pack("[s%, s%]", p->text, (size_t)list[i].left, p->text + list[i].left,
                                 p->length - list[i].left);
        good = pair != NULL && json_array_append_new(merges, pair) == 0;
    }
    free(list);
    return good;
}

static bool has_user_defined(const gn__spm *m)
{
    for (size_t i = 0; i < m->pieces; i++)
        if (m->piece[i].type == GN__SPM_USER_DEFINED) return true;
    return false;
}

gn_status gn__spm_set_bpe(gn__spm_job *c)
{
    const gn__spm *m = c->m;
    json_t *vocab = json_object(), *merges = json_array();
    json_t *model = json_pack("{s:s, s:b, s:b, s:b, s:o?, s:o?}", "type", "BPE", "fuse_unk", 1,
                              "byte_fallback", c->family != NULL || m->byte_fallback, "ignore_merges",
                              c->family == NULL && has_user_defined(m), "vocab", vocab, "merges", merges);
    if (vocab == NULL || merges == NULL || !gn__spm_set(c->root, "model", model)) return gn__spm_no_memory(c);
    c->pieces = m->pieces;
    for (size_t i = 0; i < m->pieces; i++) {
        const gn__spm_piece *p = &m->piece[i];
        uint32_t found;
        if (gn__map_get(&c->ids, p->text, p->length) >= 0)
            return gn__fail(c->source->err, GN_FORMAT, "%s: the piece \"%.*s\" is there twice",
                            c->source->file, (int)(p->length < 200 ? p->length : 200), p->text);
        if (!gn__map_put(&c->ids, p->text, p->length, (uint32_t)i, &found) ||
            json_object_setn_new(vocab, p->text, p->length, json_integer((json_int_t)i)) != 0)
            return gn__spm_no_memory(c);
    }
    if (!add_merges(c, merges)) return gn__spm_no_memory(c);
    json_t *unk = NULL;
    if (c->family == NULL)
        unk = json_stringn(m->unk.text, m->unk.length);
    else if (strcmp(c->family->name, "GemmaTokenizer") == 0 && gn__spm_named(c, GN__SPM_UNK) != NULL)
        unk = json_string(gn__spm_named(c, GN__SPM_UNK));
    else
        return GN_OK;
    return gn__spm_set(model, "unk_token", unk) ? GN_OK : gn__spm_no_memory(c);
}
