"""Prints the records that flowlogs-reader finds in a directory, which stands for a bucket."""

import sys
from datetime import datetime
from pathlib import Path

from flowlogs_reader import S3FlowLogsReader

ROOT = Path(sys.argv[1])


class Bucket:
    """As much of an S3 client as the reader uses."""

    def list_objects_v2(self, Bucket, Prefix="", Delimiter=None):
        keys = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())
        keys = [key for key in keys if key.startswith(Prefix)]
        if Delimiter is None:
            return {"Contents": [{"Key": key} for key in keys]}
        rests = [key[len(Prefix):] for key in keys]
        folders = sorted({rest.split(Delimiter)[0] for rest in rests if Delimiter in rest})
        return {"CommonPrefixes": [{"Prefix": f"{Prefix}{folder}{Delimiter}"} for folder in folders]}

    def get_paginator(self, _):
        return self

    def paginate(self, **arguments):
        yield self.list_objects_v2(**arguments)

    def get_object(self, Bucket, Key):
        file = ROOT / Key
        return {"Body": file.open("rb"), "ContentLength": file.stat().st_size}


reader = S3FlowLogsReader(
    "bucket",
    start_time=datetime(2026, 11, 23, 5, 0),
    end_time=datetime(2026, 11, 23, 6, 0),
    boto_client=Bucket(),
    raise_on_error=True,
)
for record in reader:
    print(
        record.version, record.account_id, record.srcaddr, record.dstport, record.protocol, record.packets,
        record.action, record.log_status, record.start.strftime("%H:%M:%S"),
    )
