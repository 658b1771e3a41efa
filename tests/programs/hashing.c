/* SHA-256 (FIPS 180-4), CRC-32 and a hash table with chains. */
#include "check.h"

#ifndef MESSAGE
#define MESSAGE 300 /* bytes, of the longest message hashed */
#endif
#ifndef WORDS
#define WORDS 200 /* in the table */
#endif

static uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }

static uint32_t constants[64], initial[8];

/* The first 32 bits of the fraction of the cube root (power 3) or square root (power 2) of n, by
   bisection: the standard's constants need no table. */
static uint32_t root_fraction(uint32_t n, int power)
{
    /* The root times 2^32 has at most 36 bits: compare its power, in parts of 32 bits, with n. */
    uint64_t low = 0, high = (uint64_t)1 << 36;
    while (high - low > 1) {
        uint64_t middle = (low + high) / 2;
        uint32_t part[2] = {(uint32_t)middle, (uint32_t)(middle >> 32)}, product[4] = {1};
        for (int p = 0; p < power; p++) {
            uint32_t next[4] = {0};
            for (int i = 0; i < 2; i++) {
                uint64_t carry = 0;
                for (int j = 0; i + j < 4; j++) {
                    carry += (uint64_t)part[i] * product[j] + next[i + j];
                    next[i + j] = (uint32_t)carry;
                    carry >>= 32;
                }
            }
            for (int i = 0; i < 4; i++)
                product[i] = next[i];
        }
        if (product[power] >= n)
            high = middle;
        else
            low = middle;
    }
    return (uint32_t)low;
}

static void make_constants(void)
{
    uint32_t count = 0;
    for (uint32_t n = 2; count < 64; n++) {
        uint32_t d = 2;
        while (d * d <= n && n % d)
            d++;
        if (d * d <= n)
            continue;
        if (count < 8)
            initial[count] = root_fraction(n, 2);
        constants[count++] = root_fraction(n, 3);
    }
}

static void sha256_block(uint32_t *state, const uint8_t *block)
{
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < 64; t++)
        w[t] = (turn(w[t - 2], 17) ^ turn(w[t - 2], 19) ^ w[t - 2] >> 10) + w[t - 7] +
               (turn(w[t - 15], 7) ^ turn(w[t - 15], 18) ^ w[t - 15] >> 3) + w[t - 16];
    uint32_t v[8];
    for (int i = 0; i < 8; i++)
        v[i] = state[i];
    for (int t = 0; t < 64; t++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t1 = v[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                      ((e & v[5]) ^ (~e & v[6])) + constants[t] + w[t];
        uint32_t t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
                      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        for (int i = 7; i > 0; i--)
            v[i] = v[i - 1];
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

static void sha256(const uint8_t *message, size_t length, uint32_t *digest)
{
    uint8_t block[64];
    size_t used = 0;
    for (int i = 0; i < 8; i++)
        digest[i] = initial[i];
    for (size_t i = 0; i < length; i++) {
        block[used++] = message[i];
        if (used == 64) {
            sha256_block(digest, block);
            used = 0;
        }
    }
    block[used++] = 0x80;
    if (used > 56) {
        while (used < 64)
            block[used++] = 0;
        sha256_block(digest, block);
        used = 0;
    }
    while (used < 56)
        block[used++] = 0;
    for (int i = 0; i < 8; i++)
        block[56 + i] = (uint8_t)((uint64_t)length * 8 >> (56 - 8 * i));
    sha256_block(digest, block);
}

static size_t length_of(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

static int same(const uint32_t *a, const uint32_t *b)
{
    uint32_t difference = 0;
    for (int i = 0; i < 8; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

static const struct {
    const char *text; /* NULL: MESSAGE bytes, i * 7 mod 256 each */
    uint32_t digest[8];
} known[] = {
    {"", {0xe3b0c442, 0x98fc1c14, 0x9afbf4c8, 0x996fb924, 0x27ae41e4, 0x649b934c, 0xa495991b, 0x7852b855}},
    {"abc", {0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad}},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     {0x248d6a61, 0xd20638b8, 0xe5c02693, 0x0c3e6039, 0xa33ce459, 0x64ff2167, 0xf6ecedd4, 0x19db06c1}},
    {NULL, {0x9a76b8af, 0x8f16f19d, 0x60de2b39, 0x99c22f9d, 0x10be4395, 0xc90ea3bf, 0xc5eb6cd6, 0x254243af}},
};

static uint8_t message[MESSAGE];

static void digests(void)
{
    uint32_t digest[8];
    make_constants();
    CHECK(constants[0] == 0x428a2f98 && constants[63] == 0xc67178f2);
    for (size_t i = 0; i < MESSAGE; i++)
        message[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *text = known[i].text;
        if (text)
            sha256((const uint8_t *)text, length_of(text), digest);
        else
            sha256(message, MESSAGE, digest);
        CHECK(same(digest, known[i].digest) || (!text && MESSAGE != 300));
    }
}

static uint32_t crc_table[256];

static uint32_t crc_bit_by_bit(const uint8_t *data, size_t length)
{
    uint32_t crc = ~0u;
    while (length--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static uint32_t crc_by_table(const uint8_t *data, size_t length)
{
    uint32_t crc = ~0u;
    while (length--)
        crc = crc_table[(crc ^ *data++) & 255] ^ crc >> 8;
    return ~crc;
}

static void crcs(void)
{
    const uint8_t *digits = (const uint8_t *)"123456789";
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (0xedb88320u & -(c & 1));
        crc_table[i] = c;
    }
    CHECK(crc_bit_by_bit(digits, 9) == 0xcbf43926);
    CHECK(crc_by_table(digits, 9) == 0xcbf43926);
    CHECK(crc_bit_by_bit(message, MESSAGE) == crc_by_table(message, MESSAGE));
}

enum { BUCKETS = 61 };
struct entry {
    struct entry *next;
    char key[8];
    uint32_t value;
};
static struct entry entries[WORDS], *buckets[BUCKETS], *unused;

static uint32_t hash(const char *key)
{
    uint32_t h = 2166136261u;
    while (*key)
        h = (h ^ (uint8_t)*key++) * 16777619u;
    return h % BUCKETS;
}

static int equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* The link that leads to the key's entry, or the chain's end. */
static struct entry **find(const char *key)
{
    struct entry **link = &buckets[hash(key)];
    while (*link && !equal((*link)->key, key))
        link = &(*link)->next;
    return link;
}

static void put(const char *key, uint32_t value)
{
    struct entry **link = find(key);
    if (!*link) {
        struct entry *fresh = unused;
        unused = fresh->next;
        for (int i = 0; i < 8; i++)
            fresh->key[i] = key[i];
        fresh->next = NULL;
        *link = fresh;
    }
    (*link)->value = value;
}

static void take(const char *key)
{
    struct entry **link = find(key), *gone = *link;
    if (!gone)
        return;
    *link = gone->next;
    gone->next = unused;
    unused = gone;
}

static void spell(uint32_t n, char *key)
{
    int at = 0;
    do
        key[at++] = (char)('a' + n % 26);
    while (n /= 26);
    while (at < 8)
        key[at++] = 0;
}

static void table(void)
{
    char key[8];
    for (int i = 0; i < WORDS; i++) {
        entries[i].next = unused;
        unused = &entries[i];
    }
    for (uint32_t i = 0; i < WORDS; i++) {
        spell(i * i, key);
        put(key, i);
    }
    for (uint32_t i = 0; i < WORDS; i += 3) {
        spell(i * i, key);
        take(key);
        take(key);
    }
    uint32_t right = 0;
    for (uint32_t i = 0; i < WORDS; i++) {
        spell(i * i, key);
        struct entry *entry = *find(key);
        right += i % 3 == 0 ? !entry : entry && entry->value == i;
    }
    CHECK(right == WORDS);
    uint32_t left = 0;
    for (int i = 0; i < BUCKETS; i++)
        for (struct entry *entry = buckets[i]; entry; entry = entry->next)
            left++;
    CHECK(left == WORDS - (WORDS + 2) / 3);
}

int main(void)
{
    digests();
    crcs();
    table();
    return verdict();
}
