"""Settings of the process, made before NumPy and Polars are loaded: speed alone, never bytes."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys

__all__ = ["tune_process"]

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def tune_process() -> None:
    """Keep libraries to one thread each, and freed memory in the process.

    payworld spreads its work over processes, so threads of the libraries would only compete. A
    command is short-lived and makes no cycles worth looking for among millions of objects.
    Blocks of rows are megabytes that are freed and wanted again at once: by default glibc would
    map and unmap, and the kernel clear, each of them.
    """
    gc.disable()
    # Or Python looks through all objects once more as it ends.
    atexit.register(gc.freeze)
    for variable in ("POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        mallopt(_M_TOP_PAD, 16 << 20)
