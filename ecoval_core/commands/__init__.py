"""What the commands are made of: their options, the valuation of a file, and the files that they write."""
