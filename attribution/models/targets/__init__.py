"""Resolving a target: which class, token or position is explained, and as which quantity."""
