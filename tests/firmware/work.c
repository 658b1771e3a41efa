/* Framing, CRC, sorting, filtering and a chain of small operations called through pointers. */
#include "work.h"

enum { FLAG = 0x7e, ESCAPE = 0x7d, FLIP = 0x20 };

uint32_t crc32(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *byte = data;
    crc = ~crc;
    while (length--) {
        crc ^= *byte++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static uint32_t scramble(uint32_t x)
{
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ x << 5;
}

static uint8_t *put(uint8_t *line, uint8_t byte)
{
    if (byte == FLAG || byte == ESCAPE) {
        *line++ = ESCAPE;
        byte ^= FLIP;
    }
    *line++ = byte;
    return line;
}

size_t frame_build(uint32_t number, uint8_t *line)
{
    uint8_t body[2 * SAMPLES + 4];
    uint32_t noise = 0x9e3779b9u * (number + 1);
    for (int i = 0; i < SAMPLES; i++) {
        noise = scramble(noise);
        int32_t ramp = (int32_t)((number * SAMPLES + (uint32_t)i) % 400) - 200;
        int16_t sample = (int16_t)(ramp * 64 + (int32_t)(noise & 1023) - 512);
        body[2 * i] = (uint8_t)sample;
        body[2 * i + 1] = (uint8_t)((uint16_t)sample >> 8);
    }
    uint32_t crc = crc32(0, body, 2 * SAMPLES);
    for (int i = 0; i < 4; i++)
        body[2 * SAMPLES + i] = (uint8_t)(crc >> 8 * i);
    if (number % 8 == 5)
        body[number % sizeof body] ^= 0x10;

    uint8_t *end = line;
    *end++ = FLAG;
    end = put(end, sizeof body);
    for (size_t i = 0; i < sizeof body; i++)
        end = put(end, body[i]);
    return (size_t)(end - line);
}

int receive(struct receiver *r, uint8_t byte)
{
    if (byte == FLAG) {
        r->state = LENGTH;
        return 0;
    }
    switch (r->state) {
    case HUNT:
        return 0;
    case LENGTH:
        r->want = byte;
        r->have = 0;
        r->state = byte == sizeof r->body ? BODY : HUNT;
        return 0;
    case BODY:
        if (byte == ESCAPE) {
            r->state = ESCAPED;
            return 0;
        }
        break;
    case ESCAPED:
        byte ^= FLIP;
        r->state = BODY;
        break;
    }
    r->body[r->have++] = byte;
    if (r->have < r->want)
        return 0;
    r->state = HUNT;
    uint32_t crc = crc32(0, r->body, 2 * SAMPLES);
    for (int i = 0; i < 4; i++)
        if (r->body[2 * SAMPLES + i] != (uint8_t)(crc >> 8 * i))
            return -1;
    return 1;
}

static void quicksort(int16_t *low, int16_t *high)
{
    while (low < high) {
        int16_t pivot = low[(high - low) / 2], *i = low, *j = high;
        while (i <= j) {
            while (*i < pivot)
                i++;
            while (*j > pivot)
                j--;
            if (i <= j) {
                int16_t swap = *i;
                *i++ = *j;
                *j-- = swap;
            }
        }
        quicksort(low, j);
        low = i;
    }
}

static int32_t scale(int32_t x, int32_t y) { return (int32_t)((uint32_t)x * 3u + (uint32_t)y) / 4; }
static int32_t limit(int32_t x, int32_t y) { return x > y ? y : x < -y ? -y : x; }
static int32_t mix(int32_t x, int32_t y) { return (int32_t)((uint32_t)x * 31u ^ (uint32_t)y); }
static int32_t (*const operations[])(int32_t, int32_t) = {scale, limit, mix};

void analyse(struct analysis *a, const uint8_t *body)
{
    static const int16_t taps[] = {3, -9, 17, 42, 17, -9, 3};
    for (int i = 0; i < SAMPLES; i++) {
        a->window[a->next] = (int16_t)(body[2 * i] | body[2 * i + 1] << 8);
        a->next = (a->next + 1) % WINDOW;
    }
    for (size_t i = 0; i < WINDOW; i++) {
        a->sorted[i] = a->window[i];
        int32_t sum = 0;
        for (size_t k = 0; k < sizeof taps / sizeof *taps; k++)
            sum += taps[k] * a->window[(i + k) % WINDOW];
        a->filtered[i] = sum / 64;
        a->energy += (int64_t)sum * sum / (1 + (int64_t)i);
    }
    quicksort(a->sorted, a->sorted + WINDOW - 1);

    int32_t value = a->sorted[WINDOW / 2];
    for (size_t i = 0; i < WINDOW; i++)
        value = operations[(uint32_t)value % 3](value, a->filtered[i]);

    a->digest = crc32(a->digest, a->sorted, sizeof a->sorted);
    a->digest = crc32(a->digest, a->filtered, sizeof a->filtered);
    a->digest = crc32(a->digest, &a->energy, sizeof a->energy);
    a->digest = crc32(a->digest, &value, sizeof value);
}
