"""What runs on the customer's server before the product does: the prelude, the first unpacking, the start."""
