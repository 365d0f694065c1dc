"""What the measurements were taken on."""
import datetime
import os
import platform


def description():
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memoryGiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "loadAverageAtStart": round(os.getloadavg()[0], 2),
    }


def cpu_model():
    with open("/proc/cpuinfo") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    names = {key.strip(): value.strip() for key, value in fields.items()}
    model = names.get("model name", platform.machine())
    return f"{model} (family {names['cpu family']}, model {names['model']})" if "cpu family" in names else model


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
