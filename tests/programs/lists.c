/* Linked lists, an AVL tree, strings, ways to copy memory, a printf of our own, 64-bit division. */
#include <stdarg.h>
#include "check.h"

#ifndef NODES
#define NODES 200
#endif
#ifndef KEYS
#define KEYS 128
#endif
#ifndef COPIES
#define COPIES 40
#endif
#ifndef DIVISIONS
#define DIVISIONS 60
#endif

struct node {
    struct node *next;
    uint32_t key;
};
static struct node nodes[NODES];

static struct node *reversed(struct node *list)
{
    struct node *done = NULL;
    while (list) {
        struct node *rest = list->next;
        list->next = done;
        done = list;
        list = rest;
    }
    return done;
}

static struct node *merged(struct node *a, struct node *b)
{
    struct node *first = NULL, **link = &first;
    while (a && b) {
        struct node **smaller = b->key < a->key ? &b : &a;
        *link = *smaller;
        link = &(*link)->next;
        *smaller = *link;
    }
    *link = a ? a : b;
    return first;
}

static struct node *sorted(struct node *list)
{
    if (!list || !list->next)
        return list;
    struct node *middle = list, *end = list->next;
    while (end && end->next) {
        middle = middle->next;
        end = end->next->next;
    }
    struct node *half = middle->next;
    middle->next = NULL;
    return merged(sorted(list), sorted(half));
}

static void lists(void)
{
    struct node *list = NULL;
    uint32_t seed = 5, sum = 0;
    for (int i = 0; i < NODES; i++) {
        nodes[i].key = random_next(&seed);
        nodes[i].next = list;
        list = &nodes[i];
        sum += nodes[i].key;
    }
    CHECK(reversed(reversed(list)) == list);
    list = sorted(list);
    int count = 0, ordered = 1;
    for (struct node *at = list; at; at = at->next) {
        count++;
        sum -= at->key;
        ordered &= !at->next || at->key <= at->next->key;
    }
    CHECK(count == NODES && ordered && sum == 0);
}

/* A tree whose sides differ by at most one level. */
struct tree {
    struct tree *side[2];
    int32_t key;
    int height;
};
static struct tree leaves[KEYS];

static int height(const struct tree *t) { return t ? t->height : 0; }

static void measure(struct tree *t)
{
    int a = height(t->side[0]), b = height(t->side[1]);
    t->height = 1 + (a > b ? a : b);
}

/* Its child on the `heavy` side comes up. */
static struct tree *rotated(struct tree *t, int heavy)
{
    struct tree *up = t->side[heavy];
    t->side[heavy] = up->side[!heavy];
    up->side[!heavy] = t;
    measure(t);
    measure(up);
    return up;
}

static struct tree *balanced(struct tree *t)
{
    measure(t);
    int lean = height(t->side[1]) - height(t->side[0]);
    if (lean >= -1 && lean <= 1)
        return t;
    int heavy = lean > 0;
    struct tree *child = t->side[heavy];
    if (height(child->side[!heavy]) > height(child->side[heavy]))
        t->side[heavy] = rotated(child, !heavy);
    return rotated(t, heavy);
}

static struct tree *inserted(struct tree *t, struct tree *fresh)
{
    if (!t)
        return balanced(fresh);
    int side = fresh->key > t->key;
    t->side[side] = inserted(t->side[side], fresh);
    return balanced(t);
}

static struct tree *without_least(struct tree *t, struct tree **least)
{
    if (!t->side[0]) {
        *least = t;
        return t->side[1];
    }
    t->side[0] = without_least(t->side[0], least);
    return balanced(t);
}

static struct tree *removed(struct tree *t, int32_t key)
{
    if (!t)
        return t;
    if (key != t->key) {
        int side = key > t->key;
        t->side[side] = removed(t->side[side], key);
        return balanced(t);
    }
    if (!t->side[1])
        return t->side[0];
    struct tree *least;
    struct tree *right = without_least(t->side[1], &least);
    least->side[0] = t->side[0];
    least->side[1] = right;
    return balanced(least);
}

/* Number of keys, or -1 if the tree is not what it should be. */
static int sound(const struct tree *t, int32_t low, int32_t high)
{
    if (!t)
        return 0;
    int lean = height(t->side[1]) - height(t->side[0]);
    if (t->key <= low || t->key >= high || lean < -1 || lean > 1)
        return -1;
    int left = sound(t->side[0], low, t->key), right = sound(t->side[1], t->key, high);
    return left < 0 || right < 0 ? -1 : left + right + 1;
}

static void trees(void)
{
    struct tree *tree = NULL;
    for (int32_t i = 0; i < KEYS; i++) { /* half of them rising, half falling */
        leaves[i].key = i % 2 ? i : -i;
        tree = inserted(tree, &leaves[i]);
    }
    CHECK(sound(tree, -KEYS, KEYS) == KEYS);
    int levels = 0;
    while (1 << levels <= KEYS)
        levels++;
    CHECK(tree->height <= levels * 3 / 2);
    for (int32_t i = 0; i < KEYS; i += 2)
        tree = removed(tree, -i);
    CHECK(sound(tree, 0, KEYS) == KEYS / 2);
    tree = removed(tree, KEYS + 1);
    CHECK(sound(tree, 0, KEYS) == KEYS / 2);
}

static size_t length(const char *s)
{
    const char *end = s;
    while (*end)
        end++;
    return (size_t)(end - s);
}

static int compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (uint8_t)*a - (uint8_t)*b;
}

static const char *find(const char *text, const char *part)
{
    for (;; text++) {
        size_t i = 0;
        while (part[i] && text[i] == part[i])
            i++;
        if (!part[i])
            return text;
        if (!*text)
            return NULL;
    }
}

/* The next word in place, and the text behind it. */
static char *word_of(char **text, char separator)
{
    char *start = *text;
    while (*start == separator)
        start++;
    char *end = start;
    while (*end && *end != separator)
        end++;
    *text = *end ? end + 1 : end;
    *end = 0;
    return *start ? start : NULL;
}

static void strings(void)
{
    char text[] = "  a trace is worth  a thousand breakpoints ";
    const char *breakpoints = find(text, "breakpoints");
    CHECK(breakpoints == text + 31 && find(text, "watchpoints") == NULL);
    CHECK(compare(breakpoints, "breakpoints ") == 0 && compare("abc", "abd") < 0);
    CHECK(length(text) == 43);
    char *rest = text;
    size_t words = 0, letters = 0;
    for (char *w; (w = word_of(&rest, ' ')); words++)
        letters += length(w);
    CHECK(words == 7 && letters == 33);
}

/* Four ways to copy. */
typedef void (*copier)(uint8_t *to, const uint8_t *from, size_t count);

static void copy_bytes(uint8_t *to, const uint8_t *from, size_t count)
{
    while (count--)
        *to++ = *from++;
}

static void copy_backwards(uint8_t *to, const uint8_t *from, size_t count)
{
    while (count--)
        to[count] = from[count];
}

static void copy_words(uint8_t *to, const uint8_t *from, size_t count)
{
    if (((uintptr_t)to ^ (uintptr_t)from) % sizeof(word)) {
        copy_bytes(to, from, count);
        return;
    }
    for (; count && (uintptr_t)to % sizeof(word); count--)
        *to++ = *from++;
    for (; count >= sizeof(word); count -= sizeof(word)) {
        *(word __attribute__((may_alias)) *)to = *(const word __attribute__((may_alias)) *)from;
        to += sizeof(word);
        from += sizeof(word);
    }
    copy_bytes(to, from, count);
}

/* Into the middle of an unrolled loop. */
static void copy_unrolled(uint8_t *to, const uint8_t *from, size_t count)
{
    if (count == 0)
        return;
    size_t rounds = (count + 7) / 8;
    switch (count % 8) {
    case 0: do { *to++ = *from++; __attribute__((fallthrough));
    case 7: *to++ = *from++; __attribute__((fallthrough));
    case 6: *to++ = *from++; __attribute__((fallthrough));
    case 5: *to++ = *from++; __attribute__((fallthrough));
    case 4: *to++ = *from++; __attribute__((fallthrough));
    case 3: *to++ = *from++; __attribute__((fallthrough));
    case 2: *to++ = *from++; __attribute__((fallthrough));
    case 1: *to++ = *from++;
            } while (--rounds);
    }
}

static void copies(void)
{
    static const copier copiers[] = {copy_bytes, copy_backwards, copy_words, copy_unrolled};
    static uint8_t from[128], to[128];
    uint32_t seed = 77, wrong = 0;
    for (uint32_t n = 0; n < COPIES; n++) {
        uint32_t r = random_next(&seed);
        size_t a = r % 16, b = r >> 4 & 15, count = r >> 8 & 63;
        for (size_t i = 0; i < sizeof from; i++) {
            from[i] = (uint8_t)(i ^ n);
            to[i] = 0xee;
        }
        copiers[n % 4](to + a, from + b, count);
        for (size_t i = 0; i < sizeof to; i++)
            wrong += to[i] != (i >= a && i < a + count ? from[i - a + b] : 0xee);
    }
    CHECK(wrong == 0);
}

/* printf into a buffer: %d %u %x %s %c %%, and %U for a uint64_t, each with a width. */
struct output {
    char *at, *end;
};

static void put(struct output *out, char c)
{
    if (out->at < out->end)
        *out->at++ = c;
}

static void put_number(struct output *out, uint64_t value, uint32_t base, int negative, int width, char pad)
{
    char digits[20];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        put(out, '-');
    for (int i = count + negative; i < width; i++)
        put(out, pad);
    while (count)
        put(out, digits[--count]);
}

static void format(char *to, size_t size, const char *how, ...)
{
    struct output out = {to, to + size - 1};
    va_list arguments;
    va_start(arguments, how);
    for (; *how; how++) {
        if (*how != '%') {
            put(&out, *how);
            continue;
        }
        char pad = how[1] == '0' ? '0' : ' ';
        int width = 0;
        while (*++how >= '0' && *how <= '9')
            width = width * 10 + *how - '0';
        switch (*how) {
        case 'd': {
            int value = va_arg(arguments, int);
            put_number(&out, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0, width, pad);
            break;
        }
        case 'u': put_number(&out, va_arg(arguments, unsigned), 10, 0, width, pad); break;
        case 'x': put_number(&out, va_arg(arguments, unsigned), 16, 0, width, pad); break;
        case 'U': put_number(&out, va_arg(arguments, uint64_t), 10, 0, width, pad); break;
        case 's': {
            const char *text = va_arg(arguments, const char *);
            for (int left = width - (int)length(text); left > 0; left--)
                put(&out, pad);
            while (*text)
                put(&out, *text++);
            break;
        }
        case 'c': put(&out, (char)va_arg(arguments, int)); break;
        default: put(&out, *how);
        }
    }
    va_end(arguments);
    *out.at = 0;
}

static void formats(void)
{
    char line[80];
    format(line, sizeof line, "%d|%5d|%05u|%x|%8x|%s|%6s|%c|%%", -42, 7, 99u, 0xbeefu, 0xcafeu, "ab", "cd", '!');
    CHECK(compare(line, "-42|    7|00099|beef|    cafe|ab|    cd|!|%") == 0);
    format(line, sizeof line, "%U %d %s", (uint64_t)12345678901234567890u, -2147483647 - 1, "end");
    CHECK(compare(line, "12345678901234567890 -2147483648 end") == 0);
    format(line, 8, "%s", "cut short here");
    CHECK(compare(line, "cut sho") == 0);
}

/* One bit at a time, to compare with the compiler's division. */
static uint64_t divided(uint64_t a, uint64_t b, uint64_t *rest)
{
    uint64_t quotient = 0, remainder = 0;
    for (int bit = 63; bit >= 0; bit--) {
        int carry = remainder >> 63 != 0;
        remainder = remainder << 1 | (a >> bit & 1);
        if (carry || remainder >= b) {
            remainder -= b;
            quotient |= (uint64_t)1 << bit;
        }
    }
    *rest = remainder;
    return quotient;
}

static void divisions(void)
{
    uint32_t seed = 3, wrong = 0;
    for (int i = 0; i < DIVISIONS; i++) {
        uint64_t a = (uint64_t)random_next(&seed) << 32 | random_next(&seed);
        uint64_t b = ((uint64_t)random_next(&seed) << 32 | random_next(&seed)) >> i % 60 | 1;
        uint64_t rest, quotient = divided(a, b, &rest);
        wrong += a / b != quotient || a % b != rest;
        int64_t minus_a = -(int64_t)(a >> 1), signed_b = (int64_t)(b >> 1 | 1);
        wrong += minus_a / signed_b != -(int64_t)((a >> 1) / (uint64_t)signed_b);
        wrong += minus_a / signed_b * signed_b + minus_a % signed_b != minus_a;
    }
    CHECK(wrong == 0);
}

int main(void)
{
    lists();
    trees();
    strings();
    copies();
    formats();
    divisions();
    return verdict();
}
