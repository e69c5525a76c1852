"""Models: which there are, how they take their inputs, and their scores without some rows."""
