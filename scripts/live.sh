#!/usr/bin/env bash
# Real trading: environment, then `livespot live --live`. Arguments go to it: scripts/live.sh --confirm LABEL
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/environment
exec .venv/bin/livespot live --live "$@"
