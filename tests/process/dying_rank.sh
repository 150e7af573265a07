#!/bin/sh
# The real valbench-rank (REAL_RANK), except that rank 1 of the run that DYING_RUN names is killed once training begins.
folder=$(dirname "$2")
case "$folder:$RANK" in
  *"$DYING_RUN:1") ;;
  *) exec "$REAL_RANK" "$@" ;;
esac
"$REAL_RANK" "$@" &
# The folder for weights is made right before the first step.
until [ -d "$folder/weights" ]; do :; done
kill -KILL 0
