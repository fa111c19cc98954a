#include "text/sentencepiece.h"
#include "text/vocab.h"

typedef struct reader {
    const unsigned char *at, *end;
} reader;

typedef struct field {
    uint64_t number, value; /* value: of varints */
    unsigned wire;
    reader bytes; /* of the other kinds */
} field;

static bool varint(reader *r, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        unsigned char byte = *r->at++;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

/* The next field; *bad where the rest is none. */
static bool next_field(reader *r, field *f, bool *bad)
{
    uint64_t key, size = 0;
    if (r->at == r->end) return false;
    *bad = true;
    if (!varint(r, &key)) return false;
    f->number = key >> 3;
    f->wire = key & 7;
    if (f->wire == 0) {
        if (!varint(r, &f->value)) return false;
    } else {
        if (f->wire == 2 ? !varint(r, &size) : f->wire != 1 && f->wire != 5) return false;
        if (f->wire != 2) size = f->wire == 1 ? 8 : 4;
        if (size > (uint64_t)(r->end - r->at)) return false;
        f->bytes = (reader){r->at, r->at + size};
        r->at += size;
    }
    *bad = false;
    return true;
}

static bool is_text(const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t code;
        size_t size = gn__utf8_decode(s + at, n - at, &code);
        if (code == 0 || (code == 0xFFFD && (size != 3 || memcmp(s + at, "\xEF\xBF\xBD", 3) != 0)))
            return false;
        at += size;
    }
    return true;
}

static bool read_piece(reader r, gn__spm_piece *p)
{
    field f;
    bool bad = false;
    *p = (gn__spm_piece){.text = "", .type = 1};
    while (next_field(&r, &f, &bad)) {
        if (f.number == 1 && f.wire == 2) {
            p->text = (const char *)f.bytes.at;
            p->length = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 2 && f.wire == 5) {
            uint32_t bits = f.bytes.at[0] | (uint32_t)f.bytes.at[1] << 8 | (uint32_t)f.bytes.at[2] << 16 |
                            (uint32_t)f.bytes.at[3] << 24;
            memcpy(&p->score, &bits, sizeof bits);
        } else if (f.number == 3 && f.wire == 0) {
            p->type = f.value;
        }
    }
    return !bad && is_text(p->text, p->length) &&
           p->score - p->score == 0; /* neither infinite nor not a number */
}

static bool read_spec(reader r, uint64_t number, unsigned wire, field *out)
{
    field f;
    bool bad = false;
    while (next_field(&r, &f, &bad))
        if (f.number == number && f.wire == wire) *out = f;
    return !bad;
}

gn_status gn__spm_read(const gn__tok_source *source, const unsigned char *data, size_t size, gn__spm *out)
{
    gn__spm m = {.model_type = GN__SPM_UNIGRAM};
    reader all = {data, data + size}, r = all;
    field f;
    bool bad = false;
    size_t count = 0;
    while (next_field(&r, &f, &bad)) count += f.number == 1 && f.wire == 2;
    if (bad || count == 0 || count > GN__TOK_MAX_ID) goto malformed;
    m.piece = gn__calloc(count, sizeof *m.piece);
    if (m.piece == NULL) return gn__no_memory(source->err, count * sizeof *m.piece);
    for (r = all; next_field(&r, &f, &bad);) {
        field inner = {.value = GN__SPM_UNIGRAM};
        if (f.wire != 2) continue;
        if (f.number == 1) {
            if (!read_piece(f.bytes, &m.piece[m.pieces++])) goto malformed;
        } else if (f.number == 2) { /* trainer_spec.model_type */
            if (!read_spec(f.bytes, 3, 0, &inner)) goto malformed;
            m.model_type = inner.value;
        } else if (f.number == 3) { /* normalizer_spec.precompiled_charsmap */
            if (!read_spec(f.bytes, 2, 2, &inner)) goto malformed;
            m.charsmap = inner.bytes.at;
            m.charsmap_size = (size_t)(inner.bytes.end - inner.bytes.at);
        }
    }
    *out = m;
    return GN_OK;
malformed:
    gn__spm_free(&m);
    return gn__fail(source->err, GN_FORMAT, "%s is not a SentencePiece model", source->file);
}

void gn__spm_free(gn__spm *m)
{
    free(m->piece);
    *m = (gn__spm){0};
}
