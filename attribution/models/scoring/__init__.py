"""Where models compute for explained functions: requests wait in one queue, and those that fit together share a batch."""
