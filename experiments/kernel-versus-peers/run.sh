#!/usr/bin/env bash
# Measures, then writes results.json, results.md and results.png. Options: ./run.sh --help
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="" options=()
while [ $# -gt 0 ]; do
  case "$1" in
    --venv) venv="${2:?--venv needs a folder}"; shift 2 ;;
    --venv=*) venv="${1#*=}"; shift ;;
    *) options+=("$1"); shift ;;
  esac
done

install() {
  local venv="$1" pins="$here/requirements.txt" lone="$here/requirements-without-dependencies.txt"
  # What is installed is noted last, so that a changed pin or an interrupted installation installs again.
  cat "$pins" "$lone" | cmp -s - "$venv/installed.txt" && return
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install -r "$pins"
  "$venv/bin/pip" install --no-deps -r "$lone"
  cat "$pins" "$lone" > "$venv/installed.txt"
}

if [ -z "$venv" ]; then
  venv="$here/.venv"
  install "$venv"
fi
[ -x "$venv/bin/python" ] || { echo "$venv has no bin/python" >&2; exit 1; }
exec "$venv/bin/python" "$here/measure.py" ${options[@]+"${options[@]}"}
