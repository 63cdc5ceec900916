"""The figures of the product beside those of its peers, taken in the same run: `python -m tests.bench [NAME...]`."""
