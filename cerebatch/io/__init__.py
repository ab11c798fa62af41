"""Files: images, tables, sidecars and BIDS datasets, in and out."""
