/* GPT-2's printable stand-ins for bytes: a byte that is a visible Latin-1 character is itself, the other
 * 68 follow from U+0100 in order. */
#ifndef GENCHI_TEXT_BYTE_LEVEL_H
#define GENCHI_TEXT_BYTE_LEVEL_H

#include <stdint.h>

static inline uint32_t gn__tok_byte_char(unsigned char byte)
{
    if (byte <= 0x20) return 0x100u + byte;
    if (byte >= 0x7F && byte <= 0xA0) return 0x121u + byte - 0x7F;
    return byte == 0xAD ? 0x143 : byte;
}

#endif
