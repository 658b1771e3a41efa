// What a hosted C++ library would bring: static constructors, memory, run-time types, exceptions.
#ifndef CXX_RUNTIME_H
#define CXX_RUNTIME_H
#include "check.h"

// Before anything else in main: makes the exception tables known, constructs static objects.
void runtime_start();

// Blocks that `operator new` gave and `operator delete` has not had back; exceptions in flight.
extern unsigned blocks_in_use, exceptions_in_use;

inline void *operator new(size_t, void *place) noexcept { return place; }
#endif
