"""Evidence: metrics, populations, unit tables, summaries, and the comparison of any two groups of units."""
