#!/usr/bin/env bash
# Everything that needs a GPU, in ten minutes at most: the tests marked gpu, the throughput of both
# networks, and a search of 64 trials under the full protocol. Whatever one part does, the others
# run. Logs and results go into OUTPUT_FOLDER as they come; summary.txt says how each part ended.
#
#     PYTHON=python benchmarks/gpu_check.sh DATA_ROOT OUTPUT_FOLDER
#
# Exit code: 0 if no part failed or was cut, 1 if one was, 2 if there is nothing to check with.
set -uo pipefail

python=${PYTHON:-python}

refuse() {
    echo "error: $1" >&2
    exit 2
}

check_arguments() {
    [ $# -eq 2 ] || refuse "give two arguments, DATA_ROOT and OUTPUT_FOLDER; there are $#."
    [ -d "$1" ] || refuse "the data root $1 is no folder; give the one that holds the data sets."
    command -v "$python" >/dev/null || refuse "there is no $python to run; set PYTHON to a python."
    "$python" -c 'import sys, torch, torchvision, rich; sys.exit(3 * (not torch.cuda.is_available()))' \
        2>/dev/null
    case $? in
        0) ;;
        3) refuse "torch sees no CUDA device here; run this on a machine that has one." ;;
        *) refuse "$python cannot import torch, torchvision and rich; set PYTHON to one that can." ;;
    esac
    mkdir -p "$2" || refuse "the output folder $2 cannot be made; choose another."
}

tell() { echo "$1" | tee -a "$output/summary.txt"; }

# part NAME SECONDS COMMAND...: run the command for so long at most; its output goes to NAME.log.
part() {
    local name=$1 limit=$2 begin=$SECONDS code verdict
    shift 2
    timeout -k 10 "$limit" "$@" >>"$output/$name.log" 2>&1
    code=$?
    case $code in
        0) verdict=pass ;;
        124 | 137) verdict=cut ;;
        *) verdict="fail (exit code $code)" ;;
    esac
    [ "$verdict" = pass ] || result=1
    tell "$name: $verdict, $((SECONDS - begin)) s of $limit"
    grep -v '^$' "$output/$name.log" | tail -n 3 | cut -c 1-200 | sed 's/^/    /' | tee -a "$output/summary.txt"
}

gpu_tests() {
    # Only their files: others may need packages that are not here.
    local files
    mapfile -t files < <(grep -l 'mark\.gpu' tests/test_*.py)
    part tests 100 "$python" -m pytest -m gpu -p no:cacheprovider --durations 10 \
        --continue-on-collection-errors "${files[@]}"
}

# Print those of the two benchmarks whose images are here, and say of the others why they are not.
benchmarks_here() {
    "$python" - "$data" <<'PY' 2>>"$output/throughput.log"
import sys
from pathlib import Path

from trainer.benchmarks import BENCHMARKS
from trainer.prepared import load, prepare
from trainer.errors import UserError

found = []
for name in ("resnet32-cifar100lt", "vgg16bn-cifar100lt"):
    try:
        load(prepare(BENCHMARKS[name], Path(sys.argv[1])), BENCHMARKS[name])
        found.append(name)
    except UserError as error:
        print(f"{name}: left out: {error}", file=sys.stderr)
print(",".join(found))
PY
}

# throughput SECONDS
throughput() {
    local names
    names=$(benchmarks_here)
    grep 'left out' "$output/throughput.log" | tee -a "$output/summary.txt"
    part throughput "$1" "$python" benchmarks/throughput.py --data-root "$data" --device cuda \
        --benchmarks "$names" --slots 1,4,16 --compile --rounds 8 --budget-seconds $(($1 - 25)) \
        --out "$output/throughput"
}

search() {
    part search 255 "$python" run_search.py --benchmark resnet32-cifar100lt --trials 64 \
        --hours 0.065 --data-root "$data" --runs "$scratch" --name gpu-check
    "$python" run_search.py show "$scratch/gpu-check" >>"$output/search.log" 2>&1
    cp "$scratch/gpu-check/best.json" "$output/" 2>/dev/null
}

check_arguments "$@"
data=$(realpath "$1") output=$(realpath "$2") result=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$(dirname "$0")/.." || exit 2
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
rm -f "$output"/{summary.txt,tests.log,throughput.{log,json,png},search.log,best.json}
tell "$("$python" -c 'import torch; print(torch.cuda.get_device_name(), "torch", torch.__version__)')"
gpu_tests
if missing=$("$python" -c 'import ray, optuna' 2>&1); then
    throughput 220
    search
else
    throughput 475 # the search's time as well
    tell "search: skipped, because $python says: ${missing##*$'\n'}"
fi
tell "in all $SECONDS s"
exit $result
