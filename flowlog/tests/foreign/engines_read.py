"""Reads the folders of a directory as Polars, chDB, pyarrow's datasets and Spark do, each of which has an hour
per Hive folder. Prints `engine folder how: rows packets rows-of-hour-8 rows-of-hour-9`, or how it fails."""

import os
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])


def say(engine, folder, how, read):
    try:
        found = " ".join(str(one) for one in read())
    except Exception as error:
        found = f"fails: {type(error).__name__}"
    print(f"{engine} {folder.name} {how}: {found}")


def polars(folder):
    import polars
    from polars import col

    def hours(frame):
        hour = [(col("hour") == hour).sum().alias(f"of_{hour}") for hour in (8, 9)]
        return frame.select(polars.len(), col("packets").sum(), *hour).collect().row(0)

    def plain(frame):
        return frame.select(polars.len(), col("packets").sum()).collect().row(0)

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if "parquet" in folder.name:
        say("polars", folder, "as it is", lambda: hours(polars.scan_parquet(folder, hive_partitioning=True)))
        return
    types = {"packets": polars.Int64, "dst_port": polars.Int64}
    say("polars", folder, "as it is", lambda: plain(polars.scan_csv(files)))
    say("polars", folder, "types named", lambda: plain(polars.scan_csv(files, schema_overrides=types)))


def chdb(folder):
    import chdb

    ending = folder.name.split("-")[1]

    def read(form):
        file = f"file('{folder}/**/*.{ending}'{form})"
        query = f"select count(), sum(packets), countIf(hour = 8), countIf(hour = 9) from {file}"
        return str(chdb.query(query, "TSV")).split()

    say("chdb", folder, "as it is", lambda: read(""))
    if "parquet" not in folder.name:
        say("chdb", folder, "format named", lambda: read(", 'CSVWithNames'"))


def pyarrow(folder):
    import pyarrow
    import pyarrow.compute as compute
    from pyarrow import dataset

    def read(**options):
        form = "parquet" if "parquet" in folder.name else "csv"
        table = dataset.dataset(folder, format=form, partitioning="hive", **options).to_table()
        hours = [compute.sum(compute.equal(table["hour"], hour)).as_py() for hour in (8, 9)]
        return (table.num_rows, compute.sum(table["packets"]).as_py(), *hours)

    def named():
        # The columns' names from one file, their types from the query's author.
        types = {"packets": pyarrow.int64(), "dst_port": pyarrow.int64()}
        found = dataset.dataset(folder, format="csv", partitioning="hive").schema
        folders = ("year", "month", "day", "hour")
        fields = [f if f.name in folders else (f.name, types.get(f.name, pyarrow.string())) for f in found]
        return read(schema=pyarrow.schema(fields))

    if "zst" in folder.name:
        # A dataset does not unpack it; a single file goes through `pyarrow.input_stream`.
        return
    say("pyarrow", folder, "as it is", read)
    if "parquet" not in folder.name:
        say("pyarrow", folder, "types named", named)


def spark(folder):
    read = SPARK.read
    frame = read.parquet if "parquet" in folder.name else read.option("header", True).option("inferSchema", True).csv

    def found():
        frame(str(folder)).createOrReplaceTempView("log")
        query = "select count(*), sum(packets), count_if(hour = 8), count_if(hour = 9) from log"
        return SPARK.sql(query).first()

    say("spark", folder, "as it is", found)


folders = sorted(path for path in ROOT.iterdir() if not path.name.startswith("."))
if sys.argv[2] == "spark":
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # One session for all, as small as it gets.
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.driver.memory": "512m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    SPARK = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    SPARK.sparkContext.setLogLevel("OFF")
    for folder in folders:
        spark(folder)
    SPARK.stop()
else:
    for folder in folders:
        for engine in (polars, chdb, pyarrow):
            engine(folder)
