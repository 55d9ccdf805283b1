"""The page that segments and shows predictions in a browser, served to this machine alone."""
