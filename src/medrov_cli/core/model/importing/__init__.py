"""Import of foreign checkpoints without running their pickle."""
