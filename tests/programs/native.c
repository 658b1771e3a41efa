/* board.c's console for `make native`. */
#include <stdio.h>
#include "board.h"

void print(const char *text) { fputs(text, stdout); }
void print_decimal(uint32_t value) { printf("%u", value); }
