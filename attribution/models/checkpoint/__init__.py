"""What a checkpoint says about itself: positions, names of classes, probabilities, ways to call it."""
