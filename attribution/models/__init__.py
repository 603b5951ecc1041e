"""From a model's name to one number per output: catalogue → hub → store → adapter → objective."""
