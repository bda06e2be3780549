#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2119,SC2120 # texts for the inner shell and for jq; optional arguments
# The life of a container from create to delete: what each command does, what it refuses and in which words, and what of the
# caller's surroundings must not matter.
load helpers

setup() {
    begin_test
    setup_bundle
    ID=$(container_id)
    args /probe trap
}

status_is() { [ "$(drupe state "${2:-$ID}" 2>/dev/null | jq -r .status)" = "$1" ]; }

pid_of() { drupe state "${1:-$ID}" | jq -r .pid; }

create() { detached create --bundle "$BUNDLE" "$@" "$ID"; }

# A running container; its program says "ready".
start_container() {
    detached run --detach --bundle "$BUNDLE" "$@" "$ID"
    wait_for 5 printed ready
}

# The same in the foreground, as a job: $!
# The output of the job before is gone when this returns; the job itself may be slow to open the file.
run_job() {
    : >"$BATS_TEST_TMPDIR/out"
    "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$@" "$ID" >>"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
}

printed() { grep -qx -- "$1" "$BATS_TEST_TMPDIR/out"; }

printed_signals() { [ "$(grep -c '^signal ' "$BATS_TEST_TMPDIR/out")" -ge "$1" ]; }

gone() { ! grep -qs '^State:.[^ZX]' "/proc/$1/status"; }

end_container() { drupe delete --force "${1:-$ID}"; }

no_pid_namespace() { config '.linux.namespaces |= map(select(.type != "pid"))'; }

# refuses TEXT COMMAND...: it fails with one line on stderr that contains TEXT, and prints nothing
refuses() {
    local text=$1
    shift
    run --separate-stderr "$@"
    [ "$status" -ne 0 ] && [ "$status" -ne 124 ] && [ "$status" -ne 137 ]
    [ -z "$output" ]
    # shellcheck disable=SC2154 # set by run
    [[ "$stderr" == *"$text"* ]] || { echo "stderr is: $stderr" && return 1; }
    [ "$(wc -l <<<"$stderr")" = 1 ]
}

# with_fds "3 4 5" COMMAND...: the command with these descriptors open, and no other above 2
with_fds() {
    bash -c 'for i in $1; do eval "exec $i</"; done; shift; exec "$@"' bash "$@"
}

# -------------------------------------------------------------------------------------------------------- create, start, run, state

@test "create makes it wait, start runs the program, delete removes it" {
    args /probe write /ran yes , trap
    create
    status_is created
    [ ! -e "$BUNDLE/rootfs/ran" ]
    [ -d "/proc/$(pid_of)" ]
    drupe start "$ID"
    status_is running
    wait_for 5 printed ready
    [ "$(cat "$BUNDLE/rootfs/ran")" = yes ]
    drupe kill "$ID" TERM
    wait_for 5 status_is stopped
    drupe delete "$ID"
    refuses 'does not exist' drupe state "$ID"
    [ ! -e "$ROOT/$ID" ]
}

@test "state prints exactly the known keys in their order, at every step" {
    local keys='ociVersion id pid status bundle rootfs created owner' first
    create
    run -0 --separate-stderr drupe state "$ID"
    [ -z "$stderr" ]
    first=$output
    [ "${lines[1]:0:16}" = '  "ociVersion": ' ]
    [ "$(JQ=jq jq -r 'keys_unsorted | join(" ")' <<<"$first")" = "$keys" ]
    [ "$(jq -r '[.ociVersion, .id, .status, .bundle, .rootfs, .owner] | join(" ")' <<<"$first")" = \
        "1.3.0 $ID created $BUNDLE $BUNDLE/rootfs root" ]
    [[ "$(jq -r .created <<<"$first")" =~ ^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{9}Z$ ]]
    [ "$(jq -r '.pid | type' <<<"$first")" = number ]
    drupe start "$ID"
    [ "$(drupe state "$ID" | jq 'del(.status)')" = "$(jq 'del(.status)' <<<"$first")" ]
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    [ "$(drupe state "$ID" | jq -c '[.status, .pid]')" = '["stopped",0]' ]
    [ "$(drupe state "$ID" | JQ=jq jq -r 'keys_unsorted | join(" ")')" = "$keys" ]
    drupe delete "$ID"
}

@test "state carries the annotations before the owner" {
    config '.annotations = { "a.b/c": "x \"y\" \u00e4", "empty": "" }'
    create
    run -0 drupe state "$ID"
    [ "$(JQ=jq jq -r 'keys_unsorted | join(" ")' <<<"$output")" = 'ociVersion id pid status bundle rootfs created annotations owner' ]
    [ "$(jq -c .annotations <<<"$output")" = '{"a.b/c":"x \"y\" ä","empty":""}' ]
    drupe delete "$ID"
}

@test "an unknown id does not exist for every command, with and without a state directory" {
    local root=$ROOT c
    for ROOT in "$root" "$root/none"; do
        for c in state start kill delete pause resume ps; do
            refuses "container \"$ID\" does not exist" drupe "$c" "$ID"
        done
        refuses "container \"$ID\" does not exist" drupe exec "$ID" /bin/true
        run -0 drupe delete --force "$ID"
        [ -z "$output" ]
    done
    ROOT=$root
    [ ! -e "$ROOT/none" ]
}

@test "start is refused a second time, and after the end" {
    create
    drupe start "$ID"
    refuses 'cannot start an already running container' drupe start "$ID"
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    refuses 'cannot start a container that has stopped' drupe start "$ID"
    drupe delete "$ID"
}

@test "start of a container whose process was killed meanwhile fails" {
    create
    kill -KILL "$(pid_of)"
    wait_for 5 status_is stopped
    refuses 'cannot start a container that has stopped' drupe start "$ID"
    drupe delete "$ID"
}

@test "edits of the bundle after create have no effect on start, exec and state" {
    args /bin/sh -c 'echo "$A" > /ran; exec /probe trap'
    config '.process.env += ["A=before"] | .annotations.x = "before"'
    create
    config '.process.args = ["/bin/false"] | .process.env += ["A=after"] | .annotations.x = "after" | .linux = {}'
    drupe start "$ID"
    wait_for 5 printed ready
    [ "$(cat "$BUNDLE/rootfs/ran")" = before ]
    rm "$BUNDLE/config.json"
    run -0 drupe exec "$ID" /bin/sh -c 'echo "$A"'
    [ "$output" = before ]
    [ "$(drupe state "$ID" | jq -r .annotations.x)" = before ]
    end_container
}

@test "without a process create works, start and run refuse" {
    config 'del(.process)'
    create
    status_is created
    refuses 'has no process' drupe start "$ID"
    status_is created
    drupe delete "$ID"
    refuses 'has no process' drupe run --bundle "$BUNDLE" "$ID"
    refuses 'has no process' drupe run --detach --bundle "$BUNDLE" "$ID"
}

@test "run returns the program's exit status and leaves nothing" {
    local code
    for code in 0 1 3 126 255; do
        args /probe exit "$code"
        run_container
        [ "$status" = "$code" ]
        [ ! -e "$ROOT/$ID" ]
    done
}

@test "run returns 128 and the number of the signal that ended the program" {
    local sig
    no_pid_namespace
    for sig in 1 9 11 15 34; do
        args /probe signal "$sig"
        run_container
        [ "$status" = $((128 + sig)) ]
    done
}

@test "run --keep leaves a stopped container" {
    args /probe exit 3
    run_container --keep
    [ "$status" = 3 ]
    status_is stopped
    refuses 'container with given ID already exists' drupe run --bundle "$BUNDLE" "$ID"
    status_is stopped
    drupe delete "$ID"
}

@test "run --detach returns while the program runs, which then is nobody's child" {
    start_container --pid-file "$BATS_TEST_TMPDIR/pid"
    status_is running
    [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(pid_of)" ]
    [ -z "${REAPER_PID-}" ] || grep -qx "PPid:.$REAPER_PID" "/proc/$(pid_of)/status"
    end_container
}

@test "run whose container was deleted by somebody else ends, and touches no successor of that name" {
    local code=0 runner
    run_job
    runner=$!
    wait_for 5 status_is running
    wait_for 5 flock -n "$ROOT/$ID" true # the runner's
    kill -STOP "$runner"
    drupe delete --force "$ID"
    start_container
    kill -CONT "$runner"
    wait "$runner" || code=$?
    [ "$code" = 137 ]
    status_is running
    end_container
}

@test "an id can be used again after delete, and not before" {
    create
    refuses 'container with given ID already exists' drupe create --bundle "$BUNDLE" "$ID"
    status_is created
    drupe delete "$ID"
    create
    drupe delete "$ID"
}

@test "a create that fails leaves nothing, and the id can be used" {
    args /no/such/program
    refuses 'stat /no/such/program: no such file or directory' drupe create --bundle "$BUNDLE" "$ID"
    args nosuchprogram
    refuses 'exec: "nosuchprogram": executable file not found in $PATH' drupe create --bundle "$BUNDLE" "$ID"
    args /etc
    refuses 'is a directory' drupe create --bundle "$BUNDLE" "$ID"
    args /etc/passwd
    refuses 'permission denied' drupe run --bundle "$BUNDLE" "$ID"
    [ ! -e "$ROOT/$ID" ]
    args /bin/true
    run_container
    [ "$status" = 0 ]
}

@test "a program that cannot be executed makes start fail, not hang" {
    printf 'no format\n' >"$BUNDLE/rootfs/bin/data"
    chmod 755 "$BUNDLE/rootfs/bin/data"
    args /bin/data
    create
    refuses 'exec format error' drupe start "$ID"
    wait_for 5 status_is stopped
    drupe delete "$ID"
    refuses 'exec format error' drupe run --bundle "$BUNDLE" "$ID"
    [ ! -e "$ROOT/$ID" ]
}

taken() { if by_systemd; then echo 'already'; else echo 'exists and has processes'; fi; }

@test "a container that asks for the cgroup of a running one is refused, and the running one lives on" {
    place "$TOKEN-shared"
    start_container
    refuses "$(taken)" drupe create --bundle "$BUNDLE" "$ID-2"
    refuses "$(taken)" drupe run --bundle "$BUNDLE" "$ID-2"
    [ ! -e "$ROOT/$ID-2" ]
    status_is running
    end_container
}

@test "the same id below another --root is refused by its cgroup, and does not end the first" {
    start_container
    mkdir "$BATS_TEST_TMPDIR/other"
    refuses "$(taken)" "$RUNTIME" --root "$BATS_TEST_TMPDIR/other" "${MANAGER[@]}" create --bundle "$BUNDLE" "$ID"
    [ -z "$(ls "$BATS_TEST_TMPDIR/other")" ]
    status_is running
    end_container
}

# ------------------------------------------------------------------------------------------------------------------- files and names

@test "the bundle is found by --bundle absolute, relative, by default, and from a directory that is no more" {
    args /bin/true
    run -0 drupe run --bundle "$BUNDLE/" "$ID"
    cd "$BUNDLE"
    run -0 drupe run "$ID"
    cd rootfs
    run -0 drupe run -b .. "$ID"
    run -0 drupe run "$ID" -b ../../bundle
    mkdir "$BATS_TEST_TMPDIR/gone"
    cd "$BATS_TEST_TMPDIR/gone"
    rmdir "$BATS_TEST_TMPDIR/gone"
    run -0 drupe run --bundle "$BUNDLE" "$ID"
    cd /
}

@test "a relative bundle is stored as an absolute path" {
    cd "$BATS_TEST_TMPDIR"
    detached create --bundle bundle "$ID"
    [ "$(drupe state "$ID" | jq -r .bundle)" = "$BUNDLE" ]
    cd /
    drupe start "$ID"
    end_container
}

@test "--config names a file that is not the bundle's" {
    args /probe echo from the bundle
    jq '.process.args[1:] = ["echo", "from elsewhere"]' "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/other.json"
    run -0 drupe run --bundle "$BUNDLE" --config "$BATS_TEST_TMPDIR/other.json" "$ID"
    [ "$output" = 'from elsewhere' ]
    rm "$BUNDLE/config.json"
    run -0 drupe run --bundle "$BUNDLE" --config "$BATS_TEST_TMPDIR/other.json" "$ID"
    [ "$output" = 'from elsewhere' ]
}

@test "what should be a config but is a FIFO, a directory, a device or endless is refused at once" {
    local what
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    for what in "$BATS_TEST_TMPDIR/fifo" /dev/zero /dev/null "$BATS_TEST_TMPDIR"; do
        refuses 'not a regular file' drupe create --bundle "$BUNDLE" --config "$what" "$ID"
        rm -f "$BUNDLE/config.json"
        ln -s "$what" "$BUNDLE/config.json"
        refuses 'not a regular file' drupe run --bundle "$BUNDLE" "$ID"
    done
    truncate -s 33M "$BATS_TEST_TMPDIR/large"
    refuses 'larger than' drupe create --bundle "$BUNDLE" --config "$BATS_TEST_TMPDIR/large" "$ID"
    refuses 'No such file' drupe create --bundle "$BUNDLE" --config /nonexistent "$ID"
    refuses 'bundle /nonexistent' drupe create --bundle /nonexistent "$ID"
    refuses "bundle $LIB/probe.c" drupe create --bundle "$LIB/probe.c" "$ID"
    [ ! -e "$ROOT/$ID" ]
}

@test "--pid-file holds the pid in decimal without newline, replaces a file or a link, follows none" {
    local file=$BATS_TEST_TMPDIR/pid
    echo "something much longer than a pid, to be replaced" >"$BATS_TEST_TMPDIR/target"
    ln -s target "$file"
    : >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" # which must not be made under the mask
    (umask 0777 && create --pid-file "$file")
    [ ! -L "$file" ]
    [ "$(stat -c %a:%s "$file")" = "644:$(pid_of | tr -d '\n' | wc -c)" ]
    [ "$(cat "$file")" = "$(pid_of)" ]
    [[ "$(cat "$BATS_TEST_TMPDIR/target")" == something* ]]
    [ -z "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '.pid*')" ]
    drupe delete "$ID"
}

@test "run that fails at the very start leaves no pid file" {
    echo "no program" >"$BUNDLE/rootfs/odd"
    chmod 755 "$BUNDLE/rootfs/odd"
    args /odd
    refuses 'exec format error' drupe run --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
    [ ! -e "$BATS_TEST_TMPDIR/pid" ]
    [ ! -e "$ROOT/$ID" ]
}

@test "a --pid-file that cannot be written makes create and run fail and leaves nothing" {
    local full=$BATS_TEST_TMPDIR/full c
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    mkdir "$full"
    mount -t tmpfs -o size=4k,nr_inodes=2 none "$full"
    UNMOUNT+=("$full")
    touch "$full/the-last-inode"
    args /bin/sh -c 'touch /ran'
    for c in create run; do
        refuses '--pid-file' drupe "$c" --bundle "$BUNDLE" --pid-file /nonexistent/pid "$ID"
        refuses 'not a regular file' drupe "$c" --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/fifo" "$ID"
        refuses 'not a regular file' drupe "$c" --bundle "$BUNDLE" --pid-file /dev/full "$ID"
        refuses 'not a regular file' drupe "$c" --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR" "$ID"
        refuses 'No space left' drupe "$c" --bundle "$BUNDLE" --pid-file "$full/pid" "$ID"
        [ ! -e "$ROOT/$ID" ]
    done
    [ ! -e "$BUNDLE/rootfs/ran" ]
    [ -c /dev/full ]
}

@test "a --log that is a FIFO, a directory or a device is refused at once" {
    local what
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    for what in "$BATS_TEST_TMPDIR/fifo" /dev/zero /dev/full "$BATS_TEST_TMPDIR" /nonexistent/log; do
        refuses '--log' drupe --log "$what" create --bundle "$BUNDLE" "$ID"
        [ ! -e "$ROOT/$ID" ]
    done
}

@test "ids of the allowed characters work up to 255 bytes" {
    local id
    needs_cgroupfs 'the name of a unit ends at 255 bytes'
    args /bin/true
    for id in "${TOKEN}a" "${TOKEN}0" "_$TOKEN" "+$TOKEN" "A.b-c_d+9$TOKEN" "$TOKEN$(printf '%0*d' $((255 - ${#TOKEN})) 0)"; do
        run -0 drupe run --bundle "$BUNDLE" "$id"
    done
}

@test "ids with anything else are refused by every command before they are used" {
    local id c
    mkdir "$BATS_TEST_TMPDIR/victim"
    echo '{}' >"$BATS_TEST_TMPDIR/victim/state.json"
    for id in '' . .. .x a/b ../victim /tmp 'a b' $'a\nb' $'a\e[1m' ä 'a*' "$(printf '%0256d' 0)" "$(printf '%04000d' 0)"; do
        for c in 'create --bundle' 'run --bundle'; do
            # shellcheck disable=SC2086 # a command and its flag
            refuses 'invalid container ID format' drupe $c "$BUNDLE" "$id"
        done
        for c in state delete 'delete --force' kill start pause ps; do
            # shellcheck disable=SC2086
            refuses 'invalid container ID format' drupe $c "$id"
        done
    done
    [ -e "$BATS_TEST_TMPDIR/victim/state.json" ]
    [ -z "$(ls -A "$ROOT")" ]
}

@test "the state directory and what is in it are ours alone, whatever umask and modes there were" {
    local root=$ROOT
    chmod 0777 "$ROOT"
    (umask 0 && create)
    [ "$(stat -c %a "$ROOT" "$ROOT/$ID" "$ROOT/$ID/state.json" "$ROOT/$ID/config.json" | tr '\n' ' ')" = '700 700 600 600 ' ]
    drupe delete "$ID"
    ROOT=$root/a/b
    (umask 0 && create)
    [ "$(stat -c %a "$ROOT" "$ROOT/$ID" | tr '\n' ' ')" = '700 700 ' ]
    drupe delete "$ID"
    ROOT=$root
    rmdir "$ROOT/a/b" "$ROOT/a"
}

@test "a directory for everybody is no place for state, and only looking changes no mode" {
    local open=$BATS_TEST_TMPDIR/open
    mkdir -m 1777 "$open"
    refuses 'is a directory for everybody (mode 1777)' drupe --root "$open" create --bundle "$BUNDLE" "$ID"
    refuses 'is a directory for everybody (mode 1777)' drupe --root "$open" state "$ID"
    [ "$(stat -c %a "$open")" = 1777 ]
    chmod 0755 "$open"
    refuses 'does not exist' drupe --root "$open" state "$ID"
    [ "$(stat -c %a "$open")" = 755 ]
    rmdir "$open"
}

# -------------------------------------------------------------------------------------------------------------- the caller's surroundings

@test "the caller's umask does not reach the container" {
    local mask
    args /bin/sh -c umask
    for mask in 0 0077 0777; do
        run -0 env -C / sh -c 'umask "$1"; shift; exec "$@"' sh "$mask" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
        [ "$output" = 0022 ]
    done
}

@test "signals that the caller ignores or blocks are neither in the container" {
    # shellcheck disable=SC2054 # the commas are env's
    local odd=(env --ignore-signal=PIPE,CHLD,HUP,TERM,USR1,RTMIN,RTMAX --block-signal=TERM,USR2,CHLD,ALRM,RTMIN)
    args /bin/sh -c 'grep -E "Sig(Ign|Blk)" /proc/self/status; exit 7'
    run -7 "${odd[@]}" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    [ "$(tr -d '\t\n' <<<"$output")" = SigBlk:0000000000000000SigIgn:0000000000000000 ]
    args /probe trap
    "${odd[@]}" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    run -0 "${odd[@]}" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" start "$ID"
    run -0 "${odd[@]}" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$ID" /bin/grep -E "Sig(Ign|Blk)" /proc/self/status
    [ "$(tr -d '\t\n' <<<"$output")" = SigBlk:0000000000000000SigIgn:0000000000000000 ]
    end_container
}

@test "closed standard streams are the null device to the container, and nothing else slips into them" {
    args /bin/sh -c 'for f in 0 1 2; do x="$x $(stat -L -c %t:%T /proc/$$/fd/$f)"; done; echo $x > /fds; exit 5'
    run -5 bash -c '"$@" <&- >&- 2>&-' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    [ "$(cat "$BUNDLE/rootfs/fds")" = '1:3 1:3 1:3' ]
    run -5 bash -c '"$@" <&-' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    run -5 bash -c '"$@" >&-' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    run -5 bash -c '"$@" 2>&-' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    args /probe trap
    drupe create --bundle "$BUNDLE" "$ID" <&- >&- 2>&-
    drupe start "$ID" <&- >&- 2>&-
    drupe delete --force "$ID" <&- >&- 2>&-
}

@test "a hundred descriptors of the caller stay outside" {
    local many
    many=$(echo {3..40} {100..160} 255)
    args /probe fds
    run -0 with_fds "$many" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    [ "${#lines[@]}" = 3 ]
    args /probe trap
    with_fds "$many" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
    # While it waits it holds the socket by which it will be started.
    [ "$(find "/proc/$(pid_of)/fd" -mindepth 1 | wc -l)" -le 4 ]
    [ -z "$(find "/proc/$(pid_of)/fd" -lname '/*' ! -lname /dev/null ! -lname "$BATS_TEST_TMPDIR/out")" ]
    drupe start "$ID"
    wait_for 5 printed ready
    [ "$(find "/proc/$(pid_of)/fd" -mindepth 1 | wc -l)" = 3 ]
    run -0 with_fds "$many" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$ID" /probe fds
    [ "${#lines[@]}" = 3 ]
    end_container
}

@test "--preserve-fds passes exactly that many, and one that is not open is an error" {
    local file=$BATS_TEST_TMPDIR/file
    echo content >"$file"
    args /bin/sh -c 'ls -v /proc/self/fd | tr "\n" " "; cat <&3'
    run -0 with_fds '4 5 6' "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --preserve-fds 2 --bundle "$BUNDLE" "$ID" 3<"$file"
    # 5 is the directory that ls reads
    [ "$output" = '0 1 2 3 4 5 content' ]
    refuses 'descriptor 4 is not open' with_fds '3 5' "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --preserve-fds 3 --bundle "$BUNDLE" "$ID" 4>&-
    refuses 'descriptor 3 is not open' drupe create --preserve-fds 1 --bundle "$BUNDLE" "$ID"
    args /probe fds
    with_fds '3 4 5' "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" create --preserve-fds 2 --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
    drupe start "$ID"
    wait_for 5 status_is stopped
    [ "$(grep -c ^ "$BATS_TEST_TMPDIR/out")" = 5 ]
    drupe delete "$ID"
}

@test "descriptors of socket activation are passed with the variables for pid 1, before the preserved ones" {
    args /bin/sh -c 'echo "$LISTEN_FDS $LISTEN_PID"; ls -v /proc/self/fd | tr "\n" " "'
    run -0 with_fds '3 4 5 6' sh -c 'export LISTEN_FDS=2 LISTEN_PID=$$; exec "$@"' sh "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    [ "${lines[0]}|${lines[1]}" = '2 1|0 1 2 3 4 5 ' ]
    run -0 with_fds '3 4 5 6' env LISTEN_FDS=2 "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --preserve-fds 1 --bundle "$BUNDLE" "$ID"
    [ "${lines[0]}|${lines[1]}" = '2 1|0 1 2 3 4 5 6 ' ]
    # Somebody else's
    run -0 with_fds '3 4 5 6' env LISTEN_FDS=2 LISTEN_PID=1 "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    [ "${lines[0]}|${lines[1]}" = ' |0 1 2 3 ' ]
}

@test "an empty environment is enough, and the caller's does not reach the container" {
    local empty
    args /probe env
    run -0 env -i "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    empty=$output
    run -0 env GLIBC_TUNABLES=glibc.malloc.check=3 HOME=/x SECRET=x "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
    [ "$output" = "$empty" ]
}

@test "a result that cannot be written is a failure, not a death by signal" {
    local command
    create
    for command in "state $ID" list 'list --format json' "ps --format json $ID" "ps $ID" features --version 'run --help'; do
        [ "$command" != "ps $ID" ] || ps_works || continue
        # shellcheck disable=SC2086 # words
        run -1 bash -c '"$@" >/dev/full' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" $command
        [[ "$output" == *'No space left on device'* ]]
        # shellcheck disable=SC2086
        run -1 bash -c '"$@" >&-' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" $command
        [ -n "$output" ]
        rm -f "$BATS_TEST_TMPDIR"/{closed,status}
        # shellcheck disable=SC2086
        { wait_for 5 test -e "$BATS_TEST_TMPDIR/closed" && { drupe $command || echo $? >"$BATS_TEST_TMPDIR/status"; }; } 2>/dev/null |
            { exec <&- && : >"$BATS_TEST_TMPDIR/closed"; }
        [ "$(cat "$BATS_TEST_TMPDIR/status")" = 1 ]
    done
    drupe delete "$ID"
}

@test "the exit status of run is the program's even when that cannot write" {
    args /bin/sh -c 'echo text; exit 4'
    run -4 bash -c '"$@" >/dev/full 2>&1' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID"
}

# --------------------------------------------------------------------------------------------------------------------------- foreground

@test "run passes signals on, the first real-time one too, and keeps what is its own" {
    local sig runner
    run_job
    runner=$!
    wait_for 5 printed ready
    for sig in CHLD URG WINCH PIPE; do kill -"$sig" "$runner"; done
    for sig in 1 2 3 10 12 14 18 20 21 22 29 34 35 64; do
        kill -"$sig" "$runner"
        wait_for 5 printed "signal $sig"
    done
    run -1 grep -xE 'signal (13|17|23|28)' "$BATS_TEST_TMPDIR/out"
    kill -TERM "$runner"
    wait "$runner"
    printed 'signal 15'
    [ ! -e "$ROOT/$ID" ]
}

@test "run returns 137 when its container is killed" {
    local code=0
    run_job
    wait_for 5 printed ready
    drupe kill "$ID" KILL
    wait $! || code=$?
    [ "$code" = 137 ]
}

@test "a container survives the death of its run, and can be deleted" {
    run_job
    wait_for 5 printed ready
    wait_for 5 status_is running # the program may be ahead of the record
    kill -KILL $!
    wait $! || true
    status_is running
    refuses 'not stopped: running' drupe delete "$ID"
    end_container
}

@test "run adopts orphans of its container, unless told not to" {
    [ -n "${REAPER_PID-}" ] || skip "needs tests/integration/run"
    local flag parent child code
    no_pid_namespace
    args /bin/sh -c '(sleep 7000 </dev/null >/dev/null 2>&1 &); echo ready; exec sleep 7000'
    for flag in '' --no-subreaper; do
        # shellcheck disable=SC2086 # none when empty
        run_job $flag
        parent=$!
        wait_for 5 printed ready
        child=$(drupe ps --format json "$ID" | jq -r --argjson init "$(pid_of)" '.[] | select(. != $init)')
        [ -z "$flag" ] || parent=$REAPER_PID
        wait_for 5 grep -qx "PPid:.$parent" "/proc/$child/status"
        drupe kill "$ID" KILL
        code=0
        wait $! || code=$?
        [ "$code" = 137 ]
        wait_for 5 gone "$child"
    done
}

@test "processes that a container without a pid namespace leaves behind end with run" {
    no_pid_namespace
    args /probe daemon 5 , exit 6
    run_container
    [ "$status" = 6 ]
}

# ----------------------------------------------------------------------------------------------------------------------------- kill

@test "kill takes numbers and names of any case, with and without SIG; the default is TERM" {
    local s n=0
    start_container
    for s in 10:10 USR1:10 SIGUSR1:10 sigusr1:10 usr1:10 SigUsr1:10 1:1 HUP:1 RTMIN:34 sigrtmin+3:37 RTMIN+30:64 SIGRTMAX-1:63 RTMAX:64 \
        64:64 POLL:29 CLD:17 IOT:6 SYS:31 WINCH:28; do
        n=$((n + 1))
        drupe kill "$ID" "${s%:*}"
        wait_for 5 printed_signals "$n"
        [ "$(grep '^signal ' "$BATS_TEST_TMPDIR/out" | tail -n 1)" = "signal ${s#*:}" ] || { echo "$s" && false; }
    done
    drupe kill "$ID" 0
    drupe kill "$ID"
    wait_for 5 printed 'signal 15'
    wait_for 5 status_is stopped
    drupe delete "$ID"
}

@test "kill refuses what is no signal, and sends none" {
    local s
    start_container
    for s in FOO SIG '' 65 1x 0x9 RTMIN+31 RTMAX-31 RTMIN-1 9999999999; do
        refuses 'invalid signal' drupe kill "$ID" "$s"
    done
    run -1 drupe kill "$ID" -9x
    run -1 grep signal "$BATS_TEST_TMPDIR/out"
    end_container
}

@test "kill of a dead container says so; with --all it is no error" {
    start_container
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    refuses 'container not running' drupe kill "$ID" TERM
    refuses 'container not running' drupe kill "$ID" KILL
    refuses 'container not running' drupe kill "$ID" 0
    run -0 drupe kill --all "$ID" KILL
    run -0 drupe kill -a "$ID" 9
    run -0 drupe kill "$ID" 9 --all
    drupe delete "$ID"
}

@test "kill ends a container that was not started" {
    create
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    drupe delete "$ID"
}

@test "without a pid namespace kill KILL and --all end every process, other signals go to the first" {
    local pids pid kill
    no_pid_namespace
    args /probe spawn 5
    for kill in "kill $ID KILL" "kill --all $ID KILL" "kill $ID 9 -a"; do
        start_container
        pids=$(drupe ps --format json "$ID" | jq -r '.[]')
        [ "$(wc -w <<<"$pids")" = 6 ]
        drupe kill "$ID" USR1
        wait_for 5 printed 'signal 10'
        [ "$(drupe ps --format json "$ID" | jq length)" = 6 ]
        # shellcheck disable=SC2086 # words
        drupe $kill
        for pid in $pids; do wait_for 5 gone "$pid"; done
        wait_for 5 status_is stopped
        drupe delete "$ID"
    done
}

@test "--regex of kill and delete takes the matching ids" {
    local n
    for n in a b c; do detached create --bundle "$BUNDLE" "$TOKEN-$n"; done
    drupe kill --regex "^$TOKEN-[ab]\$" KILL
    wait_for 5 status_is stopped "$TOKEN-a"
    wait_for 5 status_is stopped "$TOKEN-b"
    status_is created "$TOKEN-c"
    drupe delete --regex "$TOKEN-"
    [ -z "$(ls -A "$ROOT")" ]
    refuses 'regular expression' drupe delete --regex '('
}

# --------------------------------------------------------------------------------------------------------------------------- delete

@test "delete refuses a running and a paused container, and takes a created and a stopped one" {
    local pid
    start_container
    refuses "cannot delete container $ID that is not stopped: running" drupe delete "$ID"
    drupe pause "$ID"
    refuses "cannot delete container $ID that is not stopped: paused" drupe delete "$ID"
    drupe resume "$ID"
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    drupe delete "$ID"
    create
    pid=$(pid_of)
    drupe delete "$ID"
    gone "$pid"
}

@test "delete --force ends a container that runs, is stopped by a signal, paused, dead, or was never started" {
    local how pid
    for how in run STOP pause KILL create 'create pause' 'create STOP'; do
        case $how in
        create*) create ;;
        *) start_container ;;
        esac
        pid=$(pid_of)
        case $how in
        STOP | KILL | 'create STOP') kill -"${how#create }" "$pid" ;;
        *pause) drupe pause "$ID" ;;
        esac
        run -0 drupe delete --force "$ID"
        [ -z "$output" ]
        gone "$pid"
        [ ! -e "$ROOT/$ID" ]
        refuses 'does not exist' drupe state "$ID"
    done
}

@test "delete --force ends thirty daemonised processes without a pid namespace, also when the first is dead or all are paused" {
    local how pids pid
    no_pid_namespace
    args /probe daemon 30 , trap
    for how in run KILL pause; do
        start_container
        pids=$(drupe ps --format json "$ID" | jq -r '.[]')
        [ "$(wc -w <<<"$pids")" = 31 ]
        [ "$how" != KILL ] || { kill -KILL "$(pid_of)" && wait_for 5 status_is stopped; }
        [ "$how" != pause ] || drupe pause "$ID"
        drupe delete --force "$ID"
        for pid in $pids; do wait_for 5 gone "$pid"; done
    done
}

@test "delete of a stopped container without pid namespace ends what still runs in it" {
    no_pid_namespace
    args /probe daemon 3 , exit 0
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 status_is stopped
    drupe delete "$ID"
}

@test "a damaged state is an error for all but delete --force, which finds the processes by their cgroup" {
    local text pid
    for text in '' '{' '{}' 'null' '{"version":1,"id":"x","bundle":"/","status":"odd"}' '{"version":99}'; do
        start_container
        pid=$(pid_of)
        printf %s "$text" >"$ROOT/$ID/state.json"
        refuses "state of container \"$ID\"" drupe state "$ID"
        refuses "state of container \"$ID\"" drupe kill "$ID" KILL
        refuses 'use delete --force' drupe delete "$ID"
        [ -d "/proc/$pid" ]
        drupe delete --force "$ID"
        gone "$pid"
    done
}

@test "delete --force with a damaged state finds the cgroup that the config names, else the default one" {
    local pid
    place "$TOKEN-elsewhere"
    start_container
    pid=$(pid_of)
    : >"$ROOT/$ID/state.json"
    drupe delete --force "$ID"
    gone "$pid"
    config 'del(.linux.cgroupsPath)'
    start_container
    pid=$(pid_of)
    : >"$ROOT/$ID/state.json"
    : >"$ROOT/$ID/config.json"
    drupe delete --force "$ID"
    gone "$pid"
}

@test "start and delete read the stored config where it says something about them" {
    local program
    create
    : >"$ROOT/$ID/config.json"
    drupe start "$ID"
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    drupe delete "$ID"
    for program in '.hooks = { poststart: [{ path: "/bin/true" }] }' '.hooks = { startContainer: [{ path: "/bin/true" }] }' \
        '.hooks = { poststop: [{ path: "/bin/true" }] }'; do
        config "$program"
        create
        : >"$ROOT/$ID/config.json"
        refuses "stored config of container \"$ID\"" drupe start "$ID"
        drupe delete "$ID"
    done
}

@test "delete --force with a damaged state and no cgroup to go by fails, and says what is left to do" {
    local pid flags
    config 'del(.linux.resources)'
    for flags in '' '--cgroup-manager disabled'; do
        detached --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID"
        pid=$(pid_of)
        cp "$ROOT/$ID/state.json" "$BATS_TEST_TMPDIR/state.json"
        : >"$ROOT/$ID/state.json"
        # shellcheck disable=SC2086 # words
        refuses "nothing tells which processes are left; when none is, remove $ROOT/$ID" drupe $flags delete --force "$ID"
        [ -d "/proc/$pid" ]
        [ -d "$ROOT/$ID" ]
        cp "$BATS_TEST_TMPDIR/state.json" "$ROOT/$ID/state.json"
        drupe delete --force "$ID"
        gone "$pid"
    done
}

@test "a directory without state.json is nothing to state and list, and delete --force removes it" {
    mkdir -m 0700 "$ROOT/$ID"
    refuses "container \"$ID\" does not exist" drupe state "$ID"
    refuses "container \"$ID\" does not exist" drupe kill "$ID"
    run -0 drupe list --format json
    [ "$output" = '[]' ]
    refuses 'already exists' drupe create --bundle "$BUNDLE" "$ID"
    refuses 'use delete --force' drupe delete "$ID"
    touch "$ROOT/$ID/.state.json.0123abcd" "$ROOT/$ID/config.json"
    drupe delete --force "$ID"
    [ ! -e "$ROOT/$ID" ]
}

@test "a state.json that is a FIFO, a link or a device is damaged, not read and not followed" {
    local pid what
    for what in fifo link device; do
        start_container
        pid=$(pid_of)
        mv "$ROOT/$ID/state.json" "$BATS_TEST_TMPDIR/saved.json"
        case $what in
        fifo) mkfifo "$ROOT/$ID/state.json" ;;
        link) ln -s "$BATS_TEST_TMPDIR/saved.json" "$ROOT/$ID/state.json" ;;
        device) mknod "$ROOT/$ID/state.json" c 1 5 ;;
        esac
        refuses "state of container \"$ID\"" drupe state "$ID"
        drupe delete --force "$ID"
        gone "$pid"
        [ -f "$BATS_TEST_TMPDIR/saved.json" ]
    done
}

@test "a state directory that is a link is not followed" {
    mkdir "$BATS_TEST_TMPDIR/victim"
    echo precious >"$BATS_TEST_TMPDIR/victim/state.json"
    ln -s "$BATS_TEST_TMPDIR/victim" "$ROOT/$ID"
    run -1 drupe delete --force "$ID"
    run -1 drupe state "$ID"
    [ "$(cat "$BATS_TEST_TMPDIR/victim/state.json")" = precious ]
    rm "$ROOT/$ID"
}

@test "delete removes no directory that it did not make" {
    start_container
    mkdir "$ROOT/$ID/precious"
    echo data >"$ROOT/$ID/precious/file"
    run -1 drupe delete --force "$ID"
    [ -e "$ROOT/$ID/precious/file" ]
    rm -r "$ROOT/$ID/precious"
    drupe delete --force "$ID"
}

@test "a state of another boot or another process means stopped, whoever has the pid now" {
    local pid
    start_container
    pid=$(pid_of)
    cp "$ROOT/$ID/state.json" "$BATS_TEST_TMPDIR/state.json"
    sleep 7000 >/dev/null 2>&1 3>&- &
    jq -c --argjson pid $! '.pid = $pid' "$BATS_TEST_TMPDIR/state.json" >"$ROOT/$ID/state.json"
    status_is stopped
    refuses 'container not running' drupe kill "$ID" KILL
    jq -c '.bootId = "00000000-0000-0000-0000-000000000000"' "$BATS_TEST_TMPDIR/state.json" >"$ROOT/$ID/state.json"
    status_is stopped
    refuses 'container not running' drupe kill "$ID" KILL
    jq -c --argjson pid $! '.pid = $pid' "$BATS_TEST_TMPDIR/state.json" >"$ROOT/$ID/state.json"
    drupe delete "$ID"
    gone "$pid"
    # Not ours, and still there.
    kill -KILL $!
    wait $! || true
}

@test "the boot is on record where the state outlives it" {
    local dir boot
    [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] || skip 'no tmpfs at /dev/shm'
    boot=$(cat /proc/sys/kernel/random/boot_id)
    for dir in "$ROOT" "/dev/shm/$ID"; do
        [ "$(stat -f -c %T "${dir%/*}")" != tmpfs ] || boot=null
        ROOT=$dir create
        [ "$(jq -r .bootId "$dir/$ID/state.json")" = "$boot" ]
        ROOT=$dir status_is created
        ROOT=$dir drupe delete "$ID"
    done
    rmdir "$dir"
}

# -------------------------------------------------------------------------------------------------------- list, ps, pause and resume

@test "list prints a table, JSON like state's, or ids; of a broken container only a warning" {
    local root=$ROOT
    run -0 drupe list --format json
    [ "$output" = '[]' ]
    run -0 drupe list --quiet
    [ -z "$output" ]
    detached create --bundle "$BUNDLE" "$TOKEN-b"
    detached create --bundle "$BUNDLE" "$TOKEN-a"
    run -0 --separate-stderr drupe list
    [[ "${lines[0]}" =~ ^ID\ +PID\ +STATUS\ +BUNDLE\ +CREATED\ +OWNER$ ]]
    [[ "${lines[1]}" =~ ^$TOKEN-a\ +[0-9]+\ +created\ +$BUNDLE\ +20[^\ ]*Z\ +root$ ]]
    [[ "${lines[2]}" == "$TOKEN-b "* ]]
    [ "${#lines[@]}" = 3 ]
    [ "$(drupe list -f json | jq '.[1]')" = "$(drupe state "$TOKEN-b" | jq .)" ]
    echo '{' >"$ROOT/$TOKEN-a/state.json"
    run -0 --separate-stderr drupe list -q
    [ "$output" = "$TOKEN-b" ]
    [[ "$stderr" == *warning*"$TOKEN-a"* ]]
    drupe delete --force "$TOKEN-a"
    drupe delete "$TOKEN-b"
    ROOT=$root/none
    run -0 drupe list --format json
    [ "$output" = '[]' ]
    ROOT=$root
}

# ps(1) gives up where the kernel does not say when it started, as User Mode Linux.
ps_works() { ps -ef >/dev/null 2>&1; }

@test "ps prints the container's processes, as JSON" {
    args /probe spawn 2
    start_container
    run -0 drupe ps --format json "$ID"
    [ "$(jq -c '(map(type) | unique) + [length]' <<<"$output")" = '["number",3]' ]
    [ "$(jq --argjson pid "$(pid_of)" 'index($pid) != null' <<<"$output")" = true ]
    end_container
}

@test "ps prints the container's processes as ps does" {
    ps_works || skip 'ps -ef does not work here'
    args /probe spawn 2
    start_container
    run -0 drupe ps "$ID"
    [[ "${lines[0]}" == *UID*PID*PPID* ]]
    [ "${#lines[@]}" = 4 ]
    run -0 drupe ps "$ID" -o pid,comm -e
    [ "${#lines[@]}" = 4 ]
    [[ "${lines[1]}" == *probe ]]
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    refuses 'container not running' drupe ps "$ID"
    drupe delete "$ID"
}

@test "pause stops every process and resume lets them go on" {
    local size
    args /bin/sh -c 'echo ready; while :; do echo x >> /ticks; sleep 0.01; done'
    start_container
    wait_for 5 test -s "$BUNDLE/rootfs/ticks"
    drupe pause "$ID"
    status_is paused
    size=$(stat -c %s "$BUNDLE/rootfs/ticks")
    refuses 'container not running' drupe pause "$ID"
    refuses 'cannot exec in a paused container' drupe exec "$ID" /bin/true
    [ "$(stat -c %s "$BUNDLE/rootfs/ticks")" = "$size" ]
    drupe resume "$ID"
    status_is running
    wait_for 5 file_grew "$BUNDLE/rootfs/ticks" "$size"
    refuses 'container not paused' drupe resume "$ID"
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    refuses 'container not running' drupe pause "$ID"
    refuses 'container not paused' drupe resume "$ID"
    drupe delete "$ID"
}

file_grew() { [ "$(stat -c %s "$1")" -gt "$2" ]; }

@test "a created container can be paused; it is paused until resume, and not started meanwhile" {
    create
    drupe pause "$ID"
    status_is paused
    refuses 'cannot start a paused container' drupe start "$ID"
    drupe resume "$ID"
    status_is created
    drupe start "$ID"
    status_is running
    end_container
}

@test "kill KILL ends a paused container" {
    start_container
    drupe pause "$ID"
    drupe kill "$ID" TERM
    status_is paused
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    drupe delete "$ID"
    no_pid_namespace
    args /probe spawn 3
    start_container
    drupe pause "$ID"
    drupe kill "$ID" KILL
    wait_for 5 status_is stopped
    drupe delete "$ID"
}

@test "without cgroups a container lives and ends all the same, but cannot be paused" {
    config 'del(.linux.resources)'
    detached --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 printed ready
    status_is running
    refuses 'cannot be paused' drupe pause "$ID"
    run -0 drupe ps --format json "$ID"
    [ "$output" = "[$(pid_of)]" ]
    end_container
}
