"""One scan: from what a user has to a result, without a dataset and without a cluster."""
