/* What every program here uses to check itself. */
#ifndef CHECK_H
#define CHECK_H

#ifdef __cplusplus
extern "C" {
#endif
#include "board.h"

/* Says which line found something wrong; `verdict` then returns 1, else 0. */
#define CHECK(condition) check_line(__LINE__, (condition) != 0)
void check_line(uint32_t line, int holds);
int verdict(void);

/* A small linear congruential generator, the same sequence for every width. */
uint32_t random_next(uint32_t *state);
#ifdef __cplusplus
}
#endif
#endif
