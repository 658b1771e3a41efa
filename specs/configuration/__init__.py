"""Parameters and filters: what a parameter file may say."""
