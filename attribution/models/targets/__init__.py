"""From a target to what is read off a model: which class, token or position, and as which number."""
