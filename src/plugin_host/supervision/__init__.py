"""What is kept in view while plugins start and run: starts that die, errors, time, and lag."""
