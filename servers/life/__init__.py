"""The life of a server process: its listening socket, its children and its end."""
