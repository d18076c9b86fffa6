"""Prints what pandas makes of every file below a directory."""

import sys
from pathlib import Path

import pandas

LOGS = (".csv", ".csv.gz", ".csv.zst", ".parquet")

for file in sorted(path for path in Path(sys.argv[1]).rglob("*") if path.name.endswith(LOGS)):
    if file.suffix == ".zst":
        continue  # needs the package `zstandard`, or Python 3.14
    frame = pandas.read_parquet(file) if file.suffix == ".parquet" else pandas.read_csv(file)
    print(file.name.split(".", 1)[1], len(frame), int(frame["packets"].sum()), frame["filter"].value_counts()["DROP"])
