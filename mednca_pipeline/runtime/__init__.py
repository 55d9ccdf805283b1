"""Everything that prediction needs and that needs no torch: readers and writers, geometry, preprocessing, fire masks,
ensemble and quality. Training and prediction share this code, so they cannot drift apart."""
