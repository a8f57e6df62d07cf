"""Pseudo-labels within training: teacher, rules, targets."""
