"""What small experiments found: their records, the table and the chart of each, the pages."""
