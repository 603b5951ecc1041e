"""Where models compute: requests wait in one queue, and those that fit together share a batch."""
