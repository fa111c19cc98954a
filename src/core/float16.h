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

#endif
