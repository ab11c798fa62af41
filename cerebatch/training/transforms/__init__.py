"""What training does to images: random contrasts, deformations, flaws."""
