"""The fingerprint of the machine: what a figure must be read with.

Left out on purpose: the host's name and every path; a report may be published.
"""

from __future__ import annotations

__all__ = ["fingerprint"]

import functools
import os
import platform
import resource
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("cython", "hdrhistogram", "matplotlib", "numpy", "pandas", "psutil")
"""Whose versions can move a figure, or how it is drawn."""

PROJECT = Path(__file__).parents[2]


@functools.cache
def fingerprint() -> dict[str, Any]:
    """Return the machine's and the interpreter's facts as JSON-ready values."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cpus": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "hypervisor": "hypervisor" in _field("/proc/cpuinfo", "flags").split(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python_build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "optimized": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "gil": not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "descriptor_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "somaxconn": int(_text("/proc/sys/net/core/somaxconn") or 0),
        "commit": _commit(),
    }


def _text(path: str) -> str:
    """Return a file of /proc or /sys, empty where this kernel has no such file."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _field(path: str, name: str) -> str:
    """Return the first value of `name` in a file of lines `name : value`; empty when absent."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """Return the checkout's commit, with a + when files differ from it; empty outside of one."""
    git = ["git", "-C", str(PROJECT), "--no-optional-locks"]
    try:
        top = subprocess.run(
            [*git, "rev-parse", "--show-toplevel", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
        if top.returncode or Path(top.stdout.split("\n")[0]) != PROJECT:
            return ""
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git on this machine
        return ""
    return top.stdout.split("\n")[1][:12] + ("+" if changed.stdout else "")
