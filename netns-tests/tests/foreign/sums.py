"""Sums what foreign readers find in each logger's folder (`{root}/0`, `{root}/1`, …), a line for each reader,
logger, port, direction and verdict: `reader logger port direction verdict packets bytes`."""

import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pandas
import pyarrow
import pyarrow.csv
import pyarrow.parquet
from flowlogs_reader import S3FlowLogsReader

sys.path.insert(0, str(Path(__file__).parents[3] / "flowlog/tests/foreign"))
from bucket import Bucket

ADDRESSES = dict(line.split() for line in Path(sys.argv[2]).read_text().splitlines())


def tell(reader, logger, rows):
    """Of rows (port, direction or None, source, verdict, packets, bytes)."""
    sums = defaultdict(lambda: [0, 0])
    for port, direction, source, verdict, packets, size in rows:
        if packets is None or packets != packets:
            continue  # a row without a flow
        if direction not in ("egress", "ingress"):
            direction = "egress" if str(source) == ADDRESSES[port] else "ingress"
        verdict = {"REJECT": "DROP"}.get(verdict, verdict)
        sum = sums[port, direction, verdict]
        sum[0] += int(packets)
        sum[1] += int(size)
    for key, sum in sorted(sums.items()):
        print(reader, logger, *key, *sum)


def columns(names):
    """Names of the columns, which are AWS's in AWS's files."""
    if "interface-id" in names:
        return ["interface-id", "flow-direction", "srcaddr", "action", "packets", "bytes"]
    return ["interface_id", "direction", "src_addr", "filter", "packets", "bytes"]


def of_table(names, column):
    """Rows of a table whose columns `column` gives; a column that is not there is None."""
    found = [column(name) if name in names else None for name in columns(names)]
    length = len(found[0])
    return zip(*(values if values is not None else [None] * length for values in found))


def with_duckdb(file, is_aws):
    how = ", delim = ' ', nullstr = '-'" if is_aws else ""
    read = "read_parquet" if file.suffix == ".parquet" else "read_csv"
    table = duckdb.sql(f"select * from {read}('{file}'{how})")
    rows = table.fetchall()
    return of_table(table.columns, lambda name: [row[table.columns.index(name)] for row in rows])


def with_pyarrow(file, _):
    if file.suffix == ".parquet":
        table = pyarrow.parquet.read_table(file)
    else:
        source = pyarrow.input_stream(file) if file.suffix == ".zst" else file
        table = pyarrow.csv.read_csv(source)
    return of_table(table.column_names, lambda name: table[name].to_pylist())


def with_pandas(file, is_aws):
    if file.suffix == ".parquet":
        frame = pandas.read_parquet(file)
    elif is_aws:
        frame = pandas.read_csv(file, sep=" ", na_values="-")
    else:
        frame = pandas.read_csv(file)
    return of_table(list(frame.columns), lambda name: frame[name].tolist())


def with_flowlogs_reader(folder):
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    day = timedelta(days=1)
    reader = S3FlowLogsReader(
        "bucket", start_time=now - day, end_time=now + day, boto_client=Bucket(folder), raise_on_error=True
    )
    for record in reader:
        direction = getattr(record, "flow_direction", None)
        yield record.interface_id, direction, record.srcaddr, record.action, record.packets, record.bytes


for folder in sorted(Path(sys.argv[1]).iterdir()):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    is_aws = files[0].name.endswith(".log.gz")
    readers = [("duckdb", with_duckdb)]
    if not is_aws:
        readers.append(("pyarrow", with_pyarrow))
    if files[0].suffix != ".zst":
        readers.append(("pandas", with_pandas))  # which needs `zstandard` for that
    for name, read in readers:
        tell(name, folder.name, (row for file in files for row in read(file, is_aws)))
    if is_aws:
        tell("flowlogs-reader", folder.name, with_flowlogs_reader(folder))
