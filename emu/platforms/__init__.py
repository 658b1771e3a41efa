"""What a program runs on, as data, and the files that programs come in."""
