#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2119,SC2120 # texts for the inner shell and for jq; optional arguments
# Commands that are killed, meet errors, or meet each other, at any point. Whatever happened: state answers, delete --force works, and
# nothing is left. By default a sample of the points is tried; FULL=1 tries all (many minutes).
load helpers

# Points of a sweep that are tried without FULL.
SAMPLE=${DRUPE_CRASH_SAMPLE:-24}

# What gets no injected error: memory and the C library's start, which abort by design; close, which closes even if it fails.
NEVER='^(close|execve|execveat|exit|exit_group|rt_sigreturn|brk|mmap|munmap|mremap|mprotect|arch_prctl|set_tid_address)$'
ERRORS=(EINTR EAGAIN ENOMEM EMFILE ENOSPC EACCES EIO EPERM ENOSYS)

setup() {
    begin_test
    setup_bundle
    ID=$(container_id)
    LOG=$BATS_TEST_TMPDIR/trace
    ERR=$BATS_TEST_TMPDIR/err
    args /probe trap
}

status_of() { drupe state "${1:-$ID}" 2>/dev/null | jq -r .status; }

status_is() { [ "$(status_of "${2:-$ID}")" = "$1" ]; }

create() { detached create --bundle "$BUNDLE" "${1:-$ID}"; }

needs_strace() {
    command -v strace >/dev/null || skip "needs strace"
    strace -o /dev/null -e inject=getppid:error=EPERM true 2>/dev/null || skip "strace cannot inject here"
}

# traced STRACE-OPTIONS... -- COMMAND...: the runtime under strace; stderr in $ERR; the status, without the shell's word of it.
# With -f strace stays with the container, so it is not the one that is waited for (-D).
traced() {
    local options=() code=0
    while [ "$1" != -- ]; do
        [ "$1" != -f ] || options+=(-D)
        options+=("$1")
        shift
    done
    shift
    { timeout --foreground -k 5 "$DRUPE_TIMEOUT" strace -qq "${options[@]}" "$RUNTIME" --root "$ROOT" "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>"$ERR" 3>&-; } \
        2>/dev/null || code=$?
    return "$code"
}

# The system calls of the runtime's own process in a command, in order, as "NAME N" with N as strace's when= counts: to $LOG.points.
record_calls() {
    local code=0
    traced -o "$LOG" -- "$@" || code=$?
    sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$LOG" | awk '{ print $1, ++n[$1] }' >"$LOG.points"
    [ "$(wc -l <"$LOG.points")" -gt 10 ] || { echo "no trace: status $code: $(cat "$ERR")" && return 125; }
    return "$code"
}

# The points of a sweep, or a sample of them.
points() {
    local n step=1
    n=$(wc -l <"$LOG.points")
    [ -n "${FULL-}" ] || step=$(((n + SAMPLE - 1) / SAMPLE))
    sed -n "1~${step}p" "$LOG.points"
}

nothing_left() {
    [ ! -e "$ROOT/$ID" ] && ! compgen -G "/sys/fs/cgroup/drupe-$ID" >/dev/null && ! compgen -G "/sys/fs/cgroup/*/drupe-$ID" >/dev/null
}

# After anything: state prints a whole document or says why not in one line.
state_answers() {
    if drupe state "$ID" >"$BATS_TEST_TMPDIR/state" 2>"$BATS_TEST_TMPDIR/state.err"; then
        jq -e '.status | IN("creating", "created", "running", "paused", "stopped")' "$BATS_TEST_TMPDIR/state" >/dev/null
    else
        [ "$(wc -l <"$BATS_TEST_TMPDIR/state.err")" = 1 ]
    fi
}

# force_delete WHERE
force_delete() {
    state_answers || { echo "$1: state: $(cat "$BATS_TEST_TMPDIR"/state*)" && return 1; }
    drupe delete --force "$ID" || { echo "$1: delete --force failed" && return 1; }
    nothing_left || { echo "$1: $(ls -d "$ROOT/$ID" /sys/fs/cgroup/*/drupe-"$ID" 2>/dev/null)" && return 1; }
}

# kill_sweep PREPARE COMMAND...: SIGKILL at each of the runtime's calls; every other time its children get it at theirs, too
kill_sweep() {
    local prepare=$1 name when n=0 killed=0 code follow
    shift
    needs_strace
    $prepare
    record_calls "$@"
    force_delete 'without a kill'
    while read -r name when; do
        n=$((n + 1))
        follow=$([ $((n % 2)) = 0 ] || echo -f)
        $prepare
        code=0
        # shellcheck disable=SC2086 # none when empty
        traced $follow -o /dev/null -e "inject=$name:signal=SIGKILL:when=$when" -- "$@" || code=$?
        [ "$code" != 137 ] || killed=$((killed + 1))
        force_delete "killed at $name $when $follow (status $code)"
    done <<<"$(points)"
    # How often delete looks whether a cgroup is empty depends on the time.
    [ "$killed" -ge $((n / 2)) ] || { echo "only $killed of $n were killed" && return 1; }
}

@test "create killed at any of its system calls leaves nothing after delete --force" {
    kill_sweep true create --bundle "$BUNDLE" "$ID"
}

@test "create killed at any of its system calls leaves nothing with a user namespace and without a cgroup" {
    SAMPLE=$((SAMPLE / 2))
    config 'del(.linux.resources) | .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }] |
        .linux.gidMappings = .linux.uidMappings | .linux.namespaces += [{ type: "user" }]'
    chown -hR 100000:100000 "$BUNDLE/rootfs"
    kill_sweep true --cgroup-manager disabled create --bundle "$BUNDLE" "$ID"
}

@test "create killed when it finds its cgroup taken: delete --force ends nothing of the other container" {
    needs_strace
    config --arg p "/$TOKEN/shared" '.linux.cgroupsPath = $p'
    detached run -d --bundle "$BUNDLE" "$ID-first"
    pid=$(drupe state "$ID-first" | jq .pid)
    grep -q "$TOKEN/shared" "/proc/$pid/cgroup"
    only=()
    while read -r dir; do only+=(-P "$dir"); done < <(find /sys/fs/cgroup -path "*/$TOKEN/shared")
    code=0
    traced -o /dev/null "${only[@]}" -e inject=mkdir:signal=SIGKILL -- create --bundle "$BUNDLE" "$ID" || code=$?
    [ "$code" = 137 ]
    [ "$(jq -r .status "$ROOT/$ID/state.json")" = creating ]
    drupe delete --force "$ID"
    [ ! -e "$ROOT/$ID" ]
    status_is running "$ID-first"
    drupe exec "$ID-first" /bin/true
    drupe delete --force "$ID-first"
    [ -z "$(find /sys/fs/cgroup -path "*/$TOKEN*")" ]
}

@test "start killed at any of its system calls leaves nothing after delete --force" {
    kill_sweep create start "$ID"
}

@test "run killed at any of its system calls leaves nothing after delete --force" {
    kill_sweep true run --detach --bundle "$BUNDLE" "$ID"
}

@test "delete killed at any of its system calls can be repeated" {
    kill_sweep create delete "$ID"
}

@test "init killed in the middle of its preparations makes create fail with one line and leaves nothing" {
    local call code
    needs_strace
    # Calls that only init makes.
    for call in setsid:1 sethostname:1 move_mount:1 move_mount:5 pivot_root:1 umount2:1 fchdir:1 chdir:1 mknodat:1 mknodat:3; do
        code=0
        traced -f -o /dev/null -e "inject=${call%:*}:signal=SIGKILL:when=${call#*:}" -- create --bundle "$BUNDLE" "$ID" || code=$?
        [ "$code" = 1 ] || { echo "$call: status $code" && return 1; }
        [ "$(wc -l <"$ERR")" = 1 ]
        nothing_left
        state_answers
    done
}

# ------------------------------------------------------------------------------------------------------------------- injected errors

# truth_of COMMAND [WHERE]: what must hold after a command that said it succeeded. Init is followed beyond create: its error may come when
# it is started.
truth_of() {
    case $1 in
    create) status_is created && if drupe start "$ID" 2>"$BATS_TEST_TMPDIR/start"; then status_is running; else [[ "${2-}" == *-f ]] && [ -s "$BATS_TEST_TMPDIR/start" ]; fi ;;
    # Before it is ready the first process of a pid namespace does not hear SIGTERM.
    start) status_is running && wait_for 5 grep -qx ready "$BATS_TEST_TMPDIR/out" && drupe kill "$ID" TERM && wait_for 5 status_is stopped ;;
    run) nothing_left ;;
    kill) wait_for 5 status_is stopped ;;
    delete) nothing_left ;;
    pause) status_is paused ;;
    state | list) jq -e . "$BATS_TEST_TMPDIR/out" >/dev/null ;;
    esac
}

# error_sweep GOOD-STATUS PREPARE COMMAND...: an error from each call of the runtime; every other time from its children's, too
error_sweep() {
    local good=$1 prepare=$2 n=0 name when follow code=0 where error
    shift 2
    needs_strace
    $prepare
    record_calls "$@" || code=$?
    [ "$code" = "$good" ]
    force_delete 'without an error'
    sed -i -E "/${NEVER/)\$/) }/d" "$LOG.points"
    while read -r name when; do
        n=$((n + 1))
        follow=$([ $((n % 2)) = 0 ] || echo -f)
        error=${ERRORS[n % ${#ERRORS[@]}]}
        # EAGAIN says that another process has the lock: then a cgroup just made is that one's, and stays.
        [ "$name:$error" != flock:EAGAIN ] || error=ENOLCK
        where="$1: $name:error=$error:when=$when $follow"
        $prepare
        code=0
        # shellcheck disable=SC2086 # none when empty
        traced $follow -o /dev/null -e "inject=$name:error=$error:when=$when" -- "$@" || code=$?
        check_result "$good" "$code" "$where" "$1" || return 1
        force_delete "$where"
    done <<<"$(points)"
}

# check_result GOOD-STATUS STATUS WHERE COMMAND
check_result() {
    if [ "$2" = "$1" ]; then
        truth_of "$4" "$3" || { echo "$3: success is not true: $(cat "$ERR")" && return 1; }
    elif [ "$2" -ge 124 ]; then
        echo "$3: status $2: $(cat "$ERR")" && return 1
    elif [[ "$3" != *" write:"* ]] && [ ! -s "$ERR" ]; then # which may have been the message
        echo "$3: no message" && return 1
    elif [ "$4" = create ]; then
        nothing_left || grep -q 'clean up' "$ERR" || { echo "$3: left something: $(cat "$ERR")" && return 1; }
    elif [ "$4" = run ]; then
        # Its last act, the removal, may meet the error as well, and then says whose.
        nothing_left || grep -qE "clean up|container \"$ID\"" "$ERR" || { echo "$3: left something: $(cat "$ERR")" && return 1; }
    fi
}

start_one() { create && drupe start "$ID"; }

@test "create that meets an error says so and leaves nothing, or has worked" {
    SAMPLE=$((SAMPLE * 2)) error_sweep 0 true create --bundle "$BUNDLE" "$ID"
}

@test "start that meets an error says so, or has worked" {
    error_sweep 0 create start "$ID"
}

@test "run that meets an error says so and leaves nothing, or has worked" {
    args /probe exit 3
    SAMPLE=$((SAMPLE * 2)) error_sweep 3 true run --bundle "$BUNDLE" "$ID"
}

@test "kill and pause that meet an error say so, or have worked" {
    SAMPLE=$((SAMPLE / 2))
    error_sweep 0 start_one kill "$ID" KILL
    error_sweep 0 start_one pause "$ID"
}

@test "delete that meets an error says so, or has worked" {
    error_sweep 0 create delete "$ID"
}

@test "state and list that meet an error say so, or print a whole document" {
    SAMPLE=$((SAMPLE / 2))
    error_sweep 0 create state "$ID"
    error_sweep 0 create list --format json
}

# ------------------------------------------------------------------------------------------------------------------------------- time

@test "create and run killed after any time leave nothing after delete --force" {
    local us command
    for us in $(seq -f %05g 500 500 20000); do
        command=create
        [ $((10#$us % 1000)) = 0 ] || command='run --detach'
        # shellcheck disable=SC2086 # words
        { timeout --foreground -s KILL "0.0$us" "$RUNTIME" --root "$ROOT" $command --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&-; } \
            2>/dev/null || true
        force_delete "$command, $us us"
    done
}

@test "a full or tiny state directory makes create fail and leaves nothing" {
    local kib inodes
    for inodes in 1 2 3 4 5 0; do
        for kib in 4 8 12; do
            mount -t tmpfs -o "size=${kib}k,nr_inodes=$inodes,mode=700" none "$ROOT"
            if create; then
                drupe start "$ID"
                drupe delete --force "$ID"
            else
                [ "$(wc -l <"$ERR")" = 1 ] || grep -q 'clean up' "$ERR"
            fi
            force_delete "$kib KiB, $inodes inodes"
            umount "$ROOT"
        done
    done
}

@test "few descriptors make a command fail with a message, not crash" {
    local n code
    for n in 3 4 5 6 7 8 10 12 16 20; do
        code=0
        (ulimit -n "$n" && exec "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$ID") </dev/null >/dev/null 2>"$ERR" 3>&- || code=$?
        # Where not even the shell could go on it is 126.
        [ "$code" -le 1 ] || [ "$code" = 126 ] || { echo "$n: $code: $(cat "$ERR")" && return 1; }
        [ "$code" = 0 ] || [ "$n" = 3 ] || [ -s "$ERR" ]
        [ "$code" = 0 ] || nothing_left || grep -q 'clean up' "$ERR"
        force_delete "$n descriptors"
    done
}

@test "a limit on file sizes makes create fail with a message, not die of a signal" {
    local limit
    for limit in 0 1; do
        run -1 bash -c 'ulimit -f "$1"; shift; exec "$@"' bash "$limit" "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$ID"
        [ -n "$output" ]
        force_delete "ulimit -f $limit"
    done
}

# -------------------------------------------------------------------------------------------------------------------------- concurrency

@test "of sixteen creates of one id exactly one succeeds" {
    local round i won
    for round in 1 2 3; do
        for i in {1..16}; do
            { "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$ID" && echo won; } </dev/null \
                >"$BATS_TEST_TMPDIR/out.$i" 2>"$BATS_TEST_TMPDIR/err.$i" 3>&- &
        done
        wait
        won=$(cat "$BATS_TEST_TMPDIR"/out.* | grep -c won)
        [ "$won" = 1 ] || { echo "round $round: $won" && cat "$BATS_TEST_TMPDIR"/err.* && return 1; }
        [ "$(cat "$BATS_TEST_TMPDIR"/err.* | grep -c 'already exists')" = 15 ]
        status_is created
        drupe start "$ID"
        drupe delete --force "$ID"
    done
}

@test "start, kill and delete of one id at once end in one of the possible ways" {
    local round i
    for round in 1 2 3 4 5; do
        create
        for i in 1 2 3 4; do
            "$RUNTIME" --root "$ROOT" start "$ID" </dev/null >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" 3>&- &
            "$RUNTIME" --root "$ROOT" kill "$ID" KILL </dev/null >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" 3>&- &
            "$RUNTIME" --root "$ROOT" delete --force "$ID" </dev/null >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" 3>&- &
        done
        wait
        nothing_left
    done
    run grep -vE 'does not exist|not running|already running|has stopped|died meanwhile' "$BATS_TEST_TMPDIR/errors"
    [ -z "$output" ] || { echo "$output" && return 1; }
}

# SIGKILL of init as it calls execve, when it has said that it will: no profile hides anything. Had its parent reaped it, nothing would tell
# it from a program that ended at once.
@test "start of a container that is killed as it executes its program says that it died" {
    local tracer
    needs_strace
    unreaped create --bundle "$BUNDLE" "$ID"
    wait_for 5 status_is created
    strace -o /dev/null -e inject=execve:signal=SIGKILL -p "$(drupe state "$ID" | jq .pid)" 2>"$BATS_TEST_TMPDIR/tracer" &
    tracer=$!
    # From then on it gets no further than its next system call.
    wait_for 5 grep -q attached "$BATS_TEST_TMPDIR/tracer"
    run ! drupe start "$ID"
    [[ $output == *'its process died meanwhile'* ]] || { echo "$output" && return 1; }
    wait "$tracer" || true
    reap_now
    drupe delete --force "$ID"
}

# A life of many containers one after the other.
worker() {
    local i id
    for i in {1..6}; do
        id=$TOKEN-$1-$i
        "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$id" </dev/null >/dev/null 2>&1 3>&- &&
            "$RUNTIME" --root "$ROOT" start "$id" 3>&- && "$RUNTIME" --root "$ROOT" kill "$id" KILL 3>&- &&
            "$RUNTIME" --root "$ROOT" delete --force "$id" 3>&- || echo "$id" >>"$BATS_TEST_TMPDIR/failed"
    done
}

@test "exec, or who enters for it, killed on the way leaves nothing in the container" {
    needs_strace
    local call code
    detached run --detach --bundle "$BUNDLE" "$ID"
    is_alone() { [ "$(drupe ps --format json "$ID" | jq length)" = 1 ]; }
    # The first kills the runtime, and the others each of the two behind it.
    for call in socketpair:137 setns:255 keyctl:255; do
        code=0
        traced -f -o /dev/null -e "trace=${call%:*}" -e "inject=${call%:*}:signal=SIGKILL" -- exec "$ID" /bin/true || code=$?
        [ "$code" = "${call#*:}" ]
        wait_for 10 is_alone
    done
    drupe exec "$ID" /bin/true
    drupe delete --force "$ID"
}

@test "state and list meanwhile print whole documents or say that it does not exist" {
    local i workers=()
    for i in 1 2 3 4; do
        worker "$i" >>"$BATS_TEST_TMPDIR/failed.out" 2>&1 &
        workers+=($!)
    done
    : >"$BATS_TEST_TMPDIR/states"
    while [ -n "$(jobs -pr)" ]; do
        for i in {1..6}; do
            drupe state "$TOKEN-1-$i" >>"$BATS_TEST_TMPDIR/states" 2>>"$BATS_TEST_TMPDIR/errors" || true
            drupe list --format json >>"$BATS_TEST_TMPDIR/lists" 2>>"$BATS_TEST_TMPDIR/errors"
        done
    done
    wait "${workers[@]}"
    [ ! -e "$BATS_TEST_TMPDIR/failed" ] || { cat "$BATS_TEST_TMPDIR"/failed* && return 1; }
    run -1 grep -v 'does not exist' "$BATS_TEST_TMPDIR/errors"
    jq -es 'map(.status | IN("creating", "created", "running", "stopped")) | all' "$BATS_TEST_TMPDIR/states"
    jq -es 'map(type == "array") | all' "$BATS_TEST_TMPDIR/lists"
}

@test "state, when create finishes between its look at the state and at the lock, does not say stopped" {
    needs_strace
    local creator state look
    # Reads "creating" and asks for the lock when it is free; or is told that it is not, and looks no second time.
    for look in '' :when=2+; do
        traced -f -o /dev/null -e inject=setsid:delay_enter=500000 -- create --bundle "$BUNDLE" "$ID" &
        creator=$!
        wait_for 5 test -e "$ROOT/$ID/state.json"
        run -0 strace -qq -o /dev/null -e "inject=flock:delay_enter=1500000$look" "$RUNTIME" --root "$ROOT" state "$ID"
        state=$(jq -r .status <<<"$output")
        wait "$creator"
        [ "$state" = created ] || [ "$state" = creating ]
        drupe delete "$ID"
    done
}

# ------------------------------------------------------------------------------------------------------------------------------- many

@test "a hundred runs and a hundred execs leave mounts, processes, descriptors and keys as they were" {
    local i pid before
    start_one
    pid=$(drupe state "$ID" | jq .pid)
    facts() {
        find "/proc/$pid/fd" | wc -l
        drupe ps --format json "$ID"
        wc -l <"/proc/$pid/mountinfo"
        wc -l <"/proc/$pid/maps"
    }
    before=$(facts)
    for i in {1..100}; do drupe exec "$ID" /bin/true; done
    [ "$(facts)" = "$before" ]
    args /bin/true
    for i in {1..100}; do drupe run --bundle "$BUNDLE" "$ID-2"; done
    [ "$(facts)" = "$before" ]
    drupe delete --force "$ID"
}
