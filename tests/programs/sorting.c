/* Sorting and searching through pointers to functions. */
#include "check.h"

#ifndef ITEMS
#define ITEMS 120
#endif

typedef int (*order)(uint32_t, uint32_t);
typedef void (*sorter)(uint32_t *, size_t, order);

static int rising(uint32_t a, uint32_t b) { return a < b ? -1 : a > b; }
static int falling(uint32_t a, uint32_t b) { return rising(b, a); }

static int bits(uint32_t a)
{
    int count = 0;
    for (; a; a &= a - 1)
        count++;
    return count;
}

/* By the number of one bits, then by value. */
static int by_bits(uint32_t a, uint32_t b)
{
    int difference = bits(a) - bits(b);
    return difference ? difference : rising(a, b);
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void insertion_sort(uint32_t *items, size_t count, order compare)
{
    for (size_t i = 1; i < count; i++) {
        uint32_t item = items[i];
        size_t j = i;
        for (; j > 0 && compare(items[j - 1], item) > 0; j--)
            items[j] = items[j - 1];
        items[j] = item;
    }
}

/* The smaller side by recursion, so that the stack stays small. */
static void quicksort(uint32_t *items, size_t count, order compare)
{
    while (count > 8) {
        uint32_t pivot = items[count / 2];
        size_t i = 0, j = count - 1;
        for (;;) {
            while (compare(items[i], pivot) < 0)
                i++;
            while (compare(items[j], pivot) > 0)
                j--;
            if (i >= j)
                break;
            swap(&items[i++], &items[j--]);
        }
        size_t left = j + 1;
        if (left < count - left) {
            quicksort(items, left, compare);
            items += left;
            count -= left;
        } else {
            quicksort(items + left, count - left, compare);
            count = left;
        }
    }
    insertion_sort(items, count, compare);
}

static void sift(uint32_t *heap, size_t at, size_t count, order compare)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && compare(heap[child + 1], heap[child]) > 0)
            child++;
        if (compare(heap[at], heap[child]) >= 0)
            return;
        swap(&heap[at], &heap[child]);
        at = child;
    }
}

static void heapsort(uint32_t *items, size_t count, order compare)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(items, i, count, compare);
    for (size_t end = count; end-- > 1;) {
        swap(&items[0], &items[end]);
        sift(items, 0, end, compare);
    }
}

static uint32_t spare[ITEMS];

static void merge_sort(uint32_t *items, size_t count, order compare)
{
    if (count < 2)
        return;
    size_t half = count / 2;
    merge_sort(items, half, compare);
    merge_sort(items + half, count - half, compare);
    for (size_t i = 0; i < half; i++)
        spare[i] = items[i];
    size_t left = 0, right = half, out = 0;
    while (left < half)
        if (right == count || compare(spare[left], items[right]) <= 0)
            items[out++] = spare[left++];
        else
            items[out++] = items[right++];
}

/* Where `item` is, or would be. */
static size_t search(const uint32_t *items, size_t count, uint32_t item, order compare)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(items[middle], item) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t items[ITEMS];

static uint32_t fill(uint32_t seed)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        items[i] = random_next(&seed) & 0xffff; /* some of them equal */
        sum += items[i] * items[i];
    }
    return sum;
}

static void try(sorter sort, order compare, uint32_t seed)
{
    uint32_t before = fill(seed), after = 0;
    sort(items, ITEMS, compare);
    int ordered = 1;
    for (size_t i = 0; i < ITEMS; i++) {
        after += items[i] * items[i];
        ordered &= i == 0 || compare(items[i - 1], items[i]) <= 0;
    }
    CHECK(ordered);
    CHECK(before == after);
    int found = 1;
    for (size_t i = 0; i < ITEMS; i += 5) {
        size_t at = search(items, ITEMS, items[i], compare);
        found &= at <= i && items[at] == items[i];
        found &= at == 0 || compare(items[at - 1], items[i]) < 0;
    }
    CHECK(found);
}

int main(void)
{
    static const sorter sorters[] = {quicksort, heapsort, merge_sort};
    for (uint32_t i = 0; i < 3; i++) {
        try(sorters[i], rising, i + 1);
        try(sorters[i], falling, i + 1);
    }
    try(quicksort, by_bits, 9);
    return verdict();
}
