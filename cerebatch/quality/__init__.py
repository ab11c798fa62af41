"""Quality of one case: numbers, the table of thresholds, flags in words, and a rating."""
