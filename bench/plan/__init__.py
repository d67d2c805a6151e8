"""What is to be measured, in which order, and how often. Pure."""
