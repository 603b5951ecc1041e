"""The door to every model: check, clean, lease a model, run the method, check the result."""

from attribution.extras import needs_app

with needs_app():
    from attribution.engine.computation import versions
    from attribution.engine.engine import Engine, Model, default_engine

__all__ = ["Engine", "Model", "default_engine", "versions"]
