"""First labels of scans that have none, corrected by hand and read back."""
