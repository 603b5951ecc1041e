"""One extension of each kind: a method, a metric, a format, a tracker, a page and a task."""
