"""What each instruction does, a file an extension; `emu.isa.kinds` says how it is written."""
