"""Where calls run: in this process, on Dask, on Ray."""
