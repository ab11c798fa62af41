"""What is measured of label maps: volumes, intracranial volume, overlap, confidence."""
