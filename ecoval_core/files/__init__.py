"""Files: CSV, JSON Lines, Excel and Parquet become a frame of cells."""
