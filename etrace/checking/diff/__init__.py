"""Two sides held against each other: flows first, then packets (`etrace diff`)."""
