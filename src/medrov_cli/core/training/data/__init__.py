"""Training batches: sampling, prompts, augmentation, image store."""
