"""The hart's state and what is architectural: CSRs, traps, interrupts, triggers, regions."""
