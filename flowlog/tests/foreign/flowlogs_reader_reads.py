"""Prints the records that flowlogs-reader finds in a directory, which stands for a bucket."""

import sys
from datetime import datetime
from pathlib import Path

from bucket import Bucket
from flowlogs_reader import S3FlowLogsReader

reader = S3FlowLogsReader(
    "bucket",
    start_time=datetime(2026, 11, 23, 5, 0),
    end_time=datetime(2026, 11, 23, 6, 0),
    boto_client=Bucket(Path(sys.argv[1])),
    raise_on_error=True,
)
for record in reader:
    print(
        record.version, record.account_id, record.srcaddr, record.dstport, record.protocol, record.packets,
        record.action, record.log_status, record.start.strftime("%H:%M:%S"),
    )
