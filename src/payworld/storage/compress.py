"""CSV text compressed piece by piece: each piece stands alone, so that a file can be appended to.

Members of gzip and frames of zstd one after another are one stream by their formats (RFC 1952,
RFC 8878): readers see one file. What a piece is belongs to the data format, like the blocks.
"""

from __future__ import annotations

import zlib

from payworld.storage.style import Compression

__all__ = ["compress"]

# The tools' own defaults.
GZIP_LEVEL = 6
ZSTD_LEVEL = 3
# With a gzip header and trailer; zlib writes neither a time nor a name into it.
_GZIP_WINDOW = 31


def compress(data: bytes, compression: Compression) -> bytes:
    """Return the data as one gzip member or zstd frame, or as it is.

    >>> import gzip
    >>> gzip.decompress(compress(b"a,b", "gzip") + compress(b",c", "gzip"))
    b'a,b,c'
    """
    if compression == "gzip":
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        return packer.compress(data) + packer.flush()
    if compression == "zstd":
        # Imported here: a run that compresses nothing begins without it.
        from pyarrow import Codec

        packed: bytes = Codec("zstd", ZSTD_LEVEL).compress(data, asbytes=True)
        return packed
    return data
