"""What a run will take: counts of passes times the speed of the machine."""
