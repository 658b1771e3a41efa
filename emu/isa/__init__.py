"""What each instruction does, a file an extension."""
