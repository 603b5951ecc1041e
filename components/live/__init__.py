"""How pictures follow the controls: the latest request wins."""
