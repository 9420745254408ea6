"""Tests that need a kernel which signals a group through a pidfd."""

import os
import signal

import pytest

__all__ = ["needs_group_signals"]


def _has_group_signals() -> bool:
    pidfd = os.pidfd_open(os.getpid())
    try:
        signal.pidfd_send_signal(pidfd, 0, None, 4)
    except ProcessLookupError:  # this process leads no group
        return True
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


needs_group_signals = pytest.mark.skipif(not _has_group_signals(), reason="PIDFD_SIGNAL_PROCESS_GROUP needs Linux 6.9")
