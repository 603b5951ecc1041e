"""The values that pictures draw, computed from results."""
