"""What is told to the encoder and to plugins: hooks, and the side band of the interface."""
