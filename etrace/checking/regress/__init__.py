"""Many cases held against their references (`etrace regress`)."""
