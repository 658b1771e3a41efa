"""Floating-point arithmetic on integers: IEEE 754 as RISC-V has it, in every bit and flag.

`formats`: what a register slot holds; `rounding`: the one place where a result is rounded;
`arithmetic`, `comparison`, `conversion`: the operations. Nothing here computes with the host's
floating point, so that results depend on no host.

A format is a word (F16, F32, F64) that a kernel takes as an argument: each is compiled once, not
once a format. Operands and results in f registers are slots of 64 bits, narrower values NaN-boxed;
`rm` is a rounding mode, 0 to 4; flags are those of fcsr.

An operation is an inlined function that takes its operands' boxes off and calls the kernel. A
caller has many of them, and Numba clears a place for the result of each call that it sees when a
function is entered (60 ns for ninety calls); of a call within an inlined function, where it is.
"""
