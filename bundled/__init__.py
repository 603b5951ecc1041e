"""Weights, one folder a model: data only. ``attribution.models.sources.catalogue`` finds them."""
