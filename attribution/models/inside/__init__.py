"""Private twins of a model that tell, or change, what it computes inside."""
