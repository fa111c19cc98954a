/* .npy files. Format: numpy/lib/format.py's specification ("A Simple File Format for NumPy Arrays"): a magic,
 * a version, the length of a header, and the header, a Python dict literal with descr, fortran_order, shape.
 */
#include "core/float16.h"
#include "data/data.h"

#include <jansson.h>
#include <stdio.h>

enum { PREFIX = 6, MAX_DIMS = 8 };

static const char magic[PREFIX + 1] = "\x93NUMPY";

typedef struct npy_header {
    char descr[64];
    bool fortran, structured, bfloat16;
    uint64_t shape[MAX_DIMS];
    size_t dims;
    bool has_descr, has_order, has_shape;
} npy_header;

typedef struct literal {
    const char *at, *end;
} literal;

static void skip_space(literal *l)
{
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\n' || *l->at == '\t' || *l->at == '\r')) l->at++;
}

static bool take_char(literal *l, char c)
{
    skip_space(l);
    if (l->at >= l->end || *l->at != c) return false;
    l->at++;
    return true;
}

static bool take_word(literal *l, const char *word)
{
    size_t n = strlen(word);
    skip_space(l);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, word, n) != 0) return false;
    l->at += n;
    return true;
}

/* A string without escapes, as NumPy writes them. */
static bool take_string(literal *l, char *out, size_t capacity)
{
    skip_space(l);
    if (l->at >= l->end || (*l->at != '\'' && *l->at != '"')) return false;
    char quote = *l->at++;
    const char *close = memchr(l->at, quote, (size_t)(l->end - l->at));
    if (close == NULL || (size_t)(close - l->at) >= capacity) return false;
    size_t n = (size_t)(close - l->at);
    if (memchr(l->at, '\\', n) != NULL || memchr(l->at, '\n', n) != NULL || memchr(l->at, '\0', n) != NULL)
        return false;
    memcpy(out, l->at, n);
    out[n] = '\0';
    l->at = close + 1;
    return true;
}

static bool take_integer(literal *l, uint64_t *out)
{
    uint64_t x = 0;
    const char *begin;
    skip_space(l);
    for (begin = l->at; l->at < l->end && *l->at >= '0' && *l->at <= '9'; l->at++)
        if (__builtin_mul_overflow(x, 10, &x) || __builtin_add_overflow(x, (uint64_t)(*l->at - '0'), &x))
            return false;
    if (l->at == begin) return false;
    if (l->at < l->end && *l->at == 'L') l->at++; /* Python 2 */
    *out = x;
    return true;
}

/* (), (3,), (3, 4) … */
static bool take_shape(literal *l, npy_header *h)
{
    if (!take_char(l, '(')) return false;
    while (!take_char(l, ')')) {
        if (h->dims == MAX_DIMS || !take_integer(l, &h->shape[h->dims])) return false;
        h->dims++;
        if (take_char(l, ',')) continue;
        return h->dims > 1 && take_char(l, ')');
    }
    return true;
}

/* 0 at the dict's end, 1 after an entry, -1 where it is not what NumPy writes. */
static int take_entry(literal *l, npy_header *h)
{
    char key[32];
    if (take_char(l, '}')) return 0;
    if (!take_string(l, key, sizeof key) || !take_char(l, ':')) return -1;
    if (strcmp(key, "descr") == 0 && !h->has_descr) {
        h->has_descr = true;
        skip_space(l);
        if (l->at < l->end && *l->at == '[') {
            h->structured = true;
            return 0;
        }
        if (!take_string(l, h->descr, sizeof h->descr)) return -1;
    } else if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        h->has_order = true;
        h->fortran = take_word(l, "True");
        if (!h->fortran && !take_word(l, "False")) return -1;
    } else if (strcmp(key, "shape") == 0 && !h->has_shape) {
        h->has_shape = true;
        if (!take_shape(l, h)) return -1;
    } else {
        return -1;
    }
    if (take_char(l, ',')) return 1;
    return take_char(l, '}') ? 0 : -1;
}

static bool parse_header(const char *s, size_t n, npy_header *h)
{
    literal l = {s, s + n};
    int more;
    if (!take_char(&l, '{')) return false;
    while ((more = take_entry(&l, h)) == 1) {
    }
    if (more < 0) return false;
    if (h->structured) return true;
    skip_space(&l);
    return l.at == l.end && h->has_descr && h->has_order && h->has_shape;
}

static float load(const unsigned char *p, size_t size, const npy_header *h)
{
    uint64_t bits = 0;
    bool big = h->descr[0] == '>';
    for (size_t i = 0; i < size; i++) bits |= (uint64_t)p[big ? size - 1 - i : i] << (8 * i);
    if (h->bfloat16) return gn__bf16_to_f32((uint16_t)bits);
    if (size == 2) return gn__f16_to_f32((uint16_t)bits);
    if (size == 4) {
        uint32_t half = (uint32_t)bits;
        float f;
        memcpy(&f, &half, sizeof f);
        return f;
    }
    double d;
    memcpy(&d, &bits, sizeof d);
    return (float)d;
}

static void fill(gn_matrix *m, const unsigned char *p, size_t size, const npy_header *h)
{
    enum { TILE = 32 };
    if (!h->fortran) {
        for (size_t i = 0; i < m->rows * m->cols; i++) m->data[i] = load(p + i * size, size, h);
        return;
    }
    for (size_t i0 = 0; i0 < m->rows; i0 += TILE)
        for (size_t j0 = 0; j0 < m->cols; j0 += TILE)
            for (size_t i = i0; i < m->rows && i < i0 + TILE; i++)
                for (size_t j = j0; j < m->cols && j < j0 + TILE; j++)
                    m->data[i * m->cols + j] = load(p + (j * m->rows + i) * size, size, h);
}

static gn_status check_finite(const char *path, const gn_matrix *m, gn_error *err)
{
    size_t bad = 0, first = 0;
    for (size_t i = 0; i < m->rows * m->cols; i++)
        if (!(m->data[i] - m->data[i] == 0)) {
            if (bad++ == 0) first = i;
        }
    if (bad == 0) return GN_OK;
    return gn__fail(
        err, GN_DATA,
        "%s has values that are NaN, infinite or beyond float32: %zu of them, the first in row %zu, "
        "column %zu (counted from 1)",
        path, bad, first / m->cols + 1, first % m->cols + 1);
}

static gn_status refuse_shape(const char *path, const npy_header *h, gn_error *err)
{
    gn__buf shape = {0};
    for (size_t i = 0; i < h->dims; i++)
        gn__buf_printf(&shape, "%s%llu", i > 0 ? ", " : "", (unsigned long long)h->shape[i]);
    if (h->dims == 1) gn__buf_putc(&shape, ','); /* as Python writes it */
    gn__buf_append(&shape, "", 0);
    gn_status status =
        shape.failed ? gn__no_memory(err, 64)
                     : gn__fail(err, GN_FORMAT,
                                "%s holds an array of shape (%s); a matrix of two dimensions is needed, "
                                "one row a text, one column a component of its embedding",
                                path, shape.data);
    gn__buf_free(&shape);
    return status;
}

/* The header, and where the data begins. */
static gn_status open_array(const char *path, const unsigned char *data, size_t size, npy_header *h,
                            size_t *at, gn_error *err)
{
    if (size < PREFIX + 4 || memcmp(data, magic, PREFIX) != 0)
        return gn__fail(err, GN_FORMAT, "%s is not a .npy file (it does not begin with \\x93NUMPY)", path);
    unsigned version = data[PREFIX];
    if (version < 1 || version > 3 || data[PREFIX + 1] != 0)
        return gn__fail(err, GN_UNSUPPORTED, "%s is a .npy of version %u.%u; 1.0, 2.0 and 3.0 are known",
                        path, version, (unsigned)data[PREFIX + 1]);
    size_t begin = version == 1 ? PREFIX + 4 : PREFIX + 6, length = 0;
    for (size_t i = PREFIX + 2; i < begin && i < size; i++)
        length |= (size_t)data[i] << (8 * (i - PREFIX - 2));
    if (size < begin || length > size - begin)
        return gn__fail(err, GN_FORMAT, "%s is cut short: its header of %zu bytes is longer than the file",
                        path, length);
    if (!parse_header((const char *)data + begin, length, h))
        return gn__fail(err, GN_FORMAT, "%s has a header that is not a NumPy array description", path);
    *at = begin + length;
    return GN_OK;
}

/* NumPy has no bfloat16; `genchi embed` stores it as uint16 and says so in path.json. */
static bool says_bfloat16(const char *path)
{
    enum { MOST = 1 << 20 };
    gn__buf name = {0};
    char *text = NULL;
    size_t length;
    gn__buf_printf(&name, "%s.json", path);
    bool there = !name.failed && gn__file_exists(name.data) &&
                 gn__read_file(name.data, MOST, &text, &length, NULL) == GN_OK;
    json_t *root = there ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *schema = json_string_value(json_object_get(root, "schema"));
    const char *type = json_string_value(json_object_get(root, "type"));
    bool says = schema != NULL && type != NULL && strncmp(schema, "genchi.embeddings/", 18) == 0 &&
                strcmp(type, "bfloat16") == 0;
    json_decref(root);
    free(text);
    gn__buf_free(&name);
    return says;
}

/* Where the values of a matrix lie: at data + *offset, in elements of *element_size bytes; the file's size
 * agrees with the shape. */
static gn_status npy_layout(const char *path, const unsigned char *data, size_t size, npy_header *header,
                            size_t *offset, size_t *element_size, gn_error *err)
{
    static const struct {
        const char *type;
        size_t size;
    } types[] = {{"f2", 2}, {"f4", 4}, {"f8", 8}};
    npy_header h = {0};
    size_t element = 0, cells, bytes, at;
    GN__TRY(open_array(path, data, size, &h, &at, err));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if ((h.descr[0] == '<' || h.descr[0] == '>') && strcmp(h.descr + 1, types[i].type) == 0)
            element = types[i].size;
    h.bfloat16 = strcmp(h.descr, "<u2") == 0 && says_bfloat16(path);
    if (h.bfloat16) element = 2;
    if (element == 0)
        return gn__fail(err, GN_UNSUPPORTED,
                        "%s holds values of type %s; float16, float32 or float64 is needed", path,
                        h.structured ? "(structured)" : h.descr);
    if (h.dims != 2) return refuse_shape(path, &h, err);
    if (!gn__mul_size(h.shape[0], h.shape[1], &cells) || !gn__mul_size(cells, element, &bytes) ||
        bytes > SIZE_MAX / 4)
        return gn__fail(err, GN_FORMAT, "%s claims a shape of %llu by %llu, more than any memory holds", path,
                        (unsigned long long)h.shape[0], (unsigned long long)h.shape[1]);
    if (bytes != size - at)
        return gn__fail(err, GN_FORMAT, "%s has %zu bytes of data where its shape %zu by %zu needs %zu", path,
                        size - at, (size_t)h.shape[0], (size_t)h.shape[1], bytes);
    *header = h;
    *offset = at;
    *element_size = element;
    return GN_OK;
}

gn_status gn__npy_parse(const char *path, const unsigned char *data, size_t size, gn_matrix *out,
                        gn_error *err)
{
    npy_header h;
    size_t offset, element;
    GN__TRY(npy_layout(path, data, size, &h, &offset, &element, err));
    gn_matrix m;
    GN__TRY(gn_matrix_create(h.shape[0], h.shape[1], &m, err));
    fill(&m, data + offset, element, &h);
    gn_status status = check_finite(path, &m, err);
    if (status == GN_OK)
        *out = m;
    else
        gn_matrix_free(&m);
    return status;
}

/* ---- columns of labels, ids, groups ---------------------------------------------------------------- */

static uint64_t load_bits(const unsigned char *p, size_t size, bool big)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) bits |= (uint64_t)p[big ? size - 1 - i : i] << (8 * i);
    return bits;
}

/* What "<i8", "|b1", "<U12", "|S5" say. */
typedef struct column_type {
    char kind; /* i, u, b, U, S */
    bool big;
    size_t width; /* bytes a value */
} column_type;

static bool read_type(const npy_header *h, column_type *t)
{
    const char *d = h->descr;
    if (h->structured || strchr("<>|=", d[0]) == NULL || d[0] == '\0' || strchr("iubUS", d[1]) == NULL ||
        d[1] == '\0')
        return false;
    char *end;
    if (d[2] < '0' || d[2] > '9') return false;
    unsigned long long n = strtoull(d + 2, &end, 10);
    if (*end != '\0' || n > 1000000) return false;
    *t = (column_type){d[1], d[0] == '>', d[1] == 'U' ? 4 * (size_t)n : (size_t)n};
    if (t->kind == 'b') return n == 1;
    if (t->kind == 'i' || t->kind == 'u') return n == 1 || n == 2 || n == 4 || n == 8;
    return true;
}

static void put_value(const column_type *t, const unsigned char *p, gn__buf *b)
{
    b->length = 0;
    gn__buf_append(b, "", 0);
    if (t->kind == 'S') {
        size_t n = t->width;
        while (n > 0 && p[n - 1] == 0) n--;
        for (size_t used; n > 0; p += used, n -= used) {
            uint32_t c;
            char utf8[4];
            used = gn__utf8_decode((const char *)p, n, &c);
            gn__buf_append(b, utf8, gn__utf8_encode(c ? c : 0xFFFD, utf8));
        }
    } else if (t->kind == 'U') {
        size_t n = t->width / 4;
        while (n > 0 && load_bits(p + 4 * (n - 1), 4, t->big) == 0) n--;
        for (size_t i = 0; i < n; i++) {
            uint64_t c = load_bits(p + 4 * i, 4, t->big);
            char utf8[4];
            bool scalar = c > 0 && c < 0x110000 && !(c >= 0xD800 && c < 0xE000);
            gn__buf_append(b, utf8, gn__utf8_encode(scalar ? (uint32_t)c : 0xFFFD, utf8));
        }
    } else {
        uint64_t bits = load_bits(p, t->width, t->big);
        unsigned shift = 64 - 8 * (unsigned)t->width;
        if (t->kind == 'i')
            gn__buf_printf(b, "%lld", (long long)(bits << shift) >> shift);
        else
            gn__buf_printf(b, "%llu", (unsigned long long)bits);
    }
}

gn_status gn__npy_column(const char *path, const unsigned char *data, size_t size, gn__arena *arena,
                         char ***value, size_t *count, gn_error *err)
{
    npy_header h = {0};
    column_type t;
    size_t at, bytes;
    GN__TRY(open_array(path, data, size, &h, &at, err));
    if (!read_type(&h, &t))
        return gn__fail(
            err, GN_UNSUPPORTED,
            "%s holds values of type %s; integers, booleans or strings are needed (pickled objects are not "
            "read)",
            path, h.structured ? "(structured)" : h.descr);
    if (h.dims != 1)
        return gn__fail(err, GN_FORMAT, "%s should have one dimension, but has %zu", path, h.dims);
    if (!gn__mul_size(h.shape[0], t.width, &bytes) || bytes != size - at || h.shape[0] > size)
        return gn__fail(err, GN_FORMAT, "%s has %zu bytes of data where %llu values of type %s do not fit",
                        path, size - at, (unsigned long long)h.shape[0], h.descr);
    char **out = gn__arena_alloc(arena, (h.shape[0] + 1) * sizeof *out);
    if (out == NULL) return gn__no_memory(err, h.shape[0] * sizeof *out);
    gn__buf b = {0};
    gn_status status = GN_OK;
    for (size_t i = 0; i < h.shape[0] && status == GN_OK; i++) {
        put_value(&t, data + at + i * t.width, &b);
        out[i] = b.failed ? NULL : gn__arena_strndup(arena, b.data, b.length);
        if (out[i] == NULL) status = gn__no_memory(err, t.width);
    }
    gn__buf_free(&b);
    if (status == GN_OK) {
        *value = out;
        *count = h.shape[0];
    }
    return status;
}

gn_status gn_npy_read(const char *path, gn_matrix *out, gn_error *err)
{
    gn__mapping map;
    GN__TRY(gn__map_file(path, &map, err));
    gn_status status = gn__npy_parse(path, map.data, map.size, out, err);
    gn__unmap_file(&map);
    return status;
}

gn_status gn_npy_map(const char *path, gn_npy *out, gn_error *err)
{
    static const uint16_t one = 1;
    gn__mapping map;
    npy_header h;
    size_t offset, element;
    GN__TRY(gn__map_file(path, &map, err));
    gn_status status = npy_layout(path, map.data, map.size, &h, &offset, &element, err);
    bool little = *(const unsigned char *)&one == 1;
    gn_npy m = {0};
    if (status == GN_OK && little && strcmp(h.descr, "<f4") == 0 && !h.fortran &&
        offset % sizeof(float) == 0) {
        /* gn_matrix is written to by those who own it; this one is not theirs to write. */
        m = (gn_npy){.matrix = {(float *)(uintptr_t)(map.data + offset), h.shape[0], h.shape[1]},
                     .map = (void *)(uintptr_t)map.data,
                     .map_size = map.size};
        status = check_finite(path, &m.matrix, err);
    } else if (status == GN_OK) {
        status = gn__npy_parse(path, map.data, map.size, &m.matrix, err);
    }
    if (status != GN_OK || m.map == NULL) gn__unmap_file(&map);
    if (status == GN_OK) *out = m;
    return status;
}

void gn_npy_unmap(gn_npy *m)
{
    if (m->map != NULL) {
        gn__mapping map = {m->map, m->map_size};
        gn__unmap_file(&map);
    } else {
        gn_matrix_free(&m->matrix);
    }
    *m = (gn_npy){0};
}

/* Writes through a buffer that is little-endian whatever this machine is. */
static void put_floats(gn__writer *w, const float *x, size_t n)
{
    unsigned char block[65536];
    for (size_t at = 0; at < n;) {
        size_t k = n - at < sizeof block / 4 ? n - at : sizeof block / 4;
        for (size_t i = 0; i < k; i++) {
            uint32_t bits;
            memcpy(&bits, &x[at + i], sizeof bits);
            for (int b = 0; b < 4; b++) block[4 * i + (size_t)b] = (unsigned char)(bits >> (8 * b));
        }
        gn__writer_put(w, block, 4 * k);
        at += k;
    }
}

gn_status gn_npy_write(const char *path, const gn_matrix *m, gn_error *err)
{
    char header[192];
    int n = snprintf(header + PREFIX + 4, sizeof header - PREFIX - 4,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", m->rows, m->cols);
    /* the data begins at a multiple of 64, and the header ends in a newline */
    size_t used = PREFIX + 4 + (size_t)n, whole = (used + 1 + 63) / 64 * 64;
    memset(header + used, ' ', whole - used);
    header[whole - 1] = '\n';
    memcpy(header, magic, PREFIX);
    header[PREFIX] = 1;
    header[PREFIX + 1] = 0;
    header[PREFIX + 2] = (char)((whole - PREFIX - 4) & 0xFF);
    header[PREFIX + 3] = (char)((whole - PREFIX - 4) >> 8);
    gn__writer w;
    GN__TRY(gn__writer_open(&w, path, err));
    gn__writer_put(&w, header, whole);
    put_floats(&w, m->data, m->rows * m->cols);
    return gn__writer_commit(&w, err);
}
