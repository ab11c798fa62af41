"""Tables as tools write them: one file a format, one for the checks."""
