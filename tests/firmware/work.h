/* What the demo computes, free of the machine: the same on any computer. */
#ifndef WORK_H
#define WORK_H
#include <stddef.h>
#include <stdint.h>

#define SAMPLES 24  /* in a frame */
#define WINDOW 256  /* samples looked at together */
#define FRAME_MAX (2 * (2 * SAMPLES + 5) + 2)

uint32_t crc32(uint32_t crc, const void *data, size_t length);

/* Sender: frame `number` as bytes on the line; returns their count. Every eighth is damaged. */
size_t frame_build(uint32_t number, uint8_t *line);

/* Receiver: one byte from the line; 1 when a good frame is complete, -1 when a bad one was. */
struct receiver {
    enum { HUNT, LENGTH, BODY, ESCAPED } state;
    size_t want, have;
    uint8_t body[2 * SAMPLES + 4];
};
int receive(struct receiver *receiver, uint8_t byte);

/* What becomes of the samples of a good frame; `digest` goes over all of it. */
struct analysis {
    int16_t window[WINDOW];
    size_t next;
    int16_t sorted[WINDOW];
    int32_t filtered[WINDOW];
    int64_t energy;
    uint32_t digest;
};
void analyse(struct analysis *analysis, const uint8_t *body);
#endif
