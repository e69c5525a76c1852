"""Evaluation: are the values right, and what follows from them."""
