/* Vectors of the width that the including file's instruction set has, by the compiler's vector extension, and
 * the functions that activations and softmax need. a*b+c is fused here (-ffp-contract=fast for the files that
 * include this, and for no others). */
#ifndef GENCHI_TENSOR_KERNEL_VECTOR_H
#define GENCHI_TENSOR_KERNEL_VECTOR_H

#include "tensor/tensor.h"

#include <stddef.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { W = 16 };
#elif defined(__AVX2__)
enum { W = 8 };
#else
enum { W = 4 };
#endif
/* vu, viu: the same, for memory that is aligned to its elements only and may hold anything. */
typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef uint32_t vw __attribute__((vector_size(4 * W)));
typedef uint16_t vh __attribute__((vector_size(2 * W)));
typedef float vu __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef uint16_t vhu __attribute__((vector_size(2 * W), aligned(2)));

static inline vf load(const float *p)
{
    return *(const vu *)p;
}

static inline void store(float *p, vf x)
{
    *(vu *)p = x;
}

static inline vf all(float x)
{
    return x - (vf){0};
}

static inline vi all_int(int32_t x)
{
    return x - (vi){0};
}

static inline vf choose(vi where, vf yes, vf no)
{
    return (vf)((where & (vi)yes) | (~where & (vi)no));
}

/* x with lanes whose numbers differ in the bits of k exchanged. */
#if defined(__AVX512F__)
#define EXCHANGE(x, k)                                                                                  \
    __builtin_shufflevector(x, x, 0 ^ k, 1 ^ k, 2 ^ k, 3 ^ k, 4 ^ k, 5 ^ k, 6 ^ k, 7 ^ k, 8 ^ k, 9 ^ k, \
                            10 ^ k, 11 ^ k, 12 ^ k, 13 ^ k, 14 ^ k, 15 ^ k)
static const vi lane_number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
#define EXCHANGE(x, k) __builtin_shufflevector(x, x, 0 ^ k, 1 ^ k, 2 ^ k, 3 ^ k, 4 ^ k, 5 ^ k, 6 ^ k, 7 ^ k)
static const vi lane_number = {0, 1, 2, 3, 4, 5, 6, 7};
#else
#define EXCHANGE(x, k) __builtin_shufflevector(x, x, 0 ^ k, 1 ^ k, 2 ^ k, 3 ^ k)
static const vi lane_number = {0, 1, 2, 3};
#endif

/* y where x is not greater, so also where one of them is no number: as the instruction does. */
static inline vf larger(vf x, vf y)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)x, (__m512)y);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)x, (__m256)y);
#else
    return choose(x > y, x, y);
#endif
}

static inline float sum(vf x)
{
#if defined(__AVX512F__)
    x += EXCHANGE(x, 8);
#endif
#if defined(__AVX2__)
    x += EXCHANGE(x, 4);
#endif
    x += EXCHANGE(x, 2);
    x += EXCHANGE(x, 1);
    return x[0];
}

static inline float largest(vf x)
{
#if defined(__AVX512F__)
    x = larger(x, EXCHANGE(x, 8));
#endif
#if defined(__AVX2__)
    x = larger(x, EXCHANGE(x, 4));
#endif
    x = larger(x, EXCHANGE(x, 2));
    x = larger(x, EXCHANGE(x, 1));
    return x[0];
}

/* e^x, relative error below 2e-7, for x in [−87, 88] or NaN. x = n ln 2 + r; e^r = 1 + r + r² p(r) with
 * p fitted (Lawson's weighted least squares) on |r| ≤ ln 2 / 2. */
static inline vf exponential(vf x)
{
    const float magic = 0x1.8p23f; /* adding it leaves the nearest integer in the low mantissa bits */
    vf shifted = x * 0x1.715476p0f + magic;
    vf n = shifted - magic;
    vf r = x - n * 0x1.62e400p-1f - n * 0x1.7f7d1cp-20f;
    vf p = r * 0.0013950485736131668f + 0.008368887938559055f;
    p = p * r + 0.04166620597243309f;
    p = p * r + 0.166665181517601f;
    p = p * r + 0.5f;
    p = r * r * p + r + 1.0f;
    vw scale = ((vw)shifted + 127u) << 23; /* the integer's low bits are all that survives the shift */
    return p * (vf)scale;
}

static inline vf at_least(float low, vf x)
{
    return larger(all(low), x); /* NaN stays NaN */
}

/* 2^t for t in [−126, 1]: softmax's weights, whose largest is 1. t = n + r; 2^r by a polynomial fitted as
 * above on |r| ≤ 1/2, to 2e-9 of it; beside bf16 factors to 8e-5, a twentieth of what rounding the weight to
 * bf16 costs. */
static inline vf power_of_two(vf t)
{
    const float magic = 0x1.8p23f;
    vf shifted = t + magic;
    vf r = t - (shifted - magic);
#if defined(KERNEL_BF16)
    vf p = r * 0.0551716685295105f + 0.2426111251115799f;
    p = p * r + 0.6932609677314758f;
    p = p * r + 0.9999280571937561f;
#else
    vf p = r * 0.0001534581242594868f + 0.0013399930903688073f;
    p = p * r + 0.009618489071726799f;
    p = p * r + 0.05550328642129898f;
    p = p * r + 0.24022646248340607f;
    p = p * r + 0.6931471824645996f;
    p = p * r + 1.0f;
#endif
    vw scale = ((vw)shifted + 127u) << 23;
    return p * (vf)scale;
}

static inline vf sigmoid(vf x)
{
    x = choose(x > 87.0f, all(87.0f), at_least(-88.0f, x));
    return 1.0f / (1.0f + exponential(-x));
}

/* Φ(−t) for t ≥ 0: its logarithm is smooth there, so exp(polynomial), fitted as above on [0, 6] with the
 * weight that makes x Φ(x) good to 3e-8; beyond 6 it is 0 to float32's eyes. */
static inline vf normal_tail(vf t)
{
    vi far = t > 6.0f;
    vf u = -larger(all(-6.0f), -t); /* no number stays none */
    vf p = u * -2.0072203454901683e-08f + 5.952328478997515e-07f;
    p = p * u + -7.563271083199652e-06f;
    p = p * u + 5.247066656011157e-05f;
    p = p * u + -0.00019078365585301071f;
    p = p * u + -9.209961717715487e-06f;
    p = p * u + 0.00482992734760046f;
    p = p * u + -0.03636156767606735f;
    p = p * u + -0.31830307841300964f;
    p = p * u + -0.7978852391242981f;
    p = p * u + -0.6931471824645996f;
    return (vf)(~far & (vi)exponential(p));
}

static inline vf gelu(vf x)
{
    vi negative = x < 0.0f;
    vf tail = normal_tail((vf)((vi)x & 0x7FFFFFFF));
    return x * choose(negative, tail, 1.0f - tail);
}

static inline vf apply(gn__activation kind, vf x)
{
    switch (kind) {
    case GN__GELU:
        return gelu(x);
    case GN__GELU_TANH:
        return x * sigmoid(x * (1.5957691216057308f + 0.07135481627159605f * (x * x)));
    case GN__RELU:
        return choose(x < 0.0f, all(0.0f), x);
    case GN__NO_ACTIVATION:
        return x;
    case GN__SILU:
        break;
    }
    return x * sigmoid(x);
}

static inline vh narrow(vf x)
{
    vw u = (vw)x, rounded = (u + 0x7FFFu + (u >> 16 & 1u)) >> 16, quiet = u >> 16 | 0x40u;
    vw nan = (vw)(x != x);
    return __builtin_convertvector((nan & quiet) | (~nan & rounded), vh);
}

typedef float v4 __attribute__((vector_size(16)));
typedef float v4u __attribute__((vector_size(16), aligned(4), may_alias));

static inline void transpose4(const float *x, size_t x_stride, float *y, size_t y_stride)
{
    v4 a = *(const v4u *)x, b = *(const v4u *)(x + x_stride);
    v4 c = *(const v4u *)(x + 2 * x_stride), d = *(const v4u *)(x + 3 * x_stride);
    v4 ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    v4 cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(v4u *)y = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    *(v4u *)(y + y_stride) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    *(v4u *)(y + 2 * y_stride) = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
    *(v4u *)(y + 3 * y_stride) = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

typedef float unit __attribute__((may_alias)); /* 32 bits of whatever a row is made of */

/* y[i * y_stride + t] = x[t * x_stride + i] for T rows of n. */
static inline void transpose(const float *x, size_t x_stride, size_t T, size_t n, float *y, size_t y_stride)
{
    const unit *from = x;
    unit *to = y;
    size_t t = 0;
    for (; t + 4 <= T; t += 4) {
        size_t i = 0;
        for (; i + 4 <= n; i += 4) transpose4(x + t * x_stride + i, x_stride, y + i * y_stride + t, y_stride);
        for (; i < n; i++)
            for (size_t k = t; k < t + 4; k++) to[i * y_stride + k] = from[k * x_stride + i];
    }
    for (; t < T; t++)
        for (size_t i = 0; i < n; i++) to[i * y_stride + t] = from[t * x_stride + i];
}

#endif
