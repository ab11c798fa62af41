"""A cerebellum that can be made older and younger."""
