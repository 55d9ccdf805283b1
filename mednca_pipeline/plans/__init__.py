"""Contracts that everybody reads: the plan of a dataset and its models, and the folds. Rules are in planning/."""
