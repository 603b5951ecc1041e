"""Private twins of a model, for reading or changing its internal computations."""
