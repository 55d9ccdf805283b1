"""What lies below results/: the only code that knows its folders, its files' names and the state that a fold is in."""
