"""The queued endpoints, the REST routes, and what guards them."""
