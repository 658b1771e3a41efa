# mtvec in vectored mode: exceptions at the base, interrupt n at base + 4 n.
    .file "demo_vectors.S"
    .text
    .balign 256
    .option push
    .option norvc
    .globl vectors
vectors:
    j trap_entry
    j stray
    j stray
    j software_vector
    j stray
    j stray
    j stray
    j timer_vector
    .option pop
stray:
    li a0, 98
    tail exit
