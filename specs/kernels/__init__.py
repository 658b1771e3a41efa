"""What kernels are made of: the one `njit`, words, host memory."""
