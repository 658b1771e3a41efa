"""A trace and its program: file, header, symbols, lines; how it ends."""
