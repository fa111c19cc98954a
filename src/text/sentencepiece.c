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

static gn__spm_string string_of(const field *f)
{
    return (gn__spm_string){(const char *)f->bytes.at, (size_t)(f->bytes.end - f->bytes.at)};
}

/* A piece's name; what is no text counts as not said. */
static void set_name(gn__spm_string *name, const field *f)
{
    gn__spm_string s = string_of(f);
    if (s.length > 0 && is_text(s.text, s.length)) *name = s;
}

static bool read_trainer(reader r, gn__spm *m)
{
    field f;
    bool bad = false;
    while (next_field(&r, &f, &bad)) {
        if (f.wire == 0) {
            switch (f.number) {
            case 3:
                m->model_type = f.value;
                break;
            case 35:
                m->byte_fallback = f.value != 0;
                break;
            case 40:
                m->unk_id = (int32_t)(uint32_t)f.value;
                break;
            case 41:
                m->bos_id = (int32_t)(uint32_t)f.value;
                break;
            case 42:
                m->eos_id = (int32_t)(uint32_t)f.value;
                break;
            default:
                break;
            }
        } else if (f.wire == 2) {
            if (f.number == 45) set_name(&m->unk, &f);
            if (f.number == 46) set_name(&m->bos, &f);
            if (f.number == 47) set_name(&m->eos, &f);
        }
    }
    return !bad;
}

static bool read_normalizer(reader r, gn__spm *m)
{
    field f;
    bool bad = false;
    while (next_field(&r, &f, &bad)) {
        if (f.number == 2 && f.wire == 2) m->charsmap = string_of(&f);
        if (f.number == 3 && f.wire == 0) m->add_dummy_prefix = f.value != 0;
        if (f.number == 4 && f.wire == 0) m->remove_extra_whitespaces = f.value != 0;
        if (f.number == 5 && f.wire == 0) m->escape_whitespaces = f.value != 0;
    }
    return !bad;
}

gn_status gn__spm_read(const gn__tok_source *source, const unsigned char *data, size_t size, gn__spm *out)
{
    /* the standard values of sentencepiece_model.proto */
    gn__spm m = {.model_type = GN__SPM_UNIGRAM,
                 .bos_id = 1,
                 .eos_id = 2,
                 .unk = {"<unk>", 5},
                 .bos = {"<s>", 3},
                 .eos = {"</s>", 4},
                 .add_dummy_prefix = true,
                 .remove_extra_whitespaces = true,
                 .escape_whitespaces = true};
    reader all = {data, data + size}, r = all;
    field f;
    bool bad = false;
    size_t count = 0;
    while (next_field(&r, &f, &bad)) count += f.number == 1 && f.wire == 2;
    if (bad || count == 0 || count > GN__TOK_MAX_ID) goto malformed;
    m.piece = gn__calloc(count, sizeof *m.piece);
    if (m.piece == NULL) return gn__no_memory(source->err, count * sizeof *m.piece);
    for (r = all; next_field(&r, &f, &bad);) {
        if (f.wire != 2) continue;
        if ((f.number == 1 && !read_piece(f.bytes, &m.piece[m.pieces++])) ||
            (f.number == 2 && !read_trainer(f.bytes, &m)) || (f.number == 3 && !read_normalizer(f.bytes, &m)))
            goto malformed;
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
