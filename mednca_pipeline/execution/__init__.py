"""Independent work with progress and real tracebacks: in this process, in local processes, or on a Dask cluster."""
