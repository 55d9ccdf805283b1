"""Cross-validation: what is missing is trained in jobs, then models are compared on their out-of-fold cases."""
