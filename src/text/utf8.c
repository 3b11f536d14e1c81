/* Strict decoding: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "text/utf8.h"

#include <stdbool.h>
#include <wchar.h>

static bool follows(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character that begins with `byte`, 0 if none does. */
static unsigned length(unsigned char byte)
{
    if (byte < 0x80)
        return 1;
    if (byte >> 5 == 6)
        return 2;
    if (byte >> 4 == 14)
        return 3;
    return byte >> 3 == 30 ? 4 : 0;
}

unsigned utf8_next(const char *text, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;
    unsigned n = length(at[0]);
    uint32_t c = n == 1 ? at[0] : at[0] & (0x7fu >> n);
    *ret = 0xfffd;
    for (unsigned i = 1; i < n; i++) {
        if (!follows(at[i]))
            return 1;
        c = c << 6 | (at[i] & 0x3f);
    }
    if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 1;
    *ret = c;
    return n;
}

unsigned utf8_width(uint32_t c)
{
    if (c < 0x80)
        return 1;
    int width = wcwidth((wchar_t)c);
    return width < 0 ? 1 : (unsigned)width;
}
