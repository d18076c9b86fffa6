"""Prints what DuckDB and pandas make of AWS text below a directory."""

import sys
from pathlib import Path

import duckdb
import pandas

everything = f"read_csv('{sys.argv[1]}/**/*.log.gz', delim = ' ', nullstr = '-')"
rows = duckdb.sql(f"select count(*), sum(packets), any_value(typeof(packets)) from {everything}")
print("duckdb", *rows.fetchall()[0])
files = Path(sys.argv[1]).rglob("*.log.gz")
frame = pandas.concat(pandas.read_csv(file, sep=" ", na_values="-") for file in files)
print("pandas", len(frame), int(frame["packets"].sum()))
