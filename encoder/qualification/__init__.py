"""Before the encoder: filters, comparators and triggers say what is traced."""
