"""Prints the rows and packets that Spark, Polars and chDB find below the folders of a directory, and what
they find for one hour of Hive folders: `engine folder rows packets rows-of-hour-8`."""

import os
import sys
from pathlib import Path

import chdb
import polars

ROOT = Path(sys.argv[1])


def kind(folder):
    return "parquet" if "parquet" in folder.name else "csv"


def say(engine, folder, rows, packets, hour):
    print(engine, folder.name, rows, packets, hour)


def by_polars(folder, files):
    if kind(folder) == "parquet":
        frame = polars.scan_parquet(files, hive_partitioning=True, glob=False)
    else:
        # Of files that hold the header alone it would guess text, for all.
        types = {"packets": polars.Int64, "dst_port": polars.Int64}
        frame = polars.scan_csv(files, schema_overrides=types)
    total = frame.select(polars.len(), polars.col("packets").sum()).collect().row(0)
    hour = "-"
    if kind(folder) == "parquet":
        hour = frame.filter(polars.col("hour").cast(polars.Int64) == 8).select(polars.len()).collect().item()
    return (*total, hour)


def by_chdb(folder, files):
    ending = "".join(files[0].suffixes[-2:]) if kind(folder) == "csv" else ".parquet"
    form = "Parquet" if kind(folder) == "parquet" else "CSVWithNames"
    compression = {".csv.gz": ", 'auto', 'gzip'", ".csv.zst": ", 'auto', 'zstd'"}.get(ending, "")
    table = f"file('{folder}/**/*{ending}', '{form}'{compression})"
    setting = "settings use_hive_partitioning = 1"
    lines = chdb.query(f"select count(), sum(packets), countIf(toInt64(hour) = 8) from {table} {setting}", "TSV")
    return str(lines).split()


def by_spark(spark, folder):
    if kind(folder) == "parquet":
        frame = spark.read.parquet(str(folder))
    else:
        frame = spark.read.csv(str(folder), header=True, inferSchema=True)
    frame.createOrReplaceTempView("log")
    return spark.sql("select count(*), sum(packets), count_if(cast(hour as int) = 8) from log").first()


folders = sorted(path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
if sys.argv[2] == "spark":
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for folder in folders:
        say("spark", folder, *by_spark(spark, folder))
    spark.stop()
else:
    for folder in folders:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        say("polars", folder, *by_polars(folder, files))
        say("chdb", folder, *by_chdb(folder, files))
