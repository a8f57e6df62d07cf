"""Training of the network: loss, assignment, optimizers, state."""
