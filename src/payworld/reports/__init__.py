"""Reports read finished data; they never write any."""
