#!/bin/bash
# Kills trainings under mpirun at random moments and goes on with them at other sizes; each must end
# with the digest and ledger of the one that was left alone (kill_test.cc).
#
#   tests/fault/kill.sh [--long] [--seed N]     --long: 300 kills, else 60
#
# TRESTLE_BUILD is the build folder, build/release by default, with fault_test and trestle in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
kills=60
while [ $# -gt 0 ]; do
  case $1 in
    --long) kills=300 ;;
    --seed)
      export TRESTLE_KILL_SEED=${2:?--seed needs a number}
      shift
      ;;
    *)
      echo "kill.sh: unknown argument $1; it takes --long and --seed N" >&2
      exit 2
      ;;
  esac
  shift
done
export TRESTLE_KILLS=$kills
exec "${TRESTLE_BUILD:-build/release}/bin/fault_test" --gtest_filter='Kill.*'
