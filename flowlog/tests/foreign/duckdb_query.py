"""Runs the query in a file and prints the rows, with commas between the values."""

import sys
from pathlib import Path

import duckdb

for row in duckdb.sql(Path(sys.argv[1]).read_text()).fetchall():
    print(*row, sep=",")
