/* What compiled Rust calls besides memcpy and memset, which board.c has. */
#include "check.h"

void *memmove(void *to, const void *from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if ((uintptr_t)t - (uintptr_t)f >= length)
        while (length--)
            *t++ = *f++;
    else
        while (length--)
            t[length] = f[length];
    return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
    const unsigned char *p = a, *q = b;
    for (; length--; p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

int bcmp(const void *a, const void *b, size_t length)
{
    return memcmp(a, b, length);
}
