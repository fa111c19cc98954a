/* Elementary functions over arrays, and the frequencies of random Fourier features (Rahimi & Recht 2007). */
#include "detect/detect.h"

typedef union bits32 {
    float f;
    int32_t i;
} bits32;

/* Adding and subtracting 1.5 × 2^23 rounds to the nearest integer. */
static const float round_magic = 12582912.0F;

/* Cody & Waite's reduction by pi/2 in three parts; minimax polynomials on [-pi/4, pi/4] as in Cephes' sinf
 * and cosf (Moshier 1989). */
GN__CLONES static void features_sincos(const float *angle, size_t n, float *cosine, float *sine)
{
    for (size_t i = 0; i < n; i++) {
        float q = (angle[i] * 0.636619772F + round_magic) - round_magic;
        float r = ((angle[i] - q * 1.5703125F) - q * 4.83751297e-4F) - q * 7.54978995e-8F;
        float r2 = r * r;
        float s = r + r * r2 * (-1.6666654611e-1F + r2 * (8.3321608736e-3F - r2 * 1.9515295891e-4F));
        float c =
            1 - 0.5F * r2 +
            r2 * r2 * (4.166664568298827e-2F + r2 * (-1.388731625493765e-3F + r2 * 2.443315711809948e-5F));
        int32_t k = (int32_t)q;
        float odd_s = k & 1 ? c : s, odd_c = k & 1 ? s : c;
        sine[i] = k & 2 ? -odd_s : odd_s;
        cosine[i] = (k + 1) & 2 ? -odd_c : odd_c;
    }
}

void gn__sincos(const float *angle, size_t n, float *cosine, float *sine)
{
    features_sincos(angle, n, cosine, sine);
}

/* 2^k times a polynomial of the rest (Cephes' expf), 0 up to -87. Cut off in a loop of its own, which leaves
 * k = -127 to be masked: of one loop gcc makes a branch, which it vectorises for AVX-512 only. */
GN__CLONES static void features_exp(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = x[i] > -87 ? x[i] : -88;
    for (size_t i = 0; i < n; i++) {
        float k = (x[i] * 1.44269504F + round_magic) - round_magic;
        float r = (x[i] - k * 0.693359375F) + k * 2.12194440e-4F;
        float p = 1.9875691500e-4F;
        p = p * r + 1.3981999507e-3F;
        p = p * r + 8.3334519073e-3F;
        p = p * r + 4.1665795894e-2F;
        p = p * r + 1.6666665459e-1F;
        p = p * r + 5.0000001201e-1F;
        bits32 b = {.f = p * r * r + r + 1};
        int32_t power = (int32_t)k;
        b.i = (b.i + power * (1 << 23)) & -(power > -127);
        x[i] = b.f;
    }
}

void gn__exp_negative(float *x, size_t n)
{
    features_exp(x, n);
}

void gn__frequencies(gn_context *ctx, size_t dim, uint64_t purpose, float *frequency)
{
    for (size_t f = 0; f < GN__FREQUENCIES; f++) {
        gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("detect/frequencies") ^ purpose, f);
        for (size_t j = 0; j < dim; j++) frequency[f * dim + j] = (float)gn__rng_normal(&r);
    }
}
