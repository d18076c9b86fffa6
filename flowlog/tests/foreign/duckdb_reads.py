"""Prints what DuckDB makes of every file below a directory: one line for each."""

import sys
from pathlib import Path

import duckdb

LOGS = (".csv", ".csv.gz", ".csv.zst", ".parquet")

for file in sorted(path for path in Path(sys.argv[1]).rglob("*") if path.name.endswith(LOGS)):
    read = "read_parquet" if file.suffix == ".parquet" else "read_csv"
    rows = duckdb.sql(
        f"""select count(*), count(src_addr), sum(packets), sum(bytes), min(status), max(status),
                   any_value(typeof(packets)), any_value(typeof(dst_port)),
                   any_value(typeof(timestamp_start)), any_value(typeof(interface_id)),
                   any_value(year), any_value(month)
            from {read}('{file}', hive_partitioning = true)"""
    )
    print(file.name.split(".", 1)[1], *rows.fetchall()[0])
