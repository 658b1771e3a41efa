"""RISC-V instructions: encodings as data, decoding, disassembly, control transfers.

`formats` and `tables` hold the facts; `decode`, `encode`, `disassemble` and `control` read them.
A new extension is a new table; a new operand layout is a new row of formats.
"""
