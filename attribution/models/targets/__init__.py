"""From a target to what is read off a model: which class, token or position is explained, and as which number."""
