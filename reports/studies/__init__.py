"""What each study found: a section of the report, with its one sentence."""
