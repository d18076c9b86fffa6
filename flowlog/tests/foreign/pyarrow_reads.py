"""Prints the schema, the row groups and the sums of every Parquet file below a directory; the sums of
CSV as well."""

import sys
from pathlib import Path

import pyarrow
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

LOGS = (".csv", ".csv.gz", ".csv.zst", ".parquet")

for file in sorted(path for path in Path(sys.argv[1]).rglob("*") if path.name.endswith(LOGS)):
    if file.suffix != ".parquet":
        # Of .gz it knows itself that it is compressed.
        source = pyarrow.input_stream(file) if file.suffix == ".zst" else file
        table = pyarrow.csv.read_csv(source)
        print(file.name.split(".", 1)[1], table.num_rows, pc.sum(table["packets"]), table.schema.field("packets").type)
        continue
    parquet = pq.ParquetFile(file)
    metadata = parquet.metadata
    column = metadata.row_group(0).column(0)
    table = parquet.read()
    print("parquet", column.compression, metadata.format_version, table.num_rows, pc.sum(table["packets"]))
    for index, field in enumerate(parquet.schema_arrow):
        chunk = metadata.row_group(0).column(index)
        statistics = chunk.statistics
        has_dictionary = any("DICTIONARY" in encoding for encoding in chunk.encodings)
        print(" ", field.name, field.type, "null" if field.nullable else "required", has_dictionary, statistics.has_min_max)
