"""Networks beside the ensemble: intracranial volume, registration, super-resolution, T2 synthesis."""
