"""Gradient-descent optimizers that can be read, trusted and swept."""
