"""The description of REST for programs and people."""
