"""Servers and files that misbehave on purpose."""
