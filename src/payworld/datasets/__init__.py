"""Products on the same kernel; none imports another."""
