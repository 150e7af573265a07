#!/bin/sh
# Stands in for valbench-rank in the controller's tests. FAKE_RANK says what the ranks do; nothing here waits for a time.
spec=$2
folder=$(dirname "$spec")
echo "rank $RANK of $WORLD_SIZE, $OMP_NUM_THREADS threads"
hang() { mkfifo "$folder/never-$RANK" && exec cat "$folder/never-$RANK"; }
case "$FAKE_RANK" in
  complete)
    if [ "$RANK" = 0 ]; then
      eval "echo 'epoch 0 batch 1 2 train' >&$VALBENCH_PROGRESS_FD"
      echo '{}' > "$folder/run.json"
    fi ;;
  rank1_dies)
    if [ "$RANK" = 1 ]; then
      echo "the last words of rank 1"
      echo '{"rank": 1, "message": "no space left on device"}' > "$folder/rank-1.error.json"
      exit 4
    fi
    hang ;;
  bad_input) echo '{"rank": 0, "message": "weights do not fit"}' > "$folder/rank-$RANK.error.json"; exit 2 ;;
  killed) if [ "$RANK" = 1 ]; then kill -KILL $$; fi; hang ;;
  no_record) exit 0 ;;
  hang_until_told) if [ "$RANK" = 0 ]; then eval "echo 'epoch 0 batch 0 2 train' >&$VALBENCH_PROGRESS_FD"; fi; hang ;;
esac
