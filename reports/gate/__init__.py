"""From pairs and stored runs to verdicts. Pure."""
