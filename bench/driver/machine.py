"""Where and when the numbers were taken."""

import os
import platform
import subprocess
import time


def load_average():
    return [round(load, 2) for load in os.getloadavg()]


def describe(root):
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(root),
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "load_before": load_average(),
    }


def commit(root):
    try:
        described = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True,
                                   text=True)
        return described.stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()
