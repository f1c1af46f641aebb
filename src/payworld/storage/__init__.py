"""The only folder that opens files or sockets."""
