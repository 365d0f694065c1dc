"""Print the peak resident memory of a command. usage: measure.py COMMAND [ARGUMENT ...]"""
import resource
import subprocess
import sys

status = subprocess.run(sys.argv[1:]).returncode
print(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB peak", file=sys.stderr)
sys.exit(status)
