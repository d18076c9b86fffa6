"""A directory that stands for a bucket."""


class Bucket:
    """As much of an S3 client as the reader uses; its objects are the files below a directory."""

    def __init__(self, root):
        self.root = root

    def list_objects_v2(self, Bucket, Prefix="", Delimiter=None):
        keys = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())
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
        file = self.root / Key
        return {"Body": file.open("rb"), "ContentLength": file.stat().st_size}
