"""The scheduler of model computations: one queue, in which compatible requests share a batch."""
