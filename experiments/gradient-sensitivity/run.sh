#!/usr/bin/env bash
# What a window costs each head: predicted from gradients beside measured. usage: run.sh PROGRAM [MODEL [PROBES]]
set -euo pipefail
program="$1" model="${2:-}" probes="${3:-48}"
exec "$program" sensitivity ${model:+--model "$model"} --length 4096 --head-pattern window --window-tokens 96 --sinks 16 \
  --draws "${DRAWS:-8}" --probes "$probes" --precision fp32 --json
