/* Half-precision and bfloat16 to float32. */
#ifndef GENCHI_CORE_FLOAT16_H
#define GENCHI_CORE_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline float gn__bf16_to_f32(uint16_t x)
{
    uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Round to nearest, ties to even; NaN stays NaN. */
static inline uint16_t gn__f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7FFFu + (u >> 16 & 1u)) >> 16);
}

static inline float gn__f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 0x1Fu, mantissa = h & 0x3FFu, u;
    if (exponent == 0x1F) {
        u = sign | 0x7F800000u | mantissa << 13;
    } else if (exponent != 0) {
        u = sign | (exponent + 112) << 23 | mantissa << 13;
    } else if (mantissa == 0) {
        u = sign;
    } else { /* subnormal: shift the leading one into place */
        exponent = 113;
        while ((mantissa & 0x400u) == 0) {
            mantissa <<= 1;
            exponent--;
        }
        u = sign | exponent << 23 | (mantissa & 0x3FFu) << 13;
    }
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Round to nearest, ties to even; beyond 65504 infinite, NaN stays NaN. */
static inline uint16_t gn__f32_to_f16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
    u &= 0x7FFFFFFFu;
    if (u > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);
    if (u >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* 65520 and more round to infinity */
    if (u < 0x38800000u) {                                   /* below 2^-14: subnormal, a multiple of 2^-24 */
        if (u < 0x33000000u) return sign;                    /* below half of the smallest */
        uint32_t shift = 126 - (u >> 23), mantissa = (u & 0x7FFFFFu) | 0x800000u;
        uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), half = 1u << (shift - 1);
        return (uint16_t)(sign | (kept + (rest > half || (rest == half && (kept & 1u)))));
    }
    u += 0xFFFu + (u >> 13 & 1u);
    return (uint16_t)(sign | (u - 0x38000000u) >> 13);
}

#endif
