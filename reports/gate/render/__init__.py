"""One renderer of the gate's outcome per file."""
