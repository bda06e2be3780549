# callers.bash - a caller does the same steps with Debian's runtimes and with drupe
#
# A bats file of this directory runs in a world of its own (see `run`), begins with `load callers` and gets, besides what
# tests/integration/helpers.bash has (but its setup and teardown):
#   CALLER                  to be set by the file: the first column of the results
#   compare FEATURE         runs the test's function `steps` with runc, crun and drupe in turn; must not stand in a condition
#   daemon LOG CMD...       in setup_file: starts it in the background, its output to LOG
#   unable REASON           in steps: this machine can't do it, whatever the runtime
#   snippet FILE NAME       the fenced block in docs/FILE whose fence is ```LANGUAGE NAME
#   is TEXT CMD...          in steps: what the command prints, stderr included, is TEXT
#   has TEXT CMD...         the same, contains TEXT
#   ends STATUS CMD...      it ends with this status; its output is in $output
# In steps $RT is the runtime's name, runc, crun or drupe. The first command that fails ends them.
# The file may define after_steps, called after each run of steps: tidies up, and fails if something is left that should not be.
#
# What one of Debian's runtimes can do on this machine, drupe must do, too; else the test fails. Where none of the three can, it is
# skipped. Each outcome is added to the file $COMPAT_RESULTS: CALLER FEATURE RUNTIME ok|fail|unable NOTE, separated by tabs.
# RUNTIMES=drupe in the environment leaves the others out, for a closer look.

load ../integration/helpers

: "${RUNTIMES:=runc crun drupe}" "${COMPAT_RESULTS:=/dev/null}"

setup() { cd "$WORLD"; } # conmon leaves a file where it is when memory runs out
teardown() { :; }
after_steps() { :; }

compare() {
    local feature=$1 rt status worked='' outcomes=()
    for rt in $RUNTIMES; do
        status=0
        (
            trap - DEBUG ERR
            # Apart from stderr, which steps look at.
            exec {BASH_XTRACEFD}>&2
            RT=$rt PS4='> '
            set -ex
            steps
        ) >"$BATS_TEST_TMPDIR/$rt.log" 2>&1 3>&- </dev/null &
        wait $! || status=$?
        after_steps >>"$BATS_TEST_TMPDIR/$rt.log" 2>&1 || status=1
        case $status in
        0) outcomes+=("$rt ok") worked+=" $rt" ;;
        77) outcomes+=("$rt unable $(last_words "$rt")") ;;
        *) outcomes+=("$rt fail $(last_words "$rt")") ;;
        esac
    done
    judge "$feature" "$worked" "${outcomes[@]}"
}

# judge FEATURE WORKED OUTCOME...: where nothing worked, it is the machine's doing.
judge() {
    local feature=$1 worked=$2 rt result why
    shift 2
    while read -r rt result why; do
        [ -n "$worked" ] || result=unable
        printf '%s\t%s\t%s\t%s\t%s\n' "$CALLER" "$feature" "$rt" "$result" "$why"
    done >>"$COMPAT_RESULTS" < <(printf '%s\n' "$@")
    rt=${RUNTIMES##* }
    case "$RUNTIMES:$worked " in
    *:*" $rt "*) return 0 ;;
    *' '*': ') skip "no runtime can on this machine: $(last_words "$rt")" ;;
    esac
    echo "$feature: $rt fails, works with:${worked:- (nothing else tried)}"
    tail -n 60 "$BATS_TEST_TMPDIR/$rt.log"
    return 1
}

# The last line that a command printed, without what differs from run to run.
last_words() {
    grep -av -e '^>' -e '^time=' "$BATS_TEST_TMPDIR/$1.log" | grep -a . | tail -n 1 | sed -E 's/[0-9a-f]{64}/ID/g; s/\t/ /g' | cut -c 1-300
}

# bats waits for whoever holds one of its pipes, and the shell says it if one is killed.
daemon() {
    local log=$1
    shift
    (
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        exec "$@"
    ) >"$log" 2>&1 </dev/null &
    disown
}

unable() {
    echo "$*"
    exit 77
}

snippet() {
    local text
    text=$(awk -v name="$2" '/^ *```/ { if (on) exit; on = $2 == name; next } on' "$TOP/docs/$1")
    [ -n "$text" ] || {
        echo "docs/$1 has no block named $2" >&2
        return 1
    }
    printf '%s\n' "$text"
}

is() {
    local want=$1 got
    shift
    got=$("$@" 2>&1) || { printf '%s\n' "$got"; return 1; }
    [ "$got" = "$want" ] || { printf 'not "%s" but "%s"\n' "$want" "$got"; return 1; }
}

has() {
    local want=$1 got
    shift
    got=$("$@" 2>&1) || { printf '%s\n' "$got"; return 1; }
    [[ $got == *"$want"* ]] || { printf 'no "%s" in "%s"\n' "$want" "$got"; return 1; }
}

ends() {
    local want=$1 status=0
    shift
    output=$("$@" 2>&1) || status=$?
    [ "$status" = "$want" ] || { printf 'status %s, not %s: %s\n' "$status" "$want" "$output"; return 1; }
}
