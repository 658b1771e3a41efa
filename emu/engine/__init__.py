"""Running code: translation to micro-operations, the hot loop, and what drives it."""
