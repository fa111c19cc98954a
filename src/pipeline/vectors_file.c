#include "pipeline/vectors_file.h"

#include "core/float16.h"

#include <stdio.h>

static const struct {
    const char *name, *npy, *safetensors;
    size_t size;
} types[] = {
    [GN_OUTPUT_F32] = {"float32", "<f4", "F32", 4},
    [GN_OUTPUT_F16] = {"float16", "<f2", "F16", 2},
    [GN_OUTPUT_BF16] = {"bfloat16", "<u2", "BF16", 2},
};

const char *gn_output_type_name(gn_output_type t)
{
    return (size_t)t < sizeof types / sizeof *types ? types[t].name : "?";
}

bool gn__is_safetensors(const char *path)
{
    static const char suffix[] = ".safetensors";
    size_t n = strlen(path), k = sizeof suffix - 1;
    return n >= k && strcmp(path + n - k, suffix) == 0;
}

/* Both leave room for the largest numbers: the rows are known last. The .npy has the header of gn_npy_write.
 */
size_t gn__layout_header(const gn__layout *l)
{
    return l->safetensors ? 256 : 128;
}

size_t gn__layout_row(const gn__layout *l)
{
    return l->dim * types[l->type].size;
}

void gn__layout_write(const gn__layout *l, uint64_t rows, char out[GN__HEADER_MOST])
{
    size_t whole = gn__layout_header(l), begin = l->safetensors ? 8 : 10, length = whole - begin;
    char text[GN__HEADER_MOST];
    int n;
    if (l->safetensors)
        n = snprintf(text, sizeof text,
                     "{\"embeddings\":{\"dtype\":\"%s\",\"shape\":[%llu,%zu],\"data_offsets\":[0,%llu]}}",
                     types[l->type].safetensors, (unsigned long long)rows, l->dim,
                     (unsigned long long)rows * gn__layout_row(l));
    else
        n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu, %zu), }",
                     types[l->type].npy, (unsigned long long)rows, l->dim);
    memset(out, ' ', whole);
    memcpy(out + begin, text, (size_t)n);
    if (l->safetensors) {
        for (size_t i = 0; i < 8; i++) out[i] = (char)((uint64_t)length >> (8 * i));
        return;
    }
    memcpy(out, "\x93NUMPY\x01", 8); /* the NUL is the minor version */
    out[8] = (char)(length & 0xFF);
    out[9] = (char)(length >> 8);
    out[whole - 1] = '\n';
}

bool gn__layout_convert(const gn__layout *l, const float *x, size_t n, unsigned char *out, size_t *bad)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        if (l->type == GN_OUTPUT_F32) {
            memcpy(&bits, &x[i], sizeof bits);
            for (int b = 0; b < 4; b++) out[4 * i + (size_t)b] = (unsigned char)(bits >> (8 * b));
            continue;
        }
        bits = l->type == GN_OUTPUT_F16 ? gn__f32_to_f16(x[i]) : gn__f32_to_bf16(x[i]);
        *bad = i;
        if (l->type == GN_OUTPUT_F16 && (bits & 0x7C00u) == 0x7C00u) return false;
        out[2 * i] = (unsigned char)bits;
        out[2 * i + 1] = (unsigned char)(bits >> 8);
    }
    return true;
}
