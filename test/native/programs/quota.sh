#!/bin/sh
# unshare --mount sh quota.sh VERSION COMMAND…: runs a command where the control group allows one and a half processors,
# as the files of either version of control groups say. This process and its children alone see them.
set -eu
version=$1
shift
groups=/sys/fs/cgroup
mount -t tmpfs none "$groups"
if [ "$version" = 2 ]; then
  mkdir "$groups/group"
  echo '150000 100000' >"$groups/group/cpu.max"
  echo '0::/group' >"$groups/own"
else
  mkdir -p "$groups/cpu/group"
  echo 150000 >"$groups/cpu/group/cpu.cfs_quota_us"
  echo 100000 >"$groups/cpu/group/cpu.cfs_period_us"
  echo '4:cpu:/group' >"$groups/own"
fi
mount --bind "$groups/own" "/proc/$$/cgroup"
exec "$@"
