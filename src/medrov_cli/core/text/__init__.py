"""Class names as text and as unit vectors: prompts, lexicon, encoders, cache."""
