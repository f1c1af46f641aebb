"""The day step (pure) and the run that joins it with storage."""
