"""Where measurements come from. A source answers a question about a range of time with slices; it stores nothing."""
