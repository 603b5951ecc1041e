"""Controls that several pages have, and what their values mean to the engine."""
