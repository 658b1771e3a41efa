"""What a program asks of the host: HTIF, semihosting."""
