"""How a run stands: progress while it runs, status from what is written down."""
