#!/usr/bin/env bash
# Makes .venv in the repository root with MACE, the plugin (editable) and what the demo and the tests need.
#
# Source it (scripts/demo and scripts/test do) or run it. A finished installation is reused until pyproject.toml, this
# file or the Python changes; one that was interrupted is made anew. Afterwards `python` is that of .venv.
#   PYTHON=python3.12 scripts/demo     uses another Python (>= 3.10) to make .venv

_environment_install() (  # a subshell: its options and variables stay in here
    set -euo pipefail
    cd "$1"
    started=$SECONDS
    python_command=${PYTHON:-python3}
    stamp=.venv/.mace-outlier-installed
    say() { printf '[%4d s] %s\n' $((SECONDS - started)) "$*"; }

    # Runs a command and says that it is alive every 10 s. What it printed is shown only if it fails.
    run() {
        local title=$1 log=.venv/install.log status=0 step before
        shift
        before=$(wc -c <"$log")
        say "$title"
        "$@" >>"$log" 2>&1 &
        local command_pid=$! waited=0
        trap 'kill $command_pid 2>/dev/null; exit 130' INT TERM
        while kill -0 "$command_pid" 2>/dev/null; do
            sleep 0.5
            waited=$((waited + 1))
            if ((waited % 20 == 0)); then step=$(_last_step "$log" "$before"); say "  ... ${step:-working}"; fi
        done
        wait "$command_pid" || status=$?
        trap - INT TERM
        if ((status != 0)); then
            tail -n 25 "$log" >&2
            say "failed: $title (exit code $status). The whole output is in $PWD/$log." >&2
            say "No connection to a package index is the usual reason; run the same command again to repair it." >&2
            exit "$status"
        fi
    }
    _last_step() {
        local steps='^ *(Collecting|Downloading|Building|Installing|Successfully) .{0,80}'
        tail -c "+$(($2 + 1))" "$1" | grep -aoE "$steps" | tail -n 1 | sed 's/^ *//' || true
    }

    # The real interpreter, also where python3 is that of a virtual environment (.venv itself, if that is active).
    find_python='import sys; assert sys.version_info >= (3, 10); print(sys._base_executable)'
    if ! python=$("$python_command" -c "$find_python" 2>&1); then
        say "Python 3.10 or newer is needed, not '$python_command': PYTHON=/path/to/python3 scripts/environment.sh" >&2
        exit 1
    fi
    python_version=$("$python" -VV)
    wanted=$(printf '%s\n' "$PWD" "$python_version" | cat - pyproject.toml scripts/environment.sh | cksum)
    if [[ -f $stamp && $(<"$stamp") == "$wanted" && -x .venv/bin/python ]]; then
        say "environment: .venv is up to date"
        exit 0
    fi

    # One installation at a time; a second call waits for the first and then finds it finished.
    if command -v flock >/dev/null; then
        mkdir -p build
        exec 9>build/environment.lock
        flock -n 9 || { say "environment: waiting for another installation"; flock 9; }
        if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then exit 0; fi
    fi

    # An installation that was interrupted, or one for another Python, starts from nothing.
    if [[ ! -f $stamp || $(.venv/bin/python -VV 2>&1) != "$python_version" ]]; then
        rm -rf .venv
    fi
    rm -f "$stamp"
    mkdir -p .venv
    : >.venv/install.log
    run "environment: making .venv with ${python_version%% (*}" "$python" -m venv .venv
    pip=(.venv/bin/python -m pip --disable-pip-version-check install --progress-bar off --no-input --no-compile)
    # torch first. On Linux plain pip may mean the CUDA build, which is 3 GB larger: then take PyTorch's own CPU build.
    torch=(torch==2.13.0)
    would_install=$("${pip[@]}" --quiet --dry-run --ignore-installed --no-deps --report - "${torch[@]}" || true)
    if [[ $(uname -s) == Linux && $would_install != *+cpu* ]]; then
        torch+=(--index-url https://download.pytorch.org/whl/cpu)
    fi
    run "environment: ${torch[*]}" "${pip[@]}" "${torch[@]}"
    run "environment: mace-torch, the plugin, tblite, pytest, ruff" "${pip[@]}" -e '.[demo,test,lint,docs]'
    # pip compiles one file after the other, which takes longer than to unpack them.
    compile_all='import compileall, sys; compileall.compile_dir(sys.prefix, quiet=2, workers=0)'
    run "environment: compiling, on all cores" .venv/bin/python -c "$compile_all"
    printf '%s\n' "$wanted" >"$stamp.tmp"
    mv "$stamp.tmp" "$stamp" # last: .venv with a stamp is complete
    say "environment: ready"
)

_environment_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Not in an `if` or `||`: there bash would go on after a failed step of the function.
_environment_install "$_environment_root"
_environment_status=$?
# shellcheck disable=SC2317
if ((_environment_status != 0)); then return "$_environment_status" 2>/dev/null || exit "$_environment_status"; fi
export PATH="$_environment_root/.venv/bin:$PATH" VIRTUAL_ENV="$_environment_root/.venv"
