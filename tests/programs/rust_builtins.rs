//! The crate of this name that every `no_std` program names. What it would hold comes from libgcc,
//! board.c and rust_memory.c.
#![feature(compiler_builtins)]
#![allow(internal_features)]
#![compiler_builtins]
#![no_std]
