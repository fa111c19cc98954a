/* Rows of float32 to bf16 and to 8 bits. */
#ifndef GENCHI_TENSOR_KERNEL_NARROW_H
#define GENCHI_TENSOR_KERNEL_NARROW_H

#include "tensor/kernel_vector.h"

#if defined(KERNEL_BF16)
#include <immintrin.h>
#endif

/* To nearest, ties to even. The instruction takes numbers below 2^-126 for 0, as its products do. */
static inline vh rounded(vf x)
{
#if defined(KERNEL_BF16)
    return (vh)_mm512_cvtneps_pbh((__m512)x);
#else
    return narrow(x);
#endif
}

static inline void to_bf16(uint16_t *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + W <= n; i += W) *(vhu *)(y + i) = rounded(load(x + i));
    if (i < n) {
        float rest[W] = {0};
        uint16_t out[W];
        memcpy(rest, x + i, (n - i) * sizeof *x);
        *(vhu *)out = rounded(load(rest));
        memcpy(y + i, out, (n - i) * sizeof *y);
    }
}

typedef uint8_t vb __attribute__((vector_size(W)));
typedef uint8_t vbu __attribute__((vector_size(W), aligned(1)));
typedef int32_t viu __attribute__((vector_size(4 * W), aligned(4)));

/* The nearest integer, |x| < 2^22; anything else gives some integer. */
static inline vi nearest(vf x)
{
    const float magic = 0x1.8p23f;
    return (vi)(x + magic) - 0x4B400000;
}

static inline vb to_byte(vf x, float inverse, int32_t zero)
{
    vi q = nearest(x * inverse) + zero, low = q & ~(q < 0);
    vi over = low > 255;
    return __builtin_convertvector((low & ~over) | (over & 255), vb);
}

/* What a row spans; odd is 0, but NaN from an infinity or a NaN. */
typedef struct span {
    vf most, least, odd;
} span;

static inline span widen(span s, vf x)
{
    return (span){larger(x, s.most), larger(-x, s.least), s.odd + x * 0.0f};
}

/* Scale and zero of a row; returns the scale's inverse. */
static inline float range(const float *x, size_t cols, gn__row8 *row)
{
    span s[4] = {{{0}, {0}, {0}}}; /* four, because one would wait for itself */
    size_t j = 0;
    for (; j + 4 * W <= cols; j += 4 * W)
        for (int k = 0; k < 4; k++) s[k] = widen(s[k], load(x + j + k * W));
    for (; j + W <= cols; j += W) s[0] = widen(s[0], load(x + j));
    if (j < cols) {
        float rest[W] = {0};
        memcpy(rest, x + j, (cols - j) * sizeof *x);
        s[0] = widen(s[0], load(rest));
    }
    for (int k = 1; k < 4; k++) {
        s[0].most = larger(s[k].most, s[0].most);
        s[0].least = larger(s[k].least, s[0].least);
        s[0].odd += s[k].odd;
    }
    float low = largest(s[0].least), width = largest(s[0].most) + low;
    float inverse = width > 1e-30f ? 255.0f / width : 0.0f;
    row->scale = (inverse > 0.0f ? width * (1.0f / 255.0f) : 0.0f) + sum(s[0].odd);
    row->zero = nearest(all(low * inverse))[0];
    return inverse;
}

static inline void to_u8(uint8_t *q, gn__row8 *row, const float *x, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, x += cols, q += cols) {
        float inverse = range(x, cols, &row[i]);
        size_t j = 0;
        for (; j + W <= cols; j += W) *(vbu *)(q + j) = to_byte(load(x + j), inverse, row[i].zero);
        if (j < cols) {
            float rest[W] = {0};
            uint8_t out[W];
            memcpy(rest, x + j, (cols - j) * sizeof *x);
            *(vbu *)out = to_byte(load(rest), inverse, row[i].zero);
            memcpy(q + j, out, cols - j);
        }
    }
}

#endif
